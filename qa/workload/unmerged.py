"""VHD and VHDX files that QEMU does not write: with differences to a parent, or with a log."""

import struct
import uuid
from pathlib import Path

from qa.hostile.sums import correct

_KIB, _MIB = 1 << 10, 1 << 20
_DIFFERENCING = 4  # type of a VHD
_ABSENT = 0xFFFFFFFF
_HEADERS = (64 * _KIB, 128 * _KIB)  # of a VHDX file
_LOG = _MIB
_REGIONS = 192 * _KIB
_HAS_PARENT = 2
_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le


def vhd_differences(child: Path, parent: Path) -> None:
    """Make a dynamic VHD the differences to another one, which is next to it.

    Blocks that the child does not have are the parent's then, and so is the second half of the
    child's first block.
    """
    data, other = bytearray(child.read_bytes()), parent.read_bytes()
    for footer in (0, len(data) - 512):
        struct.pack_into(">I", data, footer + 60, _DIFFERENCING)
    data[512 + 40 : 512 + 56] = other[68:84]  # the parent's id
    name = parent.name.encode("utf-16-be")
    data[512 + 64 : 512 + 64 + 512] = name.ljust(512, b"\0")
    block = min(entry for entry in struct.unpack_from(">16I", data, 1536) if entry != _ABSENT) * 512
    data[block + 256 : block + 512] = bytes(256)  # of its bitmap of sectors
    correct(data, "vpc")
    child.write_bytes(data)


def vhdx_differences(child: Path) -> None:
    """Have a VHDX file say that it holds the differences to another one."""
    data = bytearray(child.read_bytes())
    entry = data.index(_METADATA, _REGIONS)
    (table,) = struct.unpack_from("<Q", data, entry + 16)
    item = data.index(_PARAMETERS, table)
    (parameters,) = struct.unpack_from("<I", data, item + 16)
    data[table + parameters + 4] |= _HAS_PARENT
    child.write_bytes(data)


def vhdx_with_log(disk: Path, before: bytes) -> None:
    """Make a VHDX file one whose last write is in its log alone.

    ``before``: the file before a write that took a new block, and nothing after it.
    """
    data = bytearray(disk.read_bytes())
    assert data[_LOG : _LOG + 4] == b"loge"
    table = _first_change(before, bytes(data))
    data[table : table + 4 * _KIB] = before[table : table + 4 * _KIB]
    for header in _HEADERS:
        data[header + 48 : header + 64] = data[_LOG + 32 : _LOG + 48]  # the log's id
    correct(data, "vhdx")
    disk.write_bytes(data)


def _first_change(before: bytes, after: bytes) -> int:
    """Where the table of blocks changed: a part of 4 KiB behind the log."""
    for at in range(2 * _MIB, min(len(before), len(after)), 4 * _KIB):
        if before[at : at + 4 * _KIB] != after[at : at + 4 * _KIB]:
            return at
    raise ValueError("nothing changed")
