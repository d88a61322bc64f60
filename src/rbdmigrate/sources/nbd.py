"""The stream ``nbd``: a network block device, negotiated by hand (fixed newstyle)."""

from __future__ import annotations

import struct
from contextlib import suppress
from errno import EINVAL, EIO, ENOENT, EPERM, EPROTO
from typing import Optional

from ..model.errors import errno_name
from ..model.url import parse_nbd
from .errors import SourceError
from .net import Rules, Wire, connect, connect_unix
from .stream import Stream

# The protocol's numbers, by the names of its specification.
_INIT = b"NBDMAGIC"
_IHAVEOPT = b"IHAVEOPT"
_OLDSTYLE = 0x00420281861253
_REPLY = 0x3E889045565A9
_REQUEST, _SIMPLE_REPLY = 0x25609513, 0x67446698
_FIXED_NEWSTYLE, _NO_ZEROES = 1, 2
_OPT_EXPORT_NAME, _OPT_ABORT, _OPT_LIST, _OPT_GO = 1, 2, 3, 7
_REP_ACK, _REP_SERVER, _REP_INFO = 1, 2, 3
_ERR = 1 << 31
_ERR_UNSUP, _ERR_POLICY, _ERR_TLS, _ERR_UNKNOWN = _ERR + 1, _ERR + 2, _ERR + 5, _ERR + 6
_INFO_EXPORT = b"\0\0"
_CMD_READ, _CMD_DISC = 0, 2
_MAX_REPLY = 64 << 10  # bytes of a reply to an option; the longest name has 4 KiB
_MAX_REPLIES = 1000  # replies to one option
_MAX_READ = 1 << 20  # bytes; every server takes 1 MiB
_SHOWN = 8  # names of exports in a message


