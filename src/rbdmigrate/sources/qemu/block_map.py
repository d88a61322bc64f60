"""Where a file of blocks on the host holds its data, of which QEMU tells little.

Blocks that the file does not have, and holes of the file within a block, read as zeros. What is not
as expected counts as data, and QEMU says what is wrong with it.
"""

from __future__ import annotations

import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Optional

from ..holes import FileData

_ENTRIES = 4096  # of the table of blocks, read at once
ABSENT, UNKNOWN = -1, -2
"""In place of where a block is: it reads as zeros, or its entry is not as expected."""


class BlockMap(ABC):
    """The blocks of an open file, each of ``block`` bytes. ``length`` is that of the file."""

    def __init__(self, file: int, length: int, block: int) -> None:
        self._file, self._length, self._block = file, length, block
        self._file_data = FileData(file)

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

    def parts(self, offset: int, length: int) -> Optional[list[tuple[int, int]]]:
        """Where a part of the disk is in the file: (offset, length), in the order of the disk.

        None where a block of it is not in the file, or where that cannot be told.
        """
        found: list[tuple[int, int]] = []
        end, first = offset + length, offset // self._block
        for block, place in enumerate(self.places(first, (end - 1) // self._block), first):
            begin = max(offset, block * self._block)
            size = min(end, (block + 1) * self._block) - begin
            at = place + begin - block * self._block
            if place in (ABSENT, UNKNOWN) or at + size > self._length:
                return None
            if found and sum(found[-1]) == at:
                found[-1] = (found[-1][0], found[-1][1] + size)
            else:
                found.append((at, size))
        return found

    def _within(self, block: int, place: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """What of a block is data: holes of the file are not, as far as it reaches."""
        shift = place - block * self._block
        if place == ABSENT:
            return
        if place == UNKNOWN or end + shift > self._length:
            yield begin, end - begin
            return
        for found, length in self._file_data.within(begin + shift, end + shift):
            yield found - shift, length


class TableMap(BlockMap):
    """Blocks whose places are in a table of ``entries`` 32-bit numbers, which begins at ``table``.

    ``order``: ``<`` or ``>``, as struct has it.
    """

    def __init__(self, file: int, block: int, *, table: int, entries: int, order: str) -> None:
        super().__init__(file, os.fstat(file).st_size, block)
        self._table, self._entries, self._order = table, entries, order

    @abstractmethod
    def place(self, entry: int) -> int:
        """Where the data of a block begin in the file, by its entry; ABSENT where it has none."""

    def places(self, first: int, last: int) -> list[int]:
        count = max(0, min(last + 1, self._entries) - first)
        table = os.pread(self._file, 4 * count, self._table + 4 * first)
        number = len(table) // 4
        entries = struct.unpack(f"{self._order}{number}I", table[: 4 * number])
        places = [self.place(entry) for entry in entries]
        places += [UNKNOWN] * (count - number)
        return places + [ABSENT] * (last + 1 - first - count)
