"""Connections with checked addresses and bounded waits.

The name is resolved once. Every address of it must be allowed by the import policy, because librbd
takes any of them; the connection then goes to a checked one, so that a name that changes in
between (DNS rebinding) leads to no other host.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from errno import ECONNREFUSED, ECONNRESET, EIO, ENOENT, EPERM, ETIMEDOUT
from typing import Any, Optional

from ..model.errors import errno_text
from ..model.import_policy import ImportPolicy
from .errors import SourceError
from .limits import Deadline, Limits

MAX_ADDRESSES = 16  # addresses of one name; a name with more is refused


@dataclass(frozen=True)
class Rules:
    """The rules for every connection of an inspection."""

    policy: ImportPolicy
    limits: Limits
    deadline: Deadline


class Wire(io.RawIOBase):
    """A socket that bounds the time of a whole exchange, even if bytes arrive slowly.

    ``begin`` starts an exchange. All errors are raised as SourceError.
    """

    def __init__(self, sock: Any, peer: str, rules: Rules) -> None:
        super().__init__()
        self._sock = sock
        self._peer = peer
        self._rules = rules
        self._end = 0.0
        self._files = 0
        self.begin()

    def begin(self, size: int = 0) -> None:
        """Begin an exchange in which ``size`` bytes of contents are expected."""
        seconds = self._rules.limits.answer + size / self._rules.limits.slowest
        self._end = time.monotonic() + seconds

    def _wait(self) -> None:
        left = self._rules.deadline.left(self._end - time.monotonic())
        if left <= 0:
            raise too_slow(self._peer)
        self._sock.settimeout(left)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wait()
        try:
            return int(self._sock.recv_into(buffer))
        except OSError as error:
            raise trouble(self._peer, error) from None

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``."""
        self._wait()
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise trouble(self._peer, error) from None

    def exactly(self, length: int) -> bytes:
        """Read the next ``length`` bytes."""
        data = bytearray()
        while len(data) < length:
            piece = bytearray(min(length - len(data), 1 << 20))
            count = self.readinto(piece)
            if not count:
                raise lost(self._peer)
            data += piece[:count]
        return bytes(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """A file to read from, like that of a socket: closing the last of both ends the
        connection.

        http.client closes its socket before it reads the body of a last answer.
        """
        self._files += 1
        return io.BufferedReader(_Reader(self))

    def release(self) -> None:
        """Note that a file of the socket was closed."""
        self._files -= 1
        if self.closed and not self._files:
            self._sock.close()

    def close(self) -> None:
        super().close()
        if not self._files:
            self._sock.close()


class _Reader(io.RawIOBase):
    """The file object of a Wire."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._wire.release()


def lost(peer: str) -> SourceError:
    """The error for a connection that ended in the middle of an answer."""
    return SourceError(
        "CONNECTION_LOST",
        ECONNRESET,
        f"{peer} closed the connection in the middle of an answer; try again, and look into its "
        "log if this persists.",
        transient=True,
    )


def too_slow(peer: str) -> SourceError:
    """The error for an answer that is missing or too slow."""
    return SourceError(
        "SOURCE_SLOW",
        ETIMEDOUT,
        f"{peer} does not answer, or too slowly; check that it runs and that no firewall is "
        "in between.",
        transient=True,
    )


def trouble(peer: str, error: OSError) -> SourceError:
    """The SourceError for an error of a socket."""
    if isinstance(error, TimeoutError):  # on 3.9 socket.timeout is another class
        return too_slow(peer)
    if isinstance(error, socket.timeout) or error.errno == ETIMEDOUT:
        return too_slow(peer)
    if error.errno == ECONNREFUSED:
        return SourceError(
            "HOST_REFUSED",
            ECONNREFUSED,
            f"{peer} refuses the connection; check the port, and that the server runs there.",
            transient=True,
        )
    if isinstance(error, (ConnectionError, ssl.SSLError)):
        return lost(peer)
    number = error.errno if error.errno and error.errno > 0 else EIO
    return SourceError(
        "HOST_UNREACHABLE",
        number,
        f"{peer} cannot be reached: {errno_text(number)}.",
        transient=True,
    )


def connect(host: str, port: int, rules: Rules) -> Any:
    """Connect to one of the host's addresses, all of which have to be allowed."""
    peer = f"{host}:{port}"
    last: Optional[SourceError] = None
    for address in resolve(host, port, rules):
        try:
            seconds = rules.deadline.left(rules.limits.connect)
            sock = socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            last = trouble(peer, error)
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    raise last or SourceError("HOST_UNKNOWN", ENOENT, f"{host} has no address.")


def resolve(host: str, port: int, rules: Rules) -> list[str]:
    """Resolve the host's addresses, all of which have to be allowed. Raises SourceError."""
    seconds = rules.deadline.left(rules.limits.connect)
    try:
        infos = _within(seconds, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except TimeoutError:
        raise SourceError(
            "HOST_UNKNOWN",
            ETIMEDOUT,
            f"The name {host} was not resolved within {seconds:.0f} seconds; check the DNS.",
            transient=True,
        ) from None
    except (OSError, UnicodeError) as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise SourceError(
            "HOST_UNKNOWN",
            ENOENT,
            f"The name {host} has no address on the manager's host; check its spelling and the "
            "DNS.",
            transient=again,
        ) from None
    addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
    if len(addresses) > MAX_ADDRESSES:
        raise SourceError(
            "HOST_REACH", EPERM, f"The name {host} has more than {MAX_ADDRESSES} addresses."
        )
    for address in addresses:
        refused = rules.policy.refuse_address(host, address)
        if refused:
            raise SourceError("HOST_REACH", EPERM, f"{refused}.")
    return addresses


def connect_unix(path: str, rules: Rules) -> Any:
    """Connect to a Unix socket inside the folders that are open to imports."""
    refused = rules.policy.refuse_file(path, os.path.realpath(path))
    if refused:
        raise SourceError("FILE_REACH", EPERM, f"{refused}.")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(rules.deadline.left(rules.limits.connect))
    try:
        sock.connect(path)
    except OSError as error:
        sock.close()
        if error.errno == ENOENT:
            raise SourceError(
                "FILE_MISSING", ENOENT, f"The socket {path} does not exist on the manager's host."
            ) from None
        raise trouble(f"The socket {path}", error) from None
    return sock


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """Return or raise as ``function``, or raise TimeoutError; getaddrinfo has no timeout."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append((function(), None))
        except (OSError, UnicodeError) as error:
            result.append((None, error))

    thread = threading.Thread(target=run, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if not result:
        raise TimeoutError
    value, error = result[0]
    if error is not None:
        raise error
    return value
