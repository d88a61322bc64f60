"""A client of our own qemu-nbd: many reads in flight over one connection, and where the data is.

The server is QEMU, but what it reads is hostile, so that nothing of its answers is trusted: a
wrong one ends the connection.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Callable
from errno import EIO, EPROTO, ETIMEDOUT
from typing import Optional

_INIT_MAGIC, _OPTION_MAGIC = 0x4E42444D41474943, 0x49484156454F5054
_REPLY_MAGIC = 0x0003E889045565A9
_REQUEST, _SIMPLE, _CHUNK = 0x25609513, 0x67446698, 0x668E33EF
_GO, _STRUCTURED, _SET_META = 7, 8, 10
_ACK, _INFO, _META, _ERROR = 1, 3, 4, 1 << 31
_READ, _BLOCK_STATUS = 0, 7
_CONTEXT = b"base:allocation"
_DONE = 1  # flag of the last chunk of an answer
_OFFSET_DATA, _OFFSET_HOLE, _STATUS, _CHUNK_ERROR = 1, 2, 5, 1 << 15
_ZERO = 2  # flag of an extent that reads as zeros
_LONGEST_STATUS = 1 << 31  # bytes asked about at once
_MOST_EXTENTS = 1 << 20  # of one answer
_LONGEST_READ = 32 << 20

ReadDone = Callable[[int, bytes], None]


class NbdFailed(Exception):
    """The connection ended: the server is gone, too late, or did not keep to the protocol."""

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno


class _Waiting:
    """A request without its answer. ``errno`` is what a part of the answer said."""

    errno = 0

    def told(self, errno: int) -> None:
        """It was answered; an errno of the connection."""


class _Read(_Waiting):
    """``whole``: the content, where it came in one part, which most does: without another copy."""

    def __init__(self, offset: int, length: int, done: ReadDone) -> None:
        self.offset = offset
        self.length = length
        self.whole = b""
        self._parts: Optional[bytearray] = None
        self._done = done

    @property
    def parts(self) -> bytearray:
        """Where parts of the content are put."""
        if self._parts is None:
            self._parts = bytearray(self.length)
        return self._parts

    def told(self, errno: int) -> None:
        errno = errno or self.errno
        self._done(errno, b"" if errno else self.whole or bytes(self.parts))


class _Status(_Waiting):
    """``extents``: length, and whether it may hold data."""

    def __init__(self) -> None:
        self.extents: list[tuple[int, bool]] = []
        self.ended = threading.Event()

    def told(self, errno: int) -> None:
        self.errno = errno or self.errno
        self.ended.set()


class NbdClient:
    """A connection to qemu-nbd. ``size``: bytes of the disk. Thread-safe.

    ``patience``: seconds that an answer may take. Raises NbdFailed.
    """

    def __init__(self, connection: socket.socket, *, opening: float, patience: float) -> None:
        self._socket = connection
        self._handles = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._failed = 0
        self.tells_holes = False
        connection.settimeout(None)
        self._wait_at_most(opening)
        try:
            self.size = self._negotiate()
        except (OSError, struct.error) as error:
            late = isinstance(error, (socket.timeout, TimeoutError))
            raise NbdFailed(ETIMEDOUT if late else EIO) from None
        self._wait_at_most(patience)
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._receiver.start()

    def _wait_at_most(self, seconds: float) -> None:
        """Bound each wait by the kernel: with a timeout of Python's, reads would be short ones."""
        limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def _negotiate(self) -> int:
        magic, option, flags = struct.unpack(">QQH", self._take(18))
        if magic != _INIT_MAGIC or option != _OPTION_MAGIC or not flags & 1:
            raise NbdFailed(EPROTO)
        self._socket.sendall(struct.pack(">I", flags & 3))
        if self._option(_STRUCTURED, b"")[0]:
            query = struct.pack(">III", 0, 1, len(_CONTEXT)) + _CONTEXT
            accepted, replies = self._option(_SET_META, query)
            self.tells_holes = accepted and [kind for kind, _ in replies] == [_META]
        accepted, replies = self._option(_GO, struct.pack(">IH", 0, 0))
        for kind, data in replies:
            if kind == _INFO and len(data) == 12 and data[:2] == b"\0\0":
                return int.from_bytes(data[2:10], "big")
        raise NbdFailed(EPROTO)

    def _option(self, option: int, data: bytes) -> tuple[bool, list[tuple[int, bytes]]]:
        """Whether the server accepts an option, and what it answered."""
        self._socket.sendall(struct.pack(">QII", _OPTION_MAGIC, option, len(data)) + data)
        replies: list[tuple[int, bytes]] = []
        while len(replies) < 64:
            magic, about, kind, length = struct.unpack(">QIII", self._take(20))
            if magic != _REPLY_MAGIC or about != option or length > 4096:
                raise NbdFailed(EPROTO)
            payload = self._take(length)
            if kind == _ACK or kind & _ERROR:
                return kind == _ACK, replies
            replies.append((kind, payload))
        raise NbdFailed(EPROTO)

    @property
    def failed(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._failed)

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read; ``done`` gets a positive errno, 0 for success, and the bytes."""
        if length > _LONGEST_READ:
            raise ValueError("too much for one request")
        self._request(_READ, offset, length, _Read(offset, length, done))

    def data(self, offset: int, length: int) -> list[tuple[int, int]]:
        """(offset, length) of what may hold data in this part of the disk, in rising order."""
        found: list[tuple[int, int]] = []
        end = offset + length
        while offset < end:
            asked = min(_LONGEST_STATUS, end - offset)
            if not self.tells_holes:
                found.append((offset, end - offset))
                return found
            for told, data in self._status(offset, asked):
                part = min(told, end - offset)
                if data and found and sum(found[-1]) == offset:
                    found[-1] = (found[-1][0], found[-1][1] + part)
                elif data:
                    found.append((offset, part))
                offset += part
        return found

    def _status(self, offset: int, length: int) -> list[tuple[int, bool]]:
        status = _Status()
        self._request(_BLOCK_STATUS, offset, length, status)
        status.ended.wait()
        if status.errno or not sum(part for part, _ in status.extents):
            raise NbdFailed(status.errno or EPROTO)
        return status.extents

    def _request(self, command: int, offset: int, length: int, waiting: _Waiting) -> None:
        handle = next(self._handles)
        with self._lock:
            failed = self._failed
            if not failed:
                self._waiting[handle] = waiting
        if failed:
            raise NbdFailed(failed)
        header = struct.pack(">IHHQQI", _REQUEST, 0, command, handle, offset, length)
        try:
            with self._sending:
                self._socket.sendall(header)
        except OSError:
            self._fail(EIO)  # answers what waits, this request too

    def _take(self, length: int) -> bytes:
        parts: list[bytes] = []
        while length:
            try:
                part = self._socket.recv(length, socket.MSG_WAITALL)
            except BlockingIOError:
                raise socket.timeout from None
            if not part:
                raise NbdFailed(EIO)
            parts.append(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _receive(self) -> None:
        """Take answers until the connection ends; then everything that waits has failed."""
        errno = EIO
        try:
            while True:
                try:
                    magic = self._take(4)
                except (socket.timeout, TimeoutError):
                    if self._waiting:
                        raise
                    continue  # nobody asked for anything
                self._answer(int.from_bytes(magic, "big"))
        except (socket.timeout, TimeoutError):
            errno = ETIMEDOUT
        except NbdFailed as error:
            errno = error.errno
        except Exception:  # whatever it is, nobody may wait without end
            errno = EIO
        self._fail(errno)

    def _answer(self, magic: int) -> None:
        if magic == _SIMPLE:
            errno, handle = struct.unpack(">IQ", self._take(12))
            waiting = self._known(handle)
            if isinstance(waiting, _Read) and not errno:
                waiting.whole = self._take(waiting.length)
            self._end(handle, errno)
            return
        if magic != _CHUNK:
            raise NbdFailed(EPROTO)
        flags, kind, handle, length = struct.unpack(">HHQI", self._take(16))
        waiting = self._known(handle)
        waiting.errno = self._chunk(waiting, kind, length) or waiting.errno
        if flags & _DONE:
            self._end(handle, 0)

    def _chunk(self, waiting: _Waiting, kind: int, length: int) -> int:
        """Take one part of an answer; its errno."""
        if kind & _CHUNK_ERROR:
            payload = self._take(min(length, 8192))
            return int.from_bytes(payload[:4], "big") or EIO
        if kind == 0 and not length:
            return 0
        if isinstance(waiting, _Status) and kind == _STATUS and length >= 4 and length % 8 == 4:
            if length > 8 * _MOST_EXTENTS:
                raise NbdFailed(EPROTO)
            words = struct.unpack(f">{length // 4}I", self._take(length))[1:]
            pairs = zip(words[::2], words[1::2])
            waiting.extents.extend((part, not flags & _ZERO) for part, flags in pairs)
            return 0
        if not isinstance(waiting, _Read) or kind not in (_OFFSET_DATA, _OFFSET_HOLE):
            raise NbdFailed(EPROTO)
        at = int.from_bytes(self._take(8), "big") - waiting.offset
        size = length - 8
        if kind == _OFFSET_HOLE:
            size = int.from_bytes(self._take(4), "big")
        if at < 0 or size < 0 or at + size > waiting.length:
            raise NbdFailed(EPROTO)
        if kind == _OFFSET_DATA and size == waiting.length:
            waiting.whole = self._take(size)
        elif kind == _OFFSET_DATA:
            waiting.parts[at : at + size] = self._take(size)
        return 0

    def _known(self, handle: int) -> _Waiting:
        with self._lock:
            waiting = self._waiting.get(handle)
        if waiting is None:
            raise NbdFailed(EPROTO)
        return waiting

    def _end(self, handle: int, errno: int) -> None:
        with self._lock:
            waiting = self._waiting.pop(handle, None)
        if waiting is not None:
            waiting.told(errno)

    def _fail(self, errno: int) -> None:
        with self._lock:
            self._failed = self._failed or errno
            waiting, self._waiting = list(self._waiting.values()), {}
        for one in waiting:
            one.told(errno)

    def close(self) -> None:
        """End the connection. Never raises."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._failed = self._failed or EIO  # it ended before
        self._receiver.join()
        self._socket.close()
