"""Raw disks that are read in one go, from their beginning to their end.

That is so for what is compressed, for what a server gives in order only, and where a checksum is
computed of the very bytes that are copied. To go back means to begin again.
"""

from __future__ import annotations

from errno import EINVAL, EIO
from typing import Optional

from ..model.source import StreamSpec
from .compression import MAGIC_LENGTH, require_compression
from .conversion import counted
from .errors import SourceError
from .limits import Deadline
from .stream import BLOCK, Stream
from .unpacked import Unpacked
from .xz_index import unpacked_size
from .zstd import HEADER, content_size

_HEAD = 4096  # bytes that are kept, for looking at them again


def comes_in_order(opened: Stream, spec: StreamSpec) -> bool:
    """Whether a stream is read from its first to its last byte, so that its checksum is too."""
    return opened.in_order or bool(spec.compression)


def summed_in_passing(kind: str, opened: Stream, spec: StreamSpec) -> bool:
    """Whether the checksum is computed of the very bytes that are copied, in a single reading.

    Otherwise what is read is of a format that is read in any order, or a part of an archive.
    """
    whole = kind == "raw" and not spec.member
    return bool(spec.checksum) and (whole or comes_in_order(opened, spec))


def disk_in(
    opened: Stream, spec: StreamSpec, *, summed: bool, deadline: Optional[Deadline] = None
) -> Stream:
    """The raw disk in a stream, which is ``opened``: in order where it has to be. SourceError.

    ``opened`` is closed with what is returned, and when an error is raised. ``summed``: ``finish``
    compares the checksum, if it can be computed in passing. ``deadline``: of an inspection.
    """
    summed = summed and summed_in_passing("raw", opened, spec)
    try:
        if comes_in_order(opened, spec) or summed:
            return InOrderStream(opened, spec, summed=summed, deadline=deadline)
        if spec.size and spec.size != opened.size:
            raise other_size(spec.location, spec.size, f"has {opened.size} bytes")
    except BaseException:
        opened.close()
        raise
    return opened


def other_size(label: str, size: int, what: str) -> SourceError:
    """The error for a disk of another size than ``size``, which was given."""
    return SourceError(
        "STREAM_SIZE",
        EINVAL,
        f"{label} {what}, and not {size}, as was said; correct the size in the source-spec, or "
        "find out whether the file is complete.",
    )


class InOrderStream(Stream):
    """A disk in order. ``served`` are the bytes as they come, which are closed with it."""

    in_order = True

    def __init__(
        self, served: Stream, spec: StreamSpec, *, summed: bool, deadline: Optional[Deadline]
    ) -> None:
        self.label = served.label
        self.identity = served.identity
        self._served = served
        self._spec = spec
        self._summed = summed
        self._deadline = deadline
        self._bytes: Optional[Unpacked] = None
        self._pending = b""  # was taken from ``_bytes``, and not given yet
        self._position = 0
        self.size = 0 if spec.member else self._disk_size()
        begun = self._begin()
        if begun.size is not None:
            self.size = begun.size
            if spec.size and spec.size != self.size:
                raise other_size(self.label, spec.size, f"has a disk of {self.size} bytes")
        self.fickle = served.fickle
        self._head = self._exactly(min(_HEAD, self.size))
        self._pending, self._position = self._head, 0

    def _disk_size(self) -> int:
        """Bytes of the disk. Raises SourceError where nothing says them."""
        spec, served = self._spec, self._served
        if not spec.compression and served.known_size:
            if spec.size and spec.size != served.size:
                raise other_size(spec.location, spec.size, f"has {served.size} bytes")
            return served.size
        size = spec.size or self._size_in_file()
        if not size:
            raise SourceError(
                "STREAM_SIZE",
                EINVAL,
                f"{spec.location} does not say how long the disk in it is, and the image is made "
                'before it is read; add "size": BYTES to the stream of the source-spec.',
                remedy=counted(spec),
            )
        return size

    def _size_in_file(self) -> int:
        """What a compressed file says of the disk in it; 0 where it does not."""
        spec, served = self._spec, self._served
        if served.in_order or not spec.compression:
            return 0
        head = served.read(0, max(MAGIC_LENGTH, HEADER))
        require_compression(head, spec.compression, self.label)
        if spec.compression == "xz":
            return unpacked_size(served) or 0
        return content_size(head) if spec.compression == "zstd" else 0

    def _begin(self) -> Unpacked:
        """Begin at the first byte, once more."""
        if self._bytes is not None:
            self._bytes.close()
        self._bytes = None  # when beginning fails, the next read begins
        self._bytes = Unpacked(
            self._served, self._spec, summed=self._summed, deadline=self._deadline
        )
        self._pending, self._position = b"", 0
        return self._bytes

    def read_at(self, offset: int, length: int) -> bytes:
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        if self._bytes is None or offset < self._position:
            self._begin()
        while self._position < offset:
            self._exactly(min(BLOCK, offset - self._position))
        return self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        """The next ``length`` bytes, which the disk has to have."""
        parts = []
        while length:
            part = self._next(length)
            if not part:
                raise self._too_short()
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _next(self, length: int) -> bytes:
        if self._pending:
            part, self._pending = self._pending[:length], self._pending[length:]
        else:
            assert self._bytes is not None
            part = self._bytes.read(length)
        self._position += len(part)
        return part

    def _too_short(self) -> SourceError:
        if self._spec.size:
            return other_size(self.label, self.size, f"has a disk of {self._position} bytes")
        return SourceError(
            "SOURCE_TRUNCATED",
            EIO,
            f"{self.label} ended after {self._position} bytes of {self.size}: it was truncated or "
            "changed in the meantime.",
        )

    def finish(self) -> None:
        """Read to the end, which has to be where it was said, and compare the checksum.

        Raises SourceError: what was read is not to be used then.
        """
        while self._position < self.size:
            self._exactly(min(BLOCK, self.size - self._position))
        if self._next(1):
            raise other_size(self.label, self.size, f"has a disk of more than {self.size} bytes")
        assert self._bytes is not None
        self._bytes.finish()

    def close(self) -> None:
        if self._bytes is not None:
            self._bytes.close()
        self._served.close()
