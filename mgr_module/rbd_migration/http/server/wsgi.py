"""The module's own server as a WSGI application: the API, the page, /metrics and /healthz."""

import json
import logging
from http import HTTPStatus
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from rbdmigrate import __version__
from rbdmigrate.control.metrics.counting import Sample

from ... import metrics
from .. import page
from ..api import retry
from ..api import urls as wire
from ..api.dispatch import COMPONENT, Context, Response, dispatch
from ..api.fields import FieldError
from ..api.openapi import VERSIONED, document
from ..api.route import BASE, Route
from ..auth.caller import Caller
from .networks import KnownNetworks

log = logging.getLogger(__name__)

MAX_BODY = 4 << 20  # bytes: the longest plan file, with most of its characters escaped
_PLAIN = "application/json"
_API_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
Environ = Dict[str, Any]
Start = Callable[[str, List[Tuple[str, str]]], Any]
Authenticate = Callable[[str], Optional[Caller]]
_NONE_GIVEN = (
    "Give an API key, or a token of the dashboard, as `Authorization: Bearer ...`; "
    "`ceph rbd migration api key create` makes a key."
)
_UNKNOWN = (
    "This API key or token is not known, or is given in another way than as `Authorization: Bearer "
    "...`. It may be mistyped, revoked or expired: `ceph rbd migration api key ls` lists the keys."
)


