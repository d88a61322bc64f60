"""Files in an archive of tar, such as an OVA: where they lie, and reading them there."""

from __future__ import annotations

import io
import tarfile
from errno import EINVAL, ENOENT, EOPNOTSUPP

from .errors import SourceError
from .stream import Stream

_MOST = 1000  # files in an archive
_LONGEST = 16 << 10  # bytes of a read: of a header, also of one with a long name
_SHOWN = 8  # names in a message


class MemberStream(Stream):
    """A file in an archive. The archive is closed with it."""

    def __init__(self, archive: Stream, name: str, offset: int, size: int) -> None:
        self.label = f"{name!r} in {archive.label}"
        self.identity = archive.identity
        self.size = size
        self._archive = archive
        self._offset = offset

    def read_at(self, offset: int, length: int) -> bytes:
        return self._archive.read(self._offset + offset, length)

    def close(self) -> None:
        self._archive.close()


def member_of(archive: Stream, name: str) -> Stream:
    """The file ``name`` in an archive. Raises SourceError, and closes the archive then."""
    try:
        return _found(archive, name)
    except (tarfile.TarError, EOFError, ValueError) as error:
        archive.close()
        raise SourceError(
            "ARCHIVE_BROKEN",
            EINVAL,
            f"{archive.label} is not an archive of tar, or damaged ({_why(error)}); leave out "
            "the member if it is the disk itself.",
        ) from None
    except BaseException:
        archive.close()
        raise


def _found(archive: Stream, name: str) -> Stream:
    names: list[str] = []
    with tarfile.open(fileobj=_Headers(archive), mode="r:") as tar:
        for number, entry in enumerate(tar, 1):
            if number > _MOST:
                raise ValueError(f"more than {_MOST} files")
            if not entry.isfile():
                continue
            plain = entry.name.removeprefix("./")
            if plain != name.removeprefix("./"):
                names.append(repr(plain[:80]))
                continue
            if entry.issparse():
                raise SourceError(
                    "ARCHIVE_SPARSE",
                    EOPNOTSUPP,
                    f"{archive.label} has {name!r} as a sparse file, which is not read; unpack it "
                    "with `tar -xf`, or pack it without --sparse.",
                )
            if not 0 <= entry.size <= archive.size - entry.offset_data:
                raise ValueError("it is cut off")
            return MemberStream(archive, plain, entry.offset_data, entry.size)
    more = " and more" if len(names) > _SHOWN else ""
    has = f"it has {', '.join(names[:_SHOWN])}{more}" if names else "it has no files"
    raise SourceError("ARCHIVE_MEMBER", ENOENT, f"{archive.label} has no file {name!r}; {has}.")


def _why(error: Exception) -> str:
    text = str(error).strip()
    return text if text.isprintable() and len(text) < 100 else type(error).__name__


class _Headers(io.RawIOBase):
    """An archive as a file of Python's, for reading its headers alone."""

    def __init__(self, archive: Stream) -> None:
        super().__init__()
        self._archive = archive
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._position, 2: self._archive.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST:
            raise ValueError("a header is too long")
        data = self._archive.read(self._position, size)
        self._position += len(data)
        return data
