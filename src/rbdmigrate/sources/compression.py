"""Decompressing a stream of bytes from its beginning to its end, in constant memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from errno import EBADMSG, EINVAL
from typing import Any, Protocol

from .errors import SourceError
from .stream import Bytes
from .zstd import ZstdDecompressor, ZstdFailed

MAGIC_LENGTH = 6
_BLOCK = 256 << 10  # bytes that are taken from the source at a time
_XZ_MEMORY = 256 << 20  # bytes; `xz -9` needs 65 MiB
_MAGIC = {"gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ\0", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh"}
_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, ZstdFailed, MemoryError, ValueError)


class Decompressor(Protocol):
    """What decompresses one part of a file, which may have several one after another."""

    @property
    def eof(self) -> bool:
        """Whether the part has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether it needs more data."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most ``max_length`` bytes more."""


def known_compression(head: bytes) -> str:
    """How a file with this beginning is compressed; empty if that is not known."""
    for name, magic in _MAGIC.items():
        if head.startswith(magic):
            return name
    # A frame that is skipped; pzstd begins with one.
    skipped = len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50
    return "zstd" if skipped else ""


def require_compression(head: bytes, kind: str, label: str) -> None:
    """Require that a file with this beginning is compressed as is said. Raises SourceError."""
    found = known_compression(head)
    if found != kind:
        begins = f"begins as {found} does" if found else "begins otherwise"
        raise SourceError(
            "COMPRESSION_OTHER",
            EINVAL,
            f"{label} is not compressed by {kind}: it {begins}; check the compression in the "
            "source-spec.",
        )


def decompressed(source: Bytes, kind: str, label: str) -> Bytes:
    """The bytes of ``source`` without their compression ``kind``. Raises SourceError."""
    source = _Looked(source)
    require_compression(source.head, kind, label)
    if kind == "gzip":
        return _Gzip(source, label)
    if kind == "xz":
        return _Parts(source, label, _xz, padding=True)
    return _Parts(source, label, ZstdDecompressor if kind == "zstd" else bz2.BZ2Decompressor)


class _Looked:
    """Bytes of which the first ones, ``head``, were looked at."""

    def __init__(self, source: Bytes) -> None:
        self._source = source
        head = b""
        while len(head) < MAGIC_LENGTH:
            more = source.read(MAGIC_LENGTH - len(head))
            if not more:
                break
            head += more
        self.head = self._left = head

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        if self._left:
            found, self._left = self._left[:length], self._left[length:]
            return found
        return self._source.read(length)

    def close(self) -> None:
        """End it. Never raises."""
        self._source.close()


def _xz() -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _broken(label: str, error: Exception) -> SourceError:
    if isinstance(error, MemoryError) or "emory" in str(error):
        what = f"needs more memory than it may have ({str(error).rstrip('.') or 'too little'})"
        return SourceError(
            "COMPRESSION_MEMORY",
            EINVAL,
            f"Decompressing {label} {what}; unpack it, or compress it with a smaller window.",
        )
    why = str(error).rstrip(".") or type(error).__name__
    return SourceError(
        "COMPRESSION_BROKEN",
        EBADMSG,
        f"{label} cannot be decompressed: {why[:1].lower()}{why[1:]}; it is damaged or cut off.",
    )


class _Gzip:
    """Files of gzip: several parts one after another, each with its checksum."""

    def __init__(self, source: Bytes, label: str) -> None:
        self._source = source
        self._label = label
        self._file = gzip.GzipFile(fileobj=io.BufferedReader(_Raw(source), _BLOCK), mode="rb")

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        try:
            return self._file.read1(length)
        except _ERRORS as error:
            raise _broken(self._label, error) from None

    def close(self) -> None:
        """End it. Never raises."""
        self._source.close()


class _Raw(io.RawIOBase):
    """Bytes as a file of Python's."""

    def __init__(self, source: Bytes) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Parts:
    """Files of one part or several; ``padding``: zeros between them count for nothing."""

    def __init__(
        self,
        source: Bytes,
        label: str,
        new: Callable[[], Decompressor],
        *,
        padding: bool = False,
    ) -> None:
        self._source = source
        self._label = label
        self._new = new
        self._padding = padding
        self._part = new()

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        try:
            return self._read(length)
        except _ERRORS as error:
            raise _broken(self._label, error) from None

    def _read(self, length: int) -> bytes:
        while True:
            data = b""
            if self._part.eof:
                data = self._next()
                if not data:
                    return b""
                self._part = self._new()
            elif self._part.needs_input:
                data = self._source.read(_BLOCK)
                if not data:
                    raise EOFError("it ends in the middle")
            found = self._part.decompress(data, length)
            if found:
                return found

    def _next(self) -> bytes:
        """The beginning of the next part; empty when there is none."""
        data = self._part.unused_data
        while True:
            data = data.lstrip(b"\0") if self._padding else data
            if data:
                return data
            data = self._source.read(_BLOCK)
            if not data:
                return b""

    def close(self) -> None:
        """End it. Never raises."""
        self._source.close()
