"""Where a VHDX file on the host may hold data, which QEMU does not tell (7.2 to 10.1).

Blocks that the file does not have, and holes of the file within a block, read as zeros. What is not
as expected counts as data, and QEMU says what is wrong with it.
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Iterator
from typing import Optional

from ..file import data_of

_REGIONS = 192 << 10  # where QEMU reads the table of regions
_TABLE_LENGTH = 64 << 10  # bytes of that table, and of the one of the metadata
_ENTRY, _MOST_ITEMS = 32, 2047  # of both: bytes of an entry, and how many there are
_FARTHEST = 1 << 62
_ENTRIES = 4096  # of the table of blocks, read at once
_ABSENT = (0, 1, 2, 3, 5)  # states of a block for which QEMU gives zeros
_PRESENT = 6
_HAS_PARENT = 2
_SMALLEST, _LARGEST = 1 << 20, 256 << 20  # bytes of a block


def _guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


_BLOCKS = _guid("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = _guid("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS = _guid("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_SECTOR = _guid("8141bf1d-a96f-4709-ba47-f233a8faab5f")


class VhdxMap:
    """The blocks of an open file. ``length`` is that of the file, in bytes."""

    def __init__(self, file: int, length: int, table: int, block: int, sector: int) -> None:
        self._file, self._length = file, length
        self._table, self._block = table, block
        self._chunk = (1 << 23) * sector // block  # blocks before each entry for a bitmap

    def extents(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """What may hold data in a part of the disk: (offset, length), in order."""
        end = offset + length
        while offset < end:
            first = offset // self._block
            stop = min(end, (first + _ENTRIES) * self._block)
            yield from self._some(first, offset, stop)
            offset = stop

    def _some(self, first: int, offset: int, end: int) -> Iterator[tuple[int, int]]:
        last = (end - 1) // self._block
        begin = self._entry(first)
        table = os.pread(self._file, 8 * (self._entry(last) + 1 - begin), self._table + 8 * begin)
        for block in range(first, last + 1):
            start = max(offset, block * self._block)
            stop = min(end, (block + 1) * self._block)
            at = 8 * (self._entry(block) - begin)
            if at + 8 > len(table):
                yield start, stop - start
                continue
            (entry,) = struct.unpack_from("<Q", table, at)
            if entry & 7 not in _ABSENT:
                yield from self._within(block, entry, start, stop)

    def _entry(self, block: int) -> int:
        return block + block // self._chunk

    def _within(self, block: int, entry: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """What of a block is data: holes of the file are not, as far as it reaches."""
        place = entry >> 20 << 20
        shift = place - block * self._block
        if entry & 7 != _PRESENT or stop + shift > self._length:
            yield start, stop - start
            return
        for found, length in data_of(self._file, start + shift, stop + shift):
            yield found - shift, length


def read_map(file: int) -> Optional[VhdxMap]:
    """The map of an open VHDX file; None where it cannot be told."""
    regions = os.pread(file, _TABLE_LENGTH, _REGIONS).ljust(_TABLE_LENGTH, b"\0")
    (count,) = struct.unpack_from("<I", regions, 8)
    table = _place(regions, 16, count, _BLOCKS, "<Q")
    metadata = _place(regions, 16, count, _METADATA, "<Q")
    if regions[:4] != b"regi" or not 0 < table < _FARTHEST or not 0 < metadata < _FARTHEST:
        return None
    values = os.pread(file, _TABLE_LENGTH, metadata).ljust(_TABLE_LENGTH, b"\0")
    (count,) = struct.unpack_from("<H", values, 10)
    parameters = _place(values, 32, count, _PARAMETERS, "<I")
    sectors = _place(values, 32, count, _SECTOR, "<I")
    if values[:8] != b"metadata" or not parameters or not sectors:
        return None
    block, flags = struct.unpack("<II", os.pread(file, 8, metadata + parameters).ljust(8, b"\0"))
    (sector,) = struct.unpack("<I", os.pread(file, 4, metadata + sectors).ljust(4, b"\0"))
    usual = sector in (512, 4096) and _SMALLEST <= block <= _LARGEST and not block & (block - 1)
    if not usual or flags & _HAS_PARENT:
        return None
    return VhdxMap(file, os.fstat(file).st_size, table, block, sector)


def _place(data: bytes, first: int, count: int, wanted: bytes, form: str) -> int:
    """The place of what has the id ``wanted``, in a table of ids and places; 0 without one."""
    for at in range(first, first + _ENTRY * min(count, _MOST_ITEMS), _ENTRY):
        if data[at : at + 16] == wanted and at + 24 <= len(data):
            return int(struct.unpack_from(form, data, at + 16)[0])
    return 0
