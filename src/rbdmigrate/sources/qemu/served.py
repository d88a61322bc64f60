"""Serves a stream to QEMU, which itself reaches no server: NBD, one read at a time."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from errno import EINVAL, EIO
from typing import Optional

from ..errors import SourceError
from ..stream import Stream

_INIT_MAGIC, _OPTION_MAGIC = 0x4E42444D41474943, 0x49484156454F5054
_REPLY_MAGIC = 0x0003E889045565A9
_REQUEST, _SIMPLE = 0x25609513, 0x67446698
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_EXPORT_NAME, _ABORT, _INFO, _GO = 1, 2, 6, 7
_ACK, _EXPORT, _UNSUPPORTED = 1, 3, (1 << 31) + 1
_HAS_FLAGS, _READ_ONLY = 1, 2
_READ, _DISCONNECT = 0, 2
_LONGEST = 32 << 20  # bytes of a request
_AHEAD = 1 << 20  # bytes; small reads are done at once with what follows them
_KEPT = 8  # answers that are kept


class Served:
    """A stream that QEMU reads. The stream is the caller's; ``failure`` is its first error."""

    def __init__(self, stream: Stream, connection: socket.socket) -> None:
        self._stream = stream
        self._socket = connection
        self.failure: Optional[SourceError] = None
        self._kept: dict[int, bytes] = {}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError, EOFError, struct.error):  # QEMU is gone
            self._negotiate()
            while True:
                magic, _, command, handle, offset, length = struct.unpack(">IHHQQI", self._take(28))
                if magic != _REQUEST or command == _DISCONNECT:
                    return
                errno, content = self._answer(command, offset, length)
                self._socket.sendall(struct.pack(">IIQ", _SIMPLE, errno, handle) + content)

    def _negotiate(self) -> None:
        flags = _FIXED_NEWSTYLE | _NO_ZEROES
        self._socket.sendall(struct.pack(">QQH", _INIT_MAGIC, _OPTION_MAGIC, flags))
        self._take(4)
        while True:
            _, option, length = struct.unpack(">QII", self._take(16))
            self._take(min(length, 4096))
            sent = _HAS_FLAGS | _READ_ONLY
            if option == _EXPORT_NAME:
                self._socket.sendall(struct.pack(">QH", self._stream.size, sent))
                return
            if option in (_GO, _INFO):
                self._reply(option, _EXPORT, struct.pack(">HQH", 0, self._stream.size, sent))
                self._reply(option, _ACK, b"")
            elif option == _ABORT:
                raise EOFError
            else:
                self._reply(option, _UNSUPPORTED, b"")
            if option == _GO:
                return

    def _reply(self, option: int, kind: int, data: bytes) -> None:
        header = struct.pack(">QIII", _REPLY_MAGIC, option, kind, len(data))
        self._socket.sendall(header + data)

    def _answer(self, command: int, offset: int, length: int) -> tuple[int, bytes]:
        if command != _READ or length > _LONGEST or offset + length > self._stream.size:
            return EINVAL, b""
        try:
            return 0, self._read(offset, length)
        except SourceError as error:
            self.failure = self.failure or error
            return EIO, b""

    def _read(self, offset: int, length: int) -> bytes:
        """Read; tables are read in small parts, for which a server is not asked each time."""
        if length >= _AHEAD:
            return self._stream.read(offset, length)
        parts = []
        while length:
            number, begin = divmod(offset, _AHEAD)
            if number not in self._kept:
                while len(self._kept) >= _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[number] = self._stream.read(number * _AHEAD, _AHEAD)
            part = self._kept[number][begin : begin + length]
            if not part:
                break
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def _take(self, length: int) -> bytes:
        content = b""
        while len(content) < length:
            more = self._socket.recv(length - len(content))
            if not more:
                raise EOFError
            content += more
        return content

    def close(self) -> None:
        """End it. Never raises."""
        with contextlib.suppress(OSError):  # QEMU was first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