class NbdStream(Stream):
    """An export. ``label`` is its URI."""

    def __init__(self, uri: str, rules: Rules) -> None:
        self.label = uri
        self._uri = parse_nbd(uri)
        self._server = self._uri.socket or f"{self._uri.host}:{self._uri.port}"
        if self._uri.socket:
            sock = connect_unix(self._uri.socket, rules)
        else:
            sock = connect(self._uri.host, self._uri.port, rules)
        self._wire = Wire(sock, f"The NBD server {self._server}", rules)
        self._serial = 0
        self._transmitting = False
        try:
            self.size = self._negotiate()
        except BaseException:
            self.close()
            raise
        self._transmitting = True
        self.identity = {"size": str(self.size), "export": self._uri.export}

    def _error(self, problem: str, errno: int, what: str) -> SourceError:
        return SourceError(problem, errno, f"The NBD server {self._server} {what}.")

    def _negotiate(self) -> int:
        """Choose the export and return its size in bytes."""
        if self._wire.exactly(8) != _INIT:
            raise self._error("NBD_PROTOCOL", EPROTO, "does not speak NBD; check the port")
        magic = self._wire.exactly(8)
        if magic == _OLDSTYLE.to_bytes(8, "big"):
            return self._oldstyle()
        if magic != _IHAVEOPT:
            raise self._error("NBD_PROTOCOL", EPROTO, "speaks an unknown kind of NBD")
        (flags,) = struct.unpack(">H", self._wire.exactly(2))
        if not flags & _FIXED_NEWSTYLE:
            raise self._error("NBD_PROTOCOL", EPROTO, "does not know the fixed newstyle handshake")
        self._no_zeroes = bool(flags & _NO_ZEROES)
        self._wire.sendall(struct.pack(">I", flags & (_FIXED_NEWSTYLE | _NO_ZEROES)))
        size = self._go()
        return self._export_name() if size is None else size

    def _oldstyle(self) -> int:
        """A server from before 2011: one export without a name, and no choice."""
        size, _ = struct.unpack(">QI", self._wire.exactly(12))
        self._wire.exactly(124)
        if self._uri.export:
            raise self._error("NBD_NO_EXPORT", ENOENT, "has only one export, without a name")
        return self._checked(size)

    def _option(self, number: int, data: bytes) -> None:
        self._wire.sendall(_IHAVEOPT + struct.pack(">II", number, len(data)) + data)

    def _answer(self) -> tuple[int, bytes]:
        magic, _, kind, length = struct.unpack(">QIII", self._wire.exactly(20))
        if magic != _REPLY or length > _MAX_REPLY:
            raise self._error("NBD_PROTOCOL", EPROTO, "gives an answer that is not NBD")
        return kind, self._wire.exactly(length)

    def _go(self) -> Optional[int]:
        """Request the export; return its size, or None if the server does not know NBD_OPT_GO."""
        name = self._uri.export.encode()
        self._option(_OPT_GO, struct.pack(">I", len(name)) + name + struct.pack(">H", 0))
        size: Optional[int] = None
        for _ in range(_MAX_REPLIES):
            kind, data = self._answer()
            if kind == _REP_INFO and len(data) >= 12 and data[:2] == _INFO_EXPORT:
                size = int.from_bytes(data[2:10], "big")
            elif kind == _REP_ACK and size is not None:
                return self._checked(size)
            elif kind == _ERR_UNSUP:
                return None
            elif kind & _ERR:
                raise self._refused(kind)
        raise self._error("NBD_PROTOCOL", EPROTO, "does not say how large the export is")

    def _export_name(self) -> int:
        """Request the export from servers before 2016, which hang up when the name is unknown."""
        self._option(_OPT_EXPORT_NAME, self._uri.export.encode())
        size, _ = struct.unpack(">QH", self._wire.exactly(10))
        if not self._no_zeroes:
            self._wire.exactly(124)
        return self._checked(size)

    def _checked(self, size: int) -> int:
        if size >= 1 << 63:
            raise self._error("NBD_PROTOCOL", EPROTO, "names an impossible size")
        return size

    def _refused(self, kind: int) -> SourceError:
        if kind == _ERR_UNKNOWN:
            names = ", ".join(map(repr, self._exports()))
            has = f"; it has {names}" if names else ""
            what = f"the export {self._uri.export!r}" if self._uri.export else "a default export"
            return self._error("NBD_NO_EXPORT", ENOENT, f"does not have {what}{has}")
        if kind == _ERR_TLS:
            return self._error(
                "NBD_TLS",
                EPERM,
                "wants TLS for this export, which imports do not use; offer it without",
            )
        if kind == _ERR_POLICY:
            return self._error("NBD_REFUSED", EPERM, "does not let this host use the export")
        return self._error("NBD_REFUSED", EINVAL, f"refuses the export (reply {kind - _ERR})")

    def _exports(self) -> list[str]:
        """The first names of the server's exports; empty if it does not list them."""
        names: list[str] = []
        try:
            self._option(_OPT_LIST, b"")
            for _ in range(_MAX_REPLIES):
                kind, data = self._answer()
                if kind != _REP_SERVER or len(data) < 4:
                    break
                names.append(
                    data[4 : 4 + int.from_bytes(data[:4], "big")].decode("utf-8", "replace")
                )
        except SourceError:
            return []
        return names[:_SHOWN]

    def read_at(self, offset: int, length: int) -> bytes:
        end = offset + length
        begins = range(offset, end, _MAX_READ)
        return b"".join(self._piece(begin, min(_MAX_READ, end - begin)) for begin in begins)

    def _piece(self, offset: int, length: int) -> bytes:
        self._serial += 1
        self._wire.begin(length)
        self._wire.sendall(
            struct.pack(">IHHQQI", _REQUEST, 0, _CMD_READ, self._serial, offset, length)
        )
        magic, error, serial = struct.unpack(">IIQ", self._wire.exactly(16))
        if magic != _SIMPLE_REPLY or serial != self._serial:
            raise self._error("NBD_PROTOCOL", EPROTO, "gives an answer that is not NBD")
        if error:
            raise SourceError(
                "NBD_READ",
                EIO,
                f"The NBD server {self._server} cannot read {length} bytes at {offset} "
                f"({errno_name(error)}).",
                transient=True,
            )
        return self._wire.exactly(length)

    def close(self) -> None:
        with suppress(SourceError):  # the server may be gone already
            if self._transmitting:
                self._wire.begin()
                self._wire.sendall(struct.pack(">IHHQQI", _REQUEST, 0, _CMD_DISC, 0, 0, 0))
        self._wire.close()
