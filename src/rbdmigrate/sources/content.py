"""The disk in a source, with which verification compares the target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Optional, TypeVar

from .stream import Stream

C = TypeVar("C", bound="Content")


class Content(ABC):
    """A view of the disk: its head or a snapshot. Not thread-safe. ``size`` in bytes. Bytes
    outside of ``extents`` read as zeros. ``in_order``: it has to be read forwards.
    """

    size: int
    in_order: bool = False

    @abstractmethod
    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """(offset, length) of extents in the range that may hold data, in order. SourceError."""

    def changed(self, before: Content) -> Iterator[tuple[int, int]]:
        """The extents that may differ from the view ``before`` it, in order. Raises SourceError."""
        return self.extents(0, self.size)

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``; fewer only where the disk ends. SourceError."""

    def finish(self) -> None:  # noqa: B027 - most have nothing to compare
        """Require, at the end of a copy, that all was right. Raises SourceError."""

    @abstractmethod
    def close(self) -> None:
        """Close the source. Never raises."""

    def __enter__(self: C) -> C:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


class RawContent(Content):
    """A stream whose bytes are the disk."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.size = stream.size
        self.in_order = stream.in_order

    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        end = min(offset + length, self.size)
        if offset < end:
            yield offset, end - offset

    def read(self, offset: int, length: int) -> bytes:
        return self._stream.read(offset, length)

    def finish(self) -> None:
        self._stream.finish()

    def close(self) -> None:
        self._stream.close()
