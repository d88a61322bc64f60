"""Files in an archive of tar, such as an OVA or what clouds export: found, and read where they lie.

A file that tar packed as a sparse one, as Google's images are, is read with its holes.
"""

from __future__ import annotations

import bisect
import io
import tarfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EINVAL, EIO, ENOENT
from typing import Optional, cast

from .errors import SourceError
from .stream import BLOCK, Bytes, Stream

_MOST = 1000  # files in an archive
_LONGEST = 16 << 10  # bytes of a read: of a header, also of one with a long name
_HEADERS = 2 << 20  # bytes of all headers, with the lists of what sparse files have
_SHOWN = 8  # names in a message


@dataclass(frozen=True)
class _Part:
    """What a file has from ``offset`` on: ``length`` bytes, at ``place`` in the archive."""

    offset: int
    length: int
    place: int


class MemberStream(Stream):
    """A file in an archive. The archive is closed with it."""

    def __init__(self, archive: Stream, found: _Found) -> None:
        self.label = f"{found.name!r} in {archive.label}"
        self.identity = archive.identity
        self.size = found.size
        self._archive = archive
        self._parts = found.parts
        self._ends = [part.offset + part.length for part in found.parts]

    def read_at(self, offset: int, length: int) -> bytes:
        pieces = []
        for part in self._parts[bisect.bisect_right(self._ends, offset) :]:
            if length <= 0 or part.offset >= offset + length:
                break
            hole = min(max(0, part.offset - offset), length)
            count = min(part.offset + part.length - offset, length) - hole
            at = part.place + offset + hole - part.offset
            pieces += [bytes(hole), self._archive.read(at, count)]
            offset, length = offset + hole + count, length - hole - count
        pieces.append(bytes(length))
        return b"".join(pieces)

    def close(self) -> None:
        self._archive.close()


class MemberBytes:
    """A file in an archive that is read from its beginning to its end. ``size``: bytes of it.

    ``source`` is closed with it.
    """

    def __init__(self, source: Bytes, name: str, label: str) -> None:
        """Finds the file. Raises SourceError."""
        self._label = f"{name!r} in {label}"
        self._source = source
        self._archive = _Forward(source)
        with _explained(label):
            found = _found(self._archive, name, label)
        self.size = found.size
        self._parts = list(reversed(found.parts))
        self._position = 0

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        while self._parts and self._position == self._parts[-1].offset + self._parts[-1].length:
            self._parts.pop()
        if not self._parts or self._position < self._parts[-1].offset:
            end = self._parts[-1].offset if self._parts else self.size
            data = bytes(min(length, BLOCK, end - self._position))
        else:
            part = self._parts[-1]
            self._archive.seek(part.place + self._position - part.offset)
            left = part.offset + part.length - self._position
            data = self._archive.next(min(length, left))
            if not data:
                raise SourceError(
                    "SOURCE_TRUNCATED",
                    EIO,
                    f"{self._label} ended after {self._position} bytes of {self.size}: the archive "
                    "is cut off.",
                )
        self._position += len(data)
        return data

    def close(self) -> None:
        """End it. Never raises."""
        self._source.close()


def member_of(archive: Stream, name: str) -> Stream:
    """The file ``name`` in an archive. Raises SourceError, and closes the archive then."""
    try:
        with _explained(archive.label):
            return MemberStream(archive, _found(_Headers(archive), name, archive.label))
    except BaseException:
        archive.close()
        raise


@contextmanager
def _explained(label: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise SourceError(
            "ARCHIVE_BROKEN",
            EINVAL,
            f"{label} is not an archive of tar, or damaged ({_why(error)}); leave out "
            "the member if it is the disk itself.",
        ) from None


@dataclass(frozen=True)
class _Found:
    """A file of an archive, and where its parts lie; what is between them is zeros."""

    name: str
    size: int
    parts: tuple[_Part, ...]


def _found(archive: _Reader, name: str, label: str) -> _Found:
    names: list[str] = []
    with tarfile.open(fileobj=archive, mode="r:") as tar:
        for number, entry in enumerate(tar, 1):
            if number > _MOST:
                raise ValueError(f"more than {_MOST} files")
            if not entry.isfile():
                continue
            plain = entry.name.removeprefix("./")
            if plain != name.removeprefix("./"):
                names.append(repr(plain[:80]))
                continue
            parts = _parts_of(entry)
            end = max((part.place + part.length for part in parts), default=0)
            if entry.size < 0 or not archive.reaches(end):
                raise ValueError("it is cut off")
            return _Found(plain, entry.size, parts)
    more = " and more" if len(names) > _SHOWN else ""
    has = f"it has {', '.join(names[:_SHOWN])}{more}" if names else "it has no files"
    raise SourceError("ARCHIVE_MEMBER", ENOENT, f"{label} has no file {name!r}; {has}.")


def _parts_of(entry: tarfile.TarInfo) -> tuple[_Part, ...]:
    """What of a file is in the archive. Raises ValueError for parts that are out of order."""
    sparse = cast("Optional[list[tuple[int, int]]]", entry.sparse)  # typeshed says bytes
    if sparse is None:
        return (_Part(0, entry.size, entry.offset_data),) if entry.size > 0 else ()
    parts, end, place = [], 0, entry.offset_data
    for offset, length in sparse:
        if offset < end or length < 0 or offset + length > entry.size:
            raise ValueError("a sparse file whose parts are out of order")
        end = offset + length
        if length:
            parts.append(_Part(offset, length, place))
        place += length
    return tuple(parts)


def _why(error: Exception) -> str:
    text = str(error).strip()
    return text if text.isprintable() and len(text) < 100 else type(error).__name__


class _Reader(io.RawIOBase):
    """An archive as a file of Python's, for reading its headers alone."""

    def __init__(self) -> None:
        super().__init__()
        self._position = 0
        self._left = _HEADERS  # bytes that may still be read

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    @abstractmethod
    def reaches(self, end: int) -> bool:
        """Whether the archive can have bytes up to ``end``."""

    def _charge(self, size: int) -> None:
        """Require that a read of headers is not too long. Raises ValueError."""
        if not 0 <= size <= min(_LONGEST, self._left):
            raise ValueError("a header is too long")
        self._left -= size


class _Headers(_Reader):
    """An archive that is read anywhere."""

    def __init__(self, archive: Stream) -> None:
        super().__init__()
        self._archive = archive

    def reaches(self, end: int) -> bool:
        return end <= self._archive.size

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._position, 2: self._archive.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        self._charge(size)
        data = self._archive.read(self._position, size)
        self._position += len(data)
        return data


class _Forward(_Reader):
    """An archive that is read from its beginning to its end."""

    def __init__(self, source: Bytes) -> None:
        super().__init__()
        self._source = source

    def reaches(self, end: int) -> bool:
        return True  # that shows when it is read

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence or offset < self._position:
            raise ValueError("it cannot be read backwards")
        while self._position < offset:
            if not self.next(min(BLOCK, offset - self._position)):
                break
        return self._position

    def next(self, length: int) -> bytes:
        """Up to ``length`` of the bytes that follow; none at the end. Raises SourceError."""
        data = self._source.read(length)
        self._position += len(data)
        return data

    def read(self, size: int = -1) -> bytes:
        self._charge(size)
        parts = []
        while size:
            data = self.next(size)
            if not data:
                break
            parts.append(data)
            size -= len(data)
        return b"".join(parts)
