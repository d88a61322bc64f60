"""Sending one message over HTTP(S), to an address that was checked, within a bounded time."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EBADMSG, ECONNRESET, EPERM
from typing import Optional

from ... import __version__
from ...model.errors import MigrationError
from ...model.hook_policy import OPTION_HOOK_HTTP, HookPolicy, HookUrl, parse_hook_url
from ...sources.errors import SourceError
from ...sources.limits import Deadline, Limits
from ...sources.net import Rules, Wire, connect
from ...sources.tls import Trust, secure

_MOST = 16 << 10  # bytes of an answer that are read
_TRUST = "give the certificate of its authority with --ca, when the hook is added"


@dataclass(frozen=True)
class HookRequest:
    """A message as it is sent. ``timeout``: seconds for all of it. ``ca``: see ``model.hooks``."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    timeout: float
    ca: str
    policy: HookPolicy


@dataclass(frozen=True)
class HookResponse:
    """The answer of a server. ``retry_after``: the value of that header."""

    status: int
    body: str = ""
    retry_after: Optional[str] = None


class _Connection(http.client.HTTPConnection):
    """http.client on a connection that goes to a checked address."""

    def __init__(self, url: HookUrl, request: HookRequest) -> None:
        super().__init__(url.host, url.port)
        self._url = url
        self._ca = request.ca
        limits = Limits(connect=request.timeout, answer=request.timeout, total=request.timeout)
        self._rules = Rules(request.policy, limits, Deadline(limits))

    def connect(self) -> None:
        host, port = self._url.host, self._url.port
        sock = connect(host, port, self._rules)
        if self._url.scheme == "https":
            sock = secure(sock, host, port, self._rules, Trust(self._ca, _TRUST))
        self.sock = Wire(sock, self._url.place, self._rules)


def post(request: HookRequest) -> HookResponse:
    """Send a message and return the answer. Redirects are not followed. Raises MigrationError."""
    url = parse_hook_url(request.url)
    if url.scheme != "https" and not request.policy.http:
        raise MigrationError(
            EPERM,
            f"Messages are not sent to {url.place} without encryption; use https://, or allow it "
            f"with the option {OPTION_HOOK_HTTP}.",
        )
    connection = _Connection(url, request)
    try:
        connection.putrequest("POST", url.target, skip_accept_encoding=True)
        connection.putheader("User-Agent", f"rbd_migration/{__version__}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(request.body)))
        connection.putheader("Connection", "close")
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(request.body)
        response = connection.getresponse()
        body = response.read(_MOST).decode(errors="replace")
        return HookResponse(response.status, body, response.getheader("Retry-After"))
    except http.client.RemoteDisconnected as error:
        raise MigrationError(
            ECONNRESET, f"{url.place} closed the connection without an answer; look into its log."
        ) from error
    except (http.client.HTTPException, ValueError) as error:
        raise MigrationError(
            EBADMSG,
            f"{url.place} does not answer in HTTP ({type(error).__name__}); check the port, and "
            "whether it wants https://.",
        ) from error
    except SourceError as error:
        raise MigrationError(error.errno, error.message) from error
    finally:
        connection.close()
