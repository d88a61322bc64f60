"""Where a VHDX file on the host may hold data, which QEMU does not tell (7.2 to 10.1)."""

from __future__ import annotations

import os
import struct
import uuid
from typing import Callable, NamedTuple, Optional

from .block_map import ABSENT, UNKNOWN, BlockMap

_REGIONS = 192 << 10  # where QEMU reads the table of regions
_TABLE_LENGTH = 64 << 10  # bytes of that table, and of the one of the metadata
_ENTRY, _MOST_ITEMS = 32, 2047  # of both: bytes of an entry, and how many there are
_FARTHEST = 1 << 62
_ABSENT = (0, 1, 2, 3, 5)  # states of a block for which QEMU gives zeros
_PRESENT, _OTHER = 6, 7
_HAS_PARENT = 2
_SMALLEST, _LARGEST = 1 << 20, 256 << 20  # bytes of a block

Read = Callable[[int, int], bytes]
"""Reads bytes of a file; the arguments are the offset and the most that is wanted."""


def _guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


_BLOCKS = _guid("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = _guid("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS = _guid("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_SECTOR = _guid("8141bf1d-a96f-4709-ba47-f233a8faab5f")


class VhdxMap(BlockMap):
    """The blocks of an open VHDX file. ``table``: where its table of blocks is."""

    def __init__(self, *, file: int, length: int, table: int, block: int, sector: int) -> None:
        super().__init__(file, length, block)
        self._table = table
        self._chunk = (1 << 23) * sector // block  # blocks before each entry for a bitmap

    def places(self, first: int, last: int) -> list[int]:
        begin = self._entry(first)
        table = os.pread(self._file, 8 * (self._entry(last) + 1 - begin), self._table + 8 * begin)
        found = []
        for block in range(first, last + 1):
            at = 8 * (self._entry(block) - begin)
            entry = int.from_bytes(table[at : at + 8], "little") if at + 8 <= len(table) else _OTHER
            place = entry >> 20 << 20 if entry & 7 == _PRESENT else UNKNOWN
            found.append(ABSENT if entry & 7 in _ABSENT else place)
        return found

    def _entry(self, block: int) -> int:
        return block + block // self._chunk


def read_map(file: int) -> Optional[VhdxMap]:
    """The map of an open VHDX file; None where it cannot be told."""
    found = _parameters(lambda offset, length: os.pread(file, length, offset))
    if found is None:
        return None
    usual = found.sector in (512, 4096) and _SMALLEST <= found.block <= _LARGEST
    if not usual or found.block & (found.block - 1) or found.flags & _HAS_PARENT:
        return None
    return VhdxMap(
        file=file,
        length=os.fstat(file).st_size,
        table=found.table,
        block=found.block,
        sector=found.sector,
    )


def has_parent(read: Read) -> bool:
    """Whether a VHDX file says that it holds the differences to another one."""
    found = _parameters(read)
    return found is not None and bool(found.flags & _HAS_PARENT)


class _Parameters(NamedTuple):
    """``table``: where the table of blocks is. ``block`` and ``sector``: their bytes."""

    table: int
    block: int
    flags: int
    sector: int


def _parameters(read: Read) -> Optional[_Parameters]:
    """What a file says of its blocks; None where that is not found."""
    regions = read(_REGIONS, _TABLE_LENGTH).ljust(_TABLE_LENGTH, b"\0")
    (count,) = struct.unpack_from("<I", regions, 8)
    table = _place(regions, 16, count, _BLOCKS, "<Q")
    metadata = _place(regions, 16, count, _METADATA, "<Q")
    if regions[:4] != b"regi" or not 0 < table < _FARTHEST or not 0 < metadata < _FARTHEST:
        return None
    values = read(metadata, _TABLE_LENGTH).ljust(_TABLE_LENGTH, b"\0")
    (count,) = struct.unpack_from("<H", values, 10)
    parameters = _place(values, 32, count, _PARAMETERS, "<I")
    sectors = _place(values, 32, count, _SECTOR, "<I")
    if values[:8] != b"metadata" or not parameters or not sectors:
        return None
    block, flags = struct.unpack("<II", read(metadata + parameters, 8).ljust(8, b"\0"))
    (sector,) = struct.unpack("<I", read(metadata + sectors, 4).ljust(4, b"\0"))
    return _Parameters(table, block, flags, sector)


def _place(data: bytes, first: int, count: int, wanted: bytes, form: str) -> int:
    """The place of what has the id ``wanted``, in a table of ids and places; 0 without one."""
    for at in range(first, first + _ENTRY * min(count, _MOST_ITEMS), _ENTRY):
        if data[at : at + 16] == wanted and at + 24 <= len(data):
            return int(struct.unpack_from(form, data, at + 16)[0])
    return 0
