"""Where a Parallels disk on the host holds its data."""

from __future__ import annotations

import os
import struct
from typing import Optional

from .block_map import ABSENT, TableMap

_SECTOR = 512
_TABLE = 64  # where the table of blocks begins, behind the header
_IN_SECTORS, _IN_BLOCKS = b"WithoutFreeSpace", b"WithouFreSpacExt"  # what its entries count
_LARGEST = 16 << 20  # bytes of a block


class ParallelsMap(TableMap):
    """The blocks of an open file. ``unit``: what an entry counts, in bytes."""

    def __init__(self, file: int, *, entries: int, block: int, unit: int) -> None:
        super().__init__(file, block, table=_TABLE, entries=entries, order="<")
        self._unit = unit

    def place(self, entry: int) -> int:
        return entry * self._unit if entry else ABSENT


def read_map(file: int) -> Optional[ParallelsMap]:
    """The map of an open Parallels disk; None where it cannot be told."""
    header = os.pread(file, _TABLE, 0).ljust(_TABLE, b"\0")
    sectors, entries = struct.unpack_from("<II", header, 28)
    block, magic = sectors * _SECTOR, header[:16]
    if magic not in (_IN_SECTORS, _IN_BLOCKS) or not 0 < block <= _LARGEST:
        return None
    unit = block if magic == _IN_BLOCKS else _SECTOR
    return ParallelsMap(file, entries=entries, block=block, unit=unit)
