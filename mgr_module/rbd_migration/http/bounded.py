"""Cheroot's server with limits that its own does not have. Imported only where a server is wanted.

At most so many connections, requests that end, and TLS greetings that hold nobody else up.
"""

import logging
import socket
import ssl
import threading
import time
import weakref
from typing import Any, Dict

from cheroot import server as base
from cheroot.makefile import MakeFile
from cheroot.ssl import Adapter
from cheroot.wsgi import Server

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 200
_LONGEST = 60.0  # seconds that one request may take in all


class Connection(base.HTTPConnection):  # type: ignore[misc]
    """A connection among not too many, whose requests have to end."""

    fresh = True
    deadline = float("inf")

    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        if server.count_in(self) > MAX_CONNECTIONS:
            self.hang_up()

    def communicate(self) -> Any:
        """Answer a request, or as many as come at once."""
        self.deadline = time.monotonic() + _LONGEST
        try:
            return super().communicate()
        finally:
            self.deadline = float("inf")

    def close(self) -> None:
        """The end of it. Cheroot's connections hold themselves: they are freed much later."""
        self.server.count_out(self)
        super().close()

    def hang_up(self) -> None:
        """Close it for both sides, whatever is under way."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("a connection was closed already")


class Bounded(Server):  # type: ignore[misc]
    """The server. ``close_overdue`` is to be called now and then."""

    ConnectionClass = Connection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._living: weakref.WeakSet[Any] = weakref.WeakSet()
        self._counting = threading.Lock()  # one thread adds, another looks through them

    def count_in(self, conn: Connection) -> int:
        """Take a connection into account; returns how many there are."""
        with self._counting:
            self._living.add(conn)
            return len(self._living)

    def count_out(self, conn: Connection) -> None:
        """A connection is closed."""
        with self._counting:
            self._living.discard(conn)

    def process_conn(self, conn: Any) -> None:
        """A connection gets a thread when it says something, and not before."""
        if conn.fresh:
            conn.fresh = False
            self._connections.put(conn)
        else:
            super().process_conn(conn)

    def close_overdue(self) -> None:
        """End requests that take too long, such as those that come byte by byte."""
        now = time.monotonic()
        with self._counting:
            living = list(self._living)
        for conn in living:
            if conn.deadline < now:
                conn.hang_up()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """What cheroot would write to the standard error output."""
        log.debug("%s", msg, exc_info=traceback)


class Tls(Adapter):  # type: ignore[misc]
    """Greets in the connection's thread; cheroot's own waits for each client in turn."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__("", "")
        self._tls = context

    def bind(self, sock: Any) -> Any:
        """Nothing is done to the socket that listens."""
        return sock

    def wrap(self, sock: Any) -> Any:
        """The socket of a connection, encrypted, and what is told of it to the application."""
        wrapped = self._tls.wrap_socket(sock, do_handshake_on_connect=False, server_side=True)
        return wrapped, self.get_environ(wrapped)

    def get_environ(self, sock: Any) -> Dict[str, str]:
        """What is told to the application."""
        return {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def makefile(self, sock: Any, mode: str = "r", bufsize: int = -1) -> Any:
        """A connection to read from, or to write to."""
        return MakeFile(sock, mode, bufsize)