class HttpError(Exception):
    """An error response."""

    def __init__(self, status: int, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        body = {"detail": detail, "code": code, "component": COMPONENT}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = Response(status, body, named)


class Application:
    """The WSGI application. ``authenticate`` returns the caller of a key or token, None if invalid.

    ``measured`` has the metrics; ``known`` collects the networks that sent valid ones.
    """

    def __init__(
        self,
        *,
        context: Callable[[], Context],
        authenticate: Authenticate,
        measured: metrics.MetricsCache,
        known: Optional[KnownNetworks] = None,
    ) -> None:
        self._context = context
        self._authenticate = authenticate
        self._known = known or KnownNetworks()
        self._measured = measured

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer a request. Unexpected errors are logged; the client is told no details."""
        try:
            status, headers, body = self._answer(environ)
        except HttpError as error:
            status, headers, body = _as_json(error.response, _PLAIN)
        except Exception:
            log.exception("a request failed")
            failed = HttpError(500, "EIO", "An error in the module; the manager's log has it.")
            status, headers, body = _as_json(failed.response, _PLAIN)
        headers["Content-Length"] = str(len(body))
        engine = self._context().engine
        if engine is not None:
            engine.measures.count(Sample("http_requests_total", (f"{status // 100}xx",)))
        start(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _answer(self, environ: Environ) -> Tuple[int, Dict[str, str], bytes]:
        path = raw_path(environ)
        if path == BASE or path.startswith(BASE + "/"):
            return self._api(environ, path[len(BASE) :])
        others: Dict[str, Callable[[], Tuple[int, Dict[str, str], bytes]]] = {
            "/healthz": self._healthz,
            "/metrics": self._metrics,
            "/openapi.json": lambda: _text(200, _PLAIN, document(__version__)),
            "/": lambda: redirect("rbd-migration/"),
            page.ADDRESS.rstrip("/"): lambda: redirect("rbd-migration/"),
        }
        below = path[len(page.ADDRESS) :] if path.startswith(page.ADDRESS) else None
        if path not in others and below is None:
            raise HttpError(404, "ENOENT", "There is nothing at this address.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            raise HttpError(405, "ENOTSUP", "Only GET is offered here.", Allow="GET, HEAD")
        return others[path]() if below is None else _file(below)

    # -- the API -----------------------------------------------------------------------------

    def _api(self, environ: Environ, path: str) -> Tuple[int, Dict[str, str], bytes]:
        method = environ["REQUEST_METHOD"]
        found = wire.match("GET" if method == "HEAD" else method, path)
        if not found.allowed:
            raise HttpError(404, "ENOENT", "There is nothing at this address of the API.")
        if found.route is None:
            allowed = ", ".join(found.allowed)
            raise HttpError(405, "ENOTSUP", f"Only {allowed} is offered here.", Allow=allowed)
        caller = self._permitted(environ, found.route)
        anything = bool(found.route.download)  # a text of the type that the query asks for
        kind = _PLAIN if anything else _accepted(environ.get("HTTP_ACCEPT", ""))
        body = _body(environ) if method in ("POST", "PUT") else None
        try:
            query = wire.arguments(environ.get("QUERY_STRING", ""))
        except FieldError as error:
            raise HttpError(400, "EINVAL", str(error)) from error
        name, target = found.route.name, found.target
        answer = dispatch(
            self._context(), name, target, query, body, caller.permissions, caller.name
        )
        if found.route.permission != "read":
            # %a: a line break in a name must not look like a new line of the log.
            log.info("%s by %a %a: %d", name, caller.name, target, answer.status)
        return _as_json(answer, kind)

    def _permitted(self, environ: Environ, route: Route) -> Caller:
        """Return the caller. Raises HttpError if it is unknown or lacks the permission."""
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        given = token.strip()
        caller = self._authenticate(given) if scheme.lower() == "bearer" and given else None
        if caller is None:
            raise HttpError(
                401,
                "EACCES",
                _UNKNOWN if given else _NONE_GIVEN,
                WWW_Authenticate='Bearer realm="rbd_migration"',
            )
        self._known.add(str(environ.get("REMOTE_ADDR", "")))
        if route.permission not in caller.permissions:
            raise HttpError(403, "EPERM", f"The permission {route.permission} is needed for this.")
        return caller

    # -- monitoring --------------------------------------------------------------------------

    def _healthz(self) -> Tuple[int, Dict[str, str], bytes]:
        up = self._context().engine is not None
        return _text(200 if up else 503, "text/plain", "ok\n" if up else "starting\n")

    def _metrics(self) -> Tuple[int, Dict[str, str], bytes]:
        status, text = self._measured.answer()
        return _text(status, metrics.TYPE if status == 200 else "text/plain", text)


def raw_path(environ: Environ) -> str:
    """Return the path as it was sent, still percent-encoded."""
    address = str(environ.get("REQUEST_URI") or environ.get("PATH_INFO", ""))
    if not address.startswith("/"):  # http://host/path, as proxies send it
        address = "/" + address.partition("://")[2].partition("/")[2]
    return address.partition("?")[0]


def redirect(place: str, status: int = 302) -> Tuple[int, Dict[str, str], bytes]:
    """Return a redirect."""
    return status, {**_API_HEADERS, "Location": place}, b""


def _file(path: str) -> Tuple[int, Dict[str, str], bytes]:
    if path == page.OPENAPI:
        return _text(200, _PLAIN, document(__version__))
    found = page.find(path)
    if found is None:
        raise HttpError(404, "ENOENT", "There is no such file.")
    return 200, {**page.HEADERS, "Content-Type": page.content_type(found)}, found.read_bytes()


def _accepted(accept: str) -> str:
    """Return the media type to answer with, JSON in the only version."""
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if VERSIONED in kinds:
        return VERSIONED
    if accept.strip() and not set(kinds) & {_PLAIN, "application/*", "*/*", ""}:
        raise HttpError(415, "ENOTSUP", f"Only {_PLAIN} and {VERSIONED} are offered.")
    return _PLAIN


def _body(environ: Environ) -> Any:
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdigit():
        raise HttpError(411, "EINVAL", "Send the length of the body; an empty one is {}.")
    if int(length) > MAX_BODY:
        raise HttpError(413, "E2BIG", f"The body may have {MAX_BODY} bytes at most.")
    raw = environ["wsgi.input"].read(int(length))
    if not raw:
        return {}
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != _PLAIN:
        raise HttpError(415, "EINVAL", f"The body has to be {_PLAIN}.")
    try:
        found = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, "EINVAL", "The body is not JSON.") from error
    if not isinstance(found, dict):
        raise HttpError(400, "EINVAL", "The body has to be a JSON object.")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _as_json(response: Response, kind: str) -> Tuple[int, Dict[str, str], bytes]:
    headers = {**_API_HEADERS, "Content-Type": kind, **response.headers}
    text = response.body if "Content-Type" in response.headers else json.dumps(response.body)
    return response.status, headers, text.encode()


def _text(status: int, kind: str, text: str) -> Tuple[int, Dict[str, str], bytes]:
    return status, {**_API_HEADERS, "Content-Type": kind, **retry.headers(status)}, text.encode()
