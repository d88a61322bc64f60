"""Checks regularly that the server answers, as a client would."""

import contextlib
import logging
import socket
import ssl
import threading
import time
from typing import Optional

log = logging.getLogger(__name__)

_EVERY = 20.0  # seconds between two requests
_PATIENCE = 10.0  # seconds for an answer
_FAILURES = 3  # failures in a row that are a problem: a manager may be busy for a while
_ANY = {"::": "::1", "0.0.0.0": "127.0.0.1"}  # where to reach one that listens on all addresses


class Liveness:
    """Requests ``/healthz`` from the server at ``address`` and ``port`` in a thread of its own.

    Any HTTP answer counts as success. The certificate is not checked.
    """

    def __init__(self, address: str, port: int, *, tls: bool) -> None:
        self._place = (_ANY.get(address, address), port)
        self._tls = tls
        self._asking: Optional[threading.Thread] = None
        self._due = time.monotonic() + _EVERY
        self._failures = 0
        self._reason = ""

    def look(self) -> None:
        """Start a request if one is due. Returns immediately."""
        if time.monotonic() < self._due or (self._asking is not None and self._asking.is_alive()):
            return
        self._due = time.monotonic() + _EVERY
        self._asking = threading.Thread(
            target=self._ask, name="rbd_migration-http-liveness", daemon=True
        )
        self._asking.start()

    @property
    def problem(self) -> str:
        """One sentence if the server failed to answer several times in a row; empty otherwise."""
        if self._failures < _FAILURES:
            return ""
        return (
            f"The HTTP server did not answer the last {self._failures} times that the module "
            f"asked it ({self._reason}); look at the manager's log, or switch the option server "
            "off and on to start it again."
        )

    def _ask(self) -> None:
        try:
            self._request()
            self._failures = 0
        except OSError as error:  # also ssl.SSLError and time-outs
            self._reason = str(error) or type(error).__name__
            self._failures += 1
            log.info("the HTTP server did not answer: %r", error)

    def _request(self) -> None:
        """Send a request. Raises OSError if no answer comes in time."""
        with contextlib.ExitStack() as opened:
            plain = socket.create_connection(self._place, timeout=_PATIENCE)
            connection = opened.enter_context(plain)
            if self._tls:
                connection = opened.enter_context(_encrypted(plain))
            connection.sendall(
                b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            if not connection.recv(20).startswith(b"HTTP/1."):
                raise OSError("the connection was closed without an answer")


def _encrypted(plain: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it is the module's own server, and nothing secret is sent
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)
