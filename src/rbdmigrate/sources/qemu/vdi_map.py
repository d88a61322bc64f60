"""Where a VDI file on the host holds its data."""

from __future__ import annotations

import os
import struct
from typing import Optional

from .block_map import ABSENT, TableMap

_HEADER = 512
_MAGIC = b"\x7f\x10\xda\xbe"
_BLOCK = 1 << 20  # bytes; QEMU opens no file with another one
_DISCARDED = 0xFFFFFFFE  # this entry and the one above it: the block has no data


class VdiMap(TableMap):
    """The blocks of an open file. ``data``: where its first block begins."""

    def __init__(self, file: int, *, table: int, entries: int, data: int) -> None:
        super().__init__(file, _BLOCK, table=table, entries=entries, order="<")
        self._data = data

    def place(self, entry: int) -> int:
        return ABSENT if entry >= _DISCARDED else self._data + entry * _BLOCK


def read_map(file: int) -> Optional[VdiMap]:
    """The map of an open VDI file; None where it cannot be told."""
    header = os.pread(file, _HEADER, 0).ljust(_HEADER, b"\0")
    table, data = struct.unpack_from("<II", header, 340)
    block, extra, entries = struct.unpack_from("<III", header, 376)
    if header[64:68] != _MAGIC or block != _BLOCK or extra:
        return None
    return VdiMap(file, table=table, entries=entries, data=data)
