"""Extents of a disk, the pieces in which they are copied, and what of a piece is zeros. Pure."""

from __future__ import annotations

import operator
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional

PIECE = 4 << 20  # bytes of a request at most
_OBJECTS = 64  # that a request touches at most
GRAIN = 64 << 10
"""The size in bytes of the blocks in which zeros are looked for."""

SECTOR = 512
"""The same where an image is encrypted: librbd reads a hole as zeros, and decrypts zeros that were
written, so that each sector of zeros has to stay a hole. Encrypted data have no such sectors."""

_ZEROS = bytes(GRAIN)


class Extent(NamedTuple):
    """A part of a disk, in bytes. ``data`` is False where it reads as zeros."""

    offset: int
    length: int
    data: bool = True

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.length


class ExtentList:
    """Many extents in 17 bytes each."""

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._lengths = array("Q")
        self._data = bytearray()

    def add(self, offset: int, length: int, data: bool) -> None:
        """Add an extent; one that continues the last one makes that longer."""
        same = bool(self._data) and self._data[-1] == data
        if same and self._offsets[-1] + self._lengths[-1] == offset:
            self._lengths[-1] += length
            return
        self._offsets.append(offset)
        self._lengths.append(length)
        self._data.append(data)

    def __iter__(self) -> Iterator[Extent]:
        """In rising order: of a striped image they are told object by object."""
        order: Sequence[int] = range(len(self))
        if any(map(operator.gt, self._offsets, self._offsets[1:])):
            order = sorted(order, key=self._offsets.__getitem__)
        for at in order:
            yield Extent(self._offsets[at], self._lengths[at], bool(self._data[at]))

    def __len__(self) -> int:
        return len(self._data)


def piece_size(object_size: int) -> int:
    """Bytes of a request at most, for a target with such objects."""
    return min(PIECE, object_size * _OBJECTS)


def pieces(extents: Iterable[Extent], size: int) -> Iterator[Extent]:
    """The extents, cut at multiples of ``size``."""
    for extent in extents:
        offset = extent.offset
        while offset < extent.end:
            stop = min(extent.end, (offset // size + 1) * size)
            yield Extent(offset, stop - offset, extent.data)
            offset = stop


def joined(extents: Iterable[Extent], gap: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of extents in rising order; gaps of up to ``gap`` bytes are filled."""
    begin = end = -1
    for extent in extents:
        if end >= 0 and extent.offset - end <= gap:
            end = max(end, extent.end)
            continue
        if end >= 0:
            yield begin, end - begin
        begin, end = extent.offset, extent.end
    if end >= 0:
        yield begin, end - begin


def with_holes(data: Iterable[Extent], there: Iterable[Extent]) -> Iterator[Extent]:
    """``data``, and as holes those parts of ``there`` that are not in it; both rise, as does this.

    What the target has and the source has not reads as zeros in the source.
    """
    rest = iter(there)
    hole = next(rest, None)
    for extent in data:
        while hole is not None and hole.offset < extent.offset:
            stop = min(hole.end, extent.offset)
            yield Extent(hole.offset, stop - hole.offset, False)
            hole = _after(hole, stop) or next(rest, None)
        yield extent
        while hole is not None and hole.offset < extent.end:
            hole = _after(hole, extent.end) or next(rest, None)
    while hole is not None:
        yield hole._replace(data=False)
        hole = next(rest, None)


def _after(extent: Extent, offset: int) -> Optional[Extent]:
    """What of ``extent`` lies after ``offset``."""
    begin = max(offset, extent.offset)
    return Extent(begin, extent.end - begin, extent.data) if begin < extent.end else None


def runs(content: bytes, offset: int, grain: int = GRAIN) -> Iterator[Extent]:
    """What of ``content``, which lies at ``offset``, is data and what is zeros.

    Zeros are told in blocks of ``grain`` bytes, counted from the begin of the disk.
    """
    begin, was_data = 0, None
    at = 0
    while at < len(content):
        stop = min(len(content), at + grain - (offset + at) % grain)
        # Most data are told by their first byte, without a copy of the block.
        data = content[at] != 0 or content[at:stop] != _ZEROS[: stop - at]
        if was_data is not None and data != was_data:
            yield Extent(offset + begin, at - begin, was_data)
            begin = at
        was_data = data
        at = stop
    if was_data is not None:
        yield Extent(offset + begin, len(content) - begin, was_data)


class Position:
    """Up to where everything is done, of pieces that begin in order and end in any order."""

    def __init__(self, begin: int) -> None:
        self.reached = begin
        self._open: deque[int] = deque()  # where pieces end that were begun, in order
        self._done: set[int] = set()

    def begin(self, end: int) -> None:
        """A piece that ends there was begun."""
        self._open.append(end)

    def done(self, end: int) -> None:
        """It is done."""
        self._done.add(end)
        while self._open and self._open[0] in self._done:
            self.reached = self._open.popleft()
            self._done.discard(self.reached)
