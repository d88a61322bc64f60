"""REST, as programs use it: requests over HTTP to the dashboard or to the module's own server."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import quote

VERSIONED = "application/vnd.ceph.api.v1.0+json"
BASE = "/api/block/migration"


@dataclass(frozen=True)
class Answer:
    """Status, decoded JSON body (or its text) and headers (names in lower case)."""

    status: int
    body: Any
    headers: "dict[str, str]"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


@dataclass(frozen=True)
class Rest:
    """A server, and who asks it. ``token``: a bearer token; ``tls``: what to trust."""

    url: str
    token: str = ""
    tls: Optional[ssl.SSLContext] = None
    accept: str = VERSIONED
    timeout: float = 30
    headers: "dict[str, str]" = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: Any = None, raw: Optional[bytes] = None, **headers: str
    ) -> Answer:
        """Any request and its answer; ``body`` is sent as JSON."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        sent = {"Accept": self.accept, **self.headers}
        if data is not None:
            sent["Content-Type"] = "application/json"
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        request = urllib.request.Request(self.url + path, data, sent, method=method)
        handlers: list[Any] = [_NoRedirects()]
        if self.tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self.tls))
        try:
            reply = urllib.request.build_opener(*handlers).open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            reply = error
        with reply:
            text = reply.read().decode()
            names = {name.lower(): value for name, value in reply.headers.items()}
        is_json = "json" in names.get("content-type", "")
        return Answer(reply.status, json.loads(text) if is_json and text else text, names)

    def api(self, method: str, path: str = "", body: Any = None) -> Answer:
        """A request below the migrations' address."""
        return self.ask(method, BASE + path, body)

    def at(self, method: str, target: str, action: str = "", body: Any = None) -> Answer:
        """A request about one migration."""
        path = f"/at/{quote(target, safe='')}" + (f"/{action}" if action else "")
        return self.api(method, path, body)


def login(url: str, user: str, password: str) -> Rest:
    """Somebody who logged in at the dashboard."""
    answer = Rest(url).ask("POST", "/api/auth", {"username": user, "password": password})
    assert answer.status == 201, answer
    return Rest(url, token=answer.body["token"])
