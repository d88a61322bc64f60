"""Cheroot's server with additional limits. Imported only if the server is enabled.

No client can end a thread or keep all threads busy, whatever it sends or fails to send.
"""

import logging
import socket
import ssl
import threading
import time
import weakref
from typing import Any, Container, Dict, List

from cheroot import server as base
from cheroot.makefile import MakeFile
from cheroot.ssl import Adapter
from cheroot.workers.threadpool import ThreadPool
from cheroot.wsgi import Server

from .networks import network
from .waiting import WaitingConnections

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 200
_PER_NETWORK = 50  # connections of one address without a good key
_HEAD = 5.0  # seconds for the TLS handshake and the head of a request
_STRANGER = 15.0  # seconds for one request of an address without a good key
_LONGEST = 60.0  # seconds for any request
_RESERVED = 2  # threads that only addresses with a good key get
_PER_NETWORK_THREADS = 4  # threads of one address without a good key


class Request(base.HTTPRequest):  # type: ignore[misc]
    """A request that tells its connection when its head has arrived."""

    def parse_request(self) -> None:
        """Read the head."""
        super().parse_request()
        self.conn.head_came()


class Connection(base.HTTPConnection):  # type: ignore[misc]
    """A connection that counts against the server's limits, and whose requests have a deadline."""

    RequestHandlerClass = Request
    fresh = True
    deadline = float("inf")

    def __init__(self, server: Any, sock: Any, *args: Any, **kwargs: Any) -> None:
        self.network = _network_of(sock)
        super().__init__(server, sock, *args, **kwargs)
        if not server.count_in(self):
            self.hang_up()

    def communicate(self) -> Any:
        """Answer the requests that have arrived. Never raises: that would end the thread."""
        self.deadline = time.monotonic() + _HEAD
        try:
            return super().communicate()
        except Exception as error:  # any error: a client must not end a thread
            log.debug("a connection from %s: %r", self.network, error)
            return False
        finally:
            self.deadline = float("inf")
            self.server.waiting.done(self)

    def head_came(self) -> None:
        """Extend the deadline, because the head of a request has arrived."""
        known = self.network in self.server.known
        self.deadline = time.monotonic() + (_LONGEST if known else min(_STRANGER, _LONGEST))

    def close(self) -> None:
        """Close the connection and stop counting it; cycles keep it in memory much longer."""
        self.server.count_out(self)
        try:
            super().close()
        except Exception as error:  # as above
            log.debug("the end of a connection from %s: %r", self.network, error)

    def hang_up(self) -> None:
        """Shut down both directions, whatever is in progress."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("a connection was closed already")


class LimitedServer(Server):  # type: ignore[misc]
    """The server. ``close_overdue`` has to be called regularly.

    ``known``: the networks with higher limits, because a valid key came from there.
    """

    ConnectionClass = Connection

    def __init__(
        self, *args: Any, known: Container[str] = frozenset(), threads: int = 8, **kwargs: Any
    ) -> None:
        super().__init__(*args, numthreads=threads, max=threads, **kwargs)
        self.known = known
        self.waiting = WaitingConnections(
            size=MAX_CONNECTIONS,
            strangers=max(1, threads - _RESERVED),
            per_network=_PER_NETWORK_THREADS,
            known=known,
        )
        self.requests = _Pool(self, self.waiting, threads)
        self._living: weakref.WeakSet[Any] = weakref.WeakSet()
        self._counting = threading.Lock()  # one thread adds, another iterates

    def count_in(self, conn: Any) -> bool:
        """Count a connection; return False when there are too many."""
        with self._counting:
            self._living.add(conn)
            if len(self._living) > MAX_CONNECTIONS:
                return False
            same = sum(other.network == conn.network for other in self._living)
            return same <= _PER_NETWORK or conn.network in self.known

    def count_out(self, conn: Any) -> None:
        """Stop counting a connection, because it is closed."""
        with self._counting:
            self._living.discard(conn)

    def process_conn(self, conn: Any) -> None:
        """Give a connection a thread only when it has sent something."""
        if conn.fresh:
            conn.fresh = False
            self._connections.put(conn)
        else:
            super().process_conn(conn)

    def close_overdue(self) -> None:
        """Close connections whose request takes too long, such as one that arrives byte by byte."""
        now = time.monotonic()
        with self._counting:
            living = list(self._living)
        for conn in living:
            if conn.deadline < now:
                conn.hang_up()

    def ended_threads(self) -> int:
        """Return the number of threads that have ended; none of them should."""
        return self.requests.ended()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Write cheroot's messages to the log instead of the standard error output."""
        log.debug("%s", msg, exc_info=traceback)


class _Pool(ThreadPool):  # type: ignore[misc]
    """Cheroot's thread pool, which gets its connections from ``waiting``."""

    def __init__(self, server: Any, waiting: WaitingConnections, threads: int) -> None:
        super().__init__(server, min=threads, max=threads)
        self._queue = waiting
        self.get = waiting.get
        self._started: List[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        super().start()
        self._started = list(self._threads)

    def ended(self) -> int:
        """Return the number of threads that have ended."""
        return sum(not thread.is_alive() for thread in self._started)


class Tls(Adapter):  # type: ignore[misc]
    """Does the TLS handshake in the connection's thread; cheroot's own blocks the accept loop."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__("", "")
        self._tls = context

    def bind(self, sock: Any) -> Any:
        """Return the listening socket unchanged."""
        return sock

    def wrap(self, sock: Any) -> Any:
        """Return the encrypted socket of a connection and the WSGI variables that describe it."""
        wrapped = self._tls.wrap_socket(sock, do_handshake_on_connect=False, server_side=True)
        return wrapped, self.get_environ(wrapped)

    def get_environ(self, sock: Any) -> Dict[str, str]:
        """Return the WSGI variables."""
        return {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def makefile(self, sock: Any, mode: str = "r", bufsize: int = -1) -> Any:
        """Return a file object of a connection, to read from or to write to."""
        return MakeFile(sock, mode, bufsize)


def _network_of(sock: Any) -> str:
    try:
        return network(str(sock.getpeername()[0]))
    except (OSError, IndexError):  # the connection was reset already
        return ""
