"""Cheroot's server with limits that its own does not have. Imported only where a server is wanted.

No client, whatever it sends or leaves unsent, ends a thread or keeps the threads from others.
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
_HEAD = 5.0  # seconds in which a request has to say what it wants, with the TLS greeting
_STRANGER = 15.0  # seconds for one request of an address without a good key
_LONGEST = 60.0  # seconds for any request
_RESERVED = 2  # threads that only addresses with a good key get
_PER_NETWORK_THREADS = 4  # threads of one address without a good key


class Request(base.HTTPRequest):  # type: ignore[misc]
    """A request that tells its connection when its head has come."""

    def parse_request(self) -> None:
        """Read the head."""
        super().parse_request()
        self.conn.head_came()


class Connection(base.HTTPConnection):  # type: ignore[misc]
    """A connection among not too many, whose requests have to end."""

    RequestHandlerClass = Request
    fresh = True
    deadline = float("inf")

    def __init__(self, server: Any, sock: Any, *args: Any, **kwargs: Any) -> None:
        self.network = _network_of(sock)
        super().__init__(server, sock, *args, **kwargs)
        if not server.count_in(self):
            self.hang_up()

    def communicate(self) -> Any:
        """Answer a request, or as many as come at once. Never raises: a thread would end of it."""
        self.deadline = time.monotonic() + _HEAD
        try:
            return super().communicate()
        except Exception as error:  # of whatever kind: a client must not end a thread
            log.debug("a connection from %s: %r", self.network, error)
            return False
        finally:
            self.deadline = float("inf")
            self.server.waiting.done(self)

    def head_came(self) -> None:
        """The head of a request is there: there is more time for the rest."""
        known = self.network in self.server.known
        self.deadline = time.monotonic() + (_LONGEST if known else min(_STRANGER, _LONGEST))

    def close(self) -> None:
        """The end of it. Cheroot's connections hold themselves: they are freed much later."""
        self.server.count_out(self)
        try:
            super().close()
        except Exception as error:  # as above
            log.debug("the end of a connection from %s: %r", self.network, error)

    def hang_up(self) -> None:
        """Close it for both sides, whatever is under way."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("a connection was closed already")


class LimitedServer(Server):  # type: ignore[misc]
    """The server. ``close_overdue`` is to be called now and then.

    ``known``: the networks that more is allowed to, because a good key came from there.
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
        self._counting = threading.Lock()  # one thread adds, another looks through them

    def count_in(self, conn: Any) -> bool:
        """Take a connection into account; False when there are too many."""
        with self._counting:
            self._living.add(conn)
            if len(self._living) > MAX_CONNECTIONS:
                return False
            same = sum(other.network == conn.network for other in self._living)
            return same <= _PER_NETWORK or conn.network in self.known

    def count_out(self, conn: Any) -> None:
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

    def ended_threads(self) -> int:
        """How many of the threads that answer requests have ended, which none of them should."""
        return self.requests.ended()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """What cheroot would write to the standard error output."""
        log.debug("%s", msg, exc_info=traceback)


class _Pool(ThreadPool):  # type: ignore[misc]
    """Cheroot's threads, which get connections from ``waiting``."""

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
        """How many of them have ended."""
        return sum(not thread.is_alive() for thread in self._started)


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


def _network_of(sock: Any) -> str:
    try:
        return network(str(sock.getpeername()[0]))
    except (OSError, IndexError):  # it was reset already
        return ""
