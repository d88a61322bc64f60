"""Where a dynamic VHD on the host holds its data: QEMU tells whole blocks (7.2 to 10.1)."""

from __future__ import annotations

import os
import struct
from typing import Optional

from .block_map import ABSENT, TableMap

_SECTOR = 512
_DYNAMIC = 3
_NONE = 0xFFFFFFFF
_SMALLEST, _LARGEST = 4 << 10, 256 << 20  # bytes of a block


class VhdMap(TableMap):
    """The blocks of an open file. ``table``: where its table of ``entries`` blocks is."""

    def __init__(self, *, file: int, table: int, entries: int, block: int) -> None:
        super().__init__(file, block, table=table, entries=entries, order=">")
        bits = block // _SECTOR // 8
        self._bitmap = -(-bits // _SECTOR) * _SECTOR  # bytes before the data of each block

    def place(self, entry: int) -> int:
        return ABSENT if entry == _NONE else entry * _SECTOR + self._bitmap


def read_map(file: int) -> Optional[VhdMap]:
    """The map of an open VHD; None where it cannot be told."""
    footer = os.pread(file, _SECTOR, 0).ljust(_SECTOR, b"\0")
    if footer[:8] != b"conectix" or int.from_bytes(footer[60:64], "big") != _DYNAMIC:
        return None
    header = os.pread(file, 36, min(int.from_bytes(footer[16:24], "big"), 1 << 62)).ljust(36, b"\0")
    table, _, entries, block = struct.unpack(">QIII", header[16:36])
    usual = header[:8] == b"cxsparse" and table < 1 << 62
    if not usual or not _SMALLEST <= block <= _LARGEST or block & (block - 1):
        return None
    return VhdMap(file=file, table=table, entries=entries, block=block)
