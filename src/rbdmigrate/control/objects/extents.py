"""Extents that have to be read to compare two images: their union, cut into blocks. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import groupby

from ..lifecycle.verification import BLOCK, Blocks


class ExtentSet:
    """Extents in rising order, without overlaps. 16 bytes each: an image may have millions."""

    def __init__(self) -> None:
        self._begins = array("Q")
        self._ends = array("Q")

    def add(self, begin: int, end: int) -> None:
        """Add an extent that begins where the last one began, or later."""
        if begin >= end:
            return
        if self._ends and begin <= self._ends[-1]:
            self._ends[-1] = max(self._ends[-1], end)
            return
        self._begins.append(begin)
        self._ends.append(end)

    @property
    def end(self) -> int:
        """Where the last extent ends; 0 without any."""
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._begins, self._ends)

    def pieces(self) -> Iterator[tuple[int, int, int]]:
        """(block, offset, length): the extents, cut at the borders of blocks."""
        for begin, end in self:
            offset = begin
            while offset < end:
                block = offset // BLOCK
                stop = min(end, (block + 1) * BLOCK)
                yield block, offset, stop - offset
                offset = stop

    def blocks(self) -> Blocks:
        """The numbers of the blocks with data."""
        return Blocks(block for block, _ in groupby(block for block, _, _ in self.pieces()))


def union(one: ExtentSet, other: ExtentSet) -> ExtentSet:
    """The union of both sets."""
    merged = ExtentSet()
    left, right = iter(one), iter(other)
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a <= b):
            assert a is not None
            merged.add(*a)
            a = next(left, None)
        else:
            merged.add(*b)
            b = next(right, None)
    return merged
