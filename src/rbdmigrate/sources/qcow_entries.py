"""Entries of QCOW's tables: the meaning of their bits, and counts of entries by kind."""

from __future__ import annotations

import sys
from array import array
from functools import lru_cache
from typing import NamedTuple

from .qcow_header import Header

OFFSET = 0x00FFFFFFFFFFFE00
COPIED = 1 << 63
COMPRESSED = 1 << 62  # in versions 2 and 3
COMPRESSED_1 = 1 << 63  # in version 1
ZERO = 1
_L1_RESERVED = 0x7F000000000001FF
_L2_RESERVED = 0x3F000000000001FE
_SECTOR = 512  # offsets in version 1 are multiples of it


class Counts(NamedTuple):
    """Clusters of one L2 table.

    ``data``: with data; ``compressed``; ``zeroed`` in place; ``beyond`` the file's end;
    ``malformed``: with an entry that the format does not allow.
    """

    data: int
    compressed: int
    zeroed: int
    beyond: int
    malformed: int


def is_compressed(header: Header, entry: int) -> bool:
    """Whether a cluster is compressed."""
    return bool(entry & (COMPRESSED_1 if header.version == 1 else COMPRESSED))


def is_zero(header: Header, entry: int) -> bool:
    """Whether a cluster reads as zeros, regardless of the file's data."""
    return header.version == 3 and bool(entry & ZERO)


def host_offset(header: Header, entry: int) -> int:
    """The offset in the file of the data of an uncompressed cluster; 0: not allocated."""
    return entry if header.version == 1 else entry & OFFSET


def malformed_l1(header: Header, table: array[int]) -> int:
    """The number of L1 entries with a bit that has to be 0, or an offset inside a cluster.

    librbd does not check them: it reads zeros or other data there, without an error. QEMU does.
    """
    if header.version == 1:
        return _malformed(table, _SECTOR - 1, compressed=0)
    return _malformed(table, _L1_RESERVED | (header.cluster_size - 1), compressed=0)


def _malformed_l2(header: Header, table: array[int]) -> int:
    if header.version == 1:
        return _malformed(table, _SECTOR - 1, compressed=COMPRESSED_1)
    low = header.cluster_size - 1
    if header.version == 3:
        low &= ~ZERO
    return _malformed(table, _L2_RESERVED | low, compressed=COMPRESSED)


def _malformed(table: array[int], forbidden: int, *, compressed: int) -> int:
    """The number of entries with a forbidden bit, or with a flag and no offset. Fast for valid
    tables.

    ``compressed`` is the bit of entries that are skipped.
    """
    data = _little_endian(table)
    suspicious = any(
        data[place::8].translate(None, _without_bits(bits))
        for place in range(8)
        if (bits := forbidden >> (8 * place) & 0xFF)
    )
    if not suspicious and not table.count(COPIED) and not table.count(COPIED | ZERO):
        return 0
    return sum(
        1
        for entry in table
        if not entry & compressed and (entry & forbidden or (entry & COPIED and not entry & OFFSET))
    )


@lru_cache(maxsize=256)
def _without_bits(bits: int) -> bytes:
    """All byte values that have none of the bits."""
    return bytes(value for value in range(256) if not value & bits)


def _little_endian(table: array[int]) -> bytes:
    if sys.byteorder == "little":
        return table.tobytes()
    swapped = array("Q", table)
    swapped.byteswap()
    return swapped.tobytes()


_EVEN = _without_bits(1)


def count(header: Header, table: array[int], file_size: int) -> Counts:
    """Count the entries of an L2 table by kind. Fast for tables without special clusters."""
    malformed = _malformed_l2(header, table)
    data = _little_endian(table)
    plain = _without_bits(0x80 if header.version == 1 else 0x40)
    last = file_size - header.cluster_size  # the last offset at which a whole cluster fits
    special = data[7::8].translate(None, plain) or (
        header.version == 3 and data[0::8].translate(None, _EVEN)
    )
    if not special:
        mask = OFFSET if header.version > 1 else (1 << 63) - 1
        used = len(table) - table.count(0)
        if max(map(mask.__and__, table), default=0) <= last:
            return Counts(used, 0, 0, 0, malformed)
    compressed = zeroed = beyond = used = 0
    for entry in table:
        if not entry:
            continue
        if is_compressed(header, entry):
            compressed += 1
        elif is_zero(header, entry):
            zeroed += host_offset(header, entry) != 0
            continue
        elif host_offset(header, entry) > last:
            beyond += 1
        used += 1
    return Counts(used, compressed, zeroed, beyond, malformed)


def count_changed(header: Header, table: array[int], before: array[int]) -> int:
    """The number of clusters of an L2 table whose data differs from the table ``before`` it.

    Only tables of files with snapshots are compared: not of version 1, which has none.
    """
    zero = ZERO if header.version == 3 else 0
    return sum(
        1
        for entry, old in zip(table, before)
        if entry and not entry & zero and (entry ^ old) & ~COPIED
    )
