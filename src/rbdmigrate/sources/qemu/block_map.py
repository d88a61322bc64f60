"""Where a file of blocks on the host may hold data, of which QEMU tells little.

Blocks that the file does not have, and holes of the file within a block, read as zeros. What is not
as expected counts as data, and QEMU says what is wrong with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from ..file import data_of

_ENTRIES = 4096  # of the table of blocks, read at once
ABSENT, UNKNOWN = -1, -2
"""In place of where a block is: it reads as zeros, or its entry is not as expected."""


class BlockMap(ABC):
    """The blocks of an open file, each of ``block`` bytes. ``length`` is that of the file."""

    def __init__(self, file: int, length: int, block: int) -> None:
        self._file, self._length, self._block = file, length, block

    @abstractmethod
    def places(self, first: int, last: int) -> Sequence[int]:
        """Where the data of each of these blocks begin in the file."""

    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """What may hold data in a part of the disk: (offset, length), in order."""
        end = offset + length
        while offset < end:
            first = offset // self._block
            stop = min(end, (first + _ENTRIES) * self._block)
            last = (stop - 1) // self._block
            for block, place in enumerate(self.places(first, last), first):
                begin = max(offset, block * self._block)
                yield from self._within(block, place, begin, min(stop, (block + 1) * self._block))
            offset = stop

    def _within(self, block: int, place: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """What of a block is data: holes of the file are not, as far as it reaches."""
        shift = place - block * self._block
        if place == ABSENT:
            return
        if place == UNKNOWN or end + shift > self._length:
            yield begin, end - begin
            return
        for found, length in data_of(self._file, begin + shift, end + shift):
            yield found - shift, length
