"""The disk that a source holds: what verification compares the target with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from errno import EINVAL, ENOENT
from typing import Optional

from ..model.errors import MigrationError
from ..model.reach import Reach
from ..model.source_spec import SourceSpec
from .limits import Limits
from .stream import Resolve, Stream, no_config
from .streams import open_stream


class Content(ABC):
    """A view of the disk: its head or a snapshot. Not thread-safe.

    ``size`` in bytes. What is outside of ``extents`` reads as zeros.
    """

    size: int

    @abstractmethod
    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """(offset, length) of what may hold data, in order, within the range. SourceError."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on; fewer only where the disk ends. SourceError."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the source."""

    def __enter__(self) -> Content:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RawContent(Content):
    """A stream whose bytes are the disk."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.size = stream.size

    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        end = min(offset + length, self.size)
        if offset < end:
            yield offset, end - offset

    def read(self, offset: int, length: int) -> bytes:
        return self._stream.read(offset, length)

    def close(self) -> None:
        self._stream.close()


def open_content(
    spec: SourceSpec,
    snapshot: Optional[str],
    reach: Reach,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    resolve_config: Resolve = no_config,
) -> Content:
    """The head (``None``) or a snapshot of a raw or qcow source. Raises MigrationError."""
    if spec.stream is None:
        raise MigrationError(EINVAL, "A native source is read by librbd, not as a stream.")
    stream_spec = spec.stream
    if snapshot is not None and spec.format == "raw":
        named = [s.stream for s in spec.snapshots if s.name == snapshot]
        if not named:
            raise MigrationError(ENOENT, f"The source has no snapshot {snapshot}.")
        stream_spec = named[0]
    stream = open_stream(stream_spec, reach, limits, resolve_config)
    return RawContent(stream)
