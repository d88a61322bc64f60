"""The server of a standby manager: redirects clients to the active manager."""

from typing import Any, Callable, Dict, Iterable
from urllib.parse import urlsplit

from ..api import retry
from .wsgi import Environ, Start


def redirect_to(active: Callable[[], str]) -> Callable[[Environ, Start], Iterable[bytes]]:
    """Return a WSGI application. ``active`` returns the active page's URL, empty if unknown."""

    def application(environ: Environ, start: Start) -> Iterable[bytes]:
        uri = urlsplit(active())
        headers: Dict[str, Any] = {"Content-Length": "0", "Cache-Control": "no-store"}
        address = str(environ.get("REQUEST_URI") or "/")
        if address.partition("?")[0] == "/healthz" or not uri.netloc:
            headers.update(retry.headers(503))
            start("503 Service Unavailable", list(headers.items()))
        elif not address.startswith("/") or address.startswith("//"):
            start("400 Bad Request", list(headers.items()))
        else:
            headers["Location"] = f"{uri.scheme}://{uri.netloc}{address}"
            start("307 Temporary Redirect", list(headers.items()))
        return [b""]

    return application
