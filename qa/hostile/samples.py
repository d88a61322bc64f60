"""Faults that are made on purpose: fields of headers and tables out of their range.

They are of the kinds that QEMU's own tests have: sizes that overflow, tables that are too long, lie
in the header or behind the end, blocks of no size, files that are cut off, logs to be replayed.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from qa.imports.faults import FIELDS, TABLE_ENTRIES

from .bases import MIB
from .sums import correct

_HUGE_4, _HUGE_8 = 0xFFFFFFFF, (1 << 64) - 512
_LARGE = (1 << 40, 1 << 62, _HUGE_8)
_METADATA = b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e"  # region's id


@dataclass(frozen=True)
class Fault:
    """A value written over a field of a base's file. ``correct``: checksums are made to fit."""

    base: str
    offset: int
    form: str  # of struct
    value: int
    correct: bool = True

    @property
    def name(self) -> str:
        """A name for the file."""
        return f"{self.base}-{self.offset:x}-{self.value:x}"

    def apply(self, data: bytearray, qemu: str) -> None:
        """Write it. A negative offset counts from the end."""
        at = self.offset if self.offset >= 0 else len(data) + self.offset
        struct.pack_into(self.form, data, at, self.value)
        if self.correct:
            correct(data, qemu)


def _each(
    base: str, fields: "tuple[tuple[int, str, tuple[int, ...]], ...]", correct: bool = True
) -> "Iterator[Fault]":
    for offset, form, values in fields:
        for value in values:
            yield Fault(base, offset, form, value, correct)


_VMDK = (
    (4, "<I", (0, 2, 3, 4, _HUGE_4)),  # version
    (8, "<I", (0, 1 << 16, _HUGE_4)),  # flags
    (12, "<Q", (0, 1, *_LARGE)),  # capacity, in sectors
    (20, "<Q", (0, 1, 3, 1 << 20, *_LARGE)),  # sectors of a grain
    (28, "<Q", (0, 1 << 20, 1 << 55, _HUGE_8)),  # descriptor
    (36, "<Q", (0, 1 << 30, 1 << 55, _HUGE_8)),  # its length
    (44, "<I", (0, 1, 513, 1 << 28, _HUGE_4)),  # entries of a grain table
    (48, "<Q", (0, 1 << 30, _HUGE_8)),  # redundant directory
    (56, "<Q", (0, 1, 1 << 30, 1 << 55, _HUGE_8)),  # directory
    (77, "<H", (1, 2, 0xFFFF)),  # compression
)
_VDI = (
    (68, "<I", (0, 1 << 16, _HUGE_4)),  # version
    (72, "<I", (0, _HUGE_4)),  # length of the header
    (76, "<I", (0, 3, 4, _HUGE_4)),  # kind of the image
    (340, "<I", (0, 1, 511, 1 << 30, _HUGE_4)),  # block map
    (344, "<I", (0, 513, 1 << 30, _HUGE_4)),  # data
    (360, "<I", (0, 1, 4096)),  # bytes of a sector
    (368, "<Q", (0, 1, 513, *_LARGE)),  # size
    (376, "<I", (0, 1, 4096, 1 << 31)),  # bytes of a block
    (384, "<I", (0, 1, 1 << 29, _HUGE_4)),  # blocks
    (388, "<I", (_HUGE_4,)),  # blocks with data
    (424, "<Q", (1,)),  # id of a parent
    (512, "<I", (0xFFFFFFF0, 0x7FFFFFFF, 1 << 20)),  # the first block
)
_FOOTER = (
    (16, ">Q", (0, 1, 1 << 40, _HUGE_8)),  # header of a dynamic disk
    (48, ">Q", (0, 1, *_LARGE)),  # size
    (56, ">H", (0, 0xFFFF)),  # cylinders
    (58, ">H", (0, 0xFFFF)),  # heads and sectors
    (60, ">I", (0, 4, 9, _HUGE_4)),  # kind
)
_AT_END = tuple((at - 512, form, values) for at, form, values in _FOOTER)
_VPC = (
    *_FOOTER,
    *_AT_END,
    (512 + 16, ">Q", (0, 1, 1 << 40, _HUGE_8)),  # table
    (512 + 28, ">I", (0, 1, 1 << 28, _HUGE_4)),  # its entries
    (512 + 32, ">I", (0, 3, 512, 1 << 31)),  # bytes of a block
    (1536, ">I", (0, 1, 0x7FFFFFFF, 0xFFFFFFFE)),  # the first block
)
_PARALLELS = (
    (16, "<I", (0, 1, 3)),  # version
    (28, "<I", (0, 1, 3, 1 << 21, 1 << 30, _HUGE_4)),  # sectors of a block
    (32, "<I", (0, 1, 1 << 28, _HUGE_4)),  # entries of the table
    (36, "<Q", (0, 1, *_LARGE)),  # sectors of the disk
    (44, "<I", (0x746F6E59, 0x312E3276)),  # in use, closed
    (48, "<I", (0, 1, 1 << 30, _HUGE_4)),  # data
    (56, "<Q", (1, 1 << 40, _HUGE_8)),  # extension
    (64, "<I", (1, 0x7FFFFFFF, _HUGE_4)),  # the first block
)
_VHDX = (
    *((begin + 8, "<Q", (0, _HUGE_8)) for begin in (65536, 131072)),  # sequence number
    *((begin + 66, "<H", (1, 0xFFFF)) for begin in (65536, 131072)),  # version
    *((begin + 48, "<Q", (1, _HUGE_8)) for begin in (65536, 131072)),  # a log to be replayed
    *((begin + 68, "<I", (0, 1, _HUGE_4)) for begin in (65536, 131072)),  # length of the log
    *((begin + 72, "<Q", (0, 1, 1 << 60)) for begin in (65536, 131072)),  # log
    (192 * 1024 + 8, "<I", (0, 1, 2047, _HUGE_4)),  # regions
    *((192 * 1024 + 16 + 32 * n + 16, "<Q", (0, 1, MIB, 1 << 60)) for n in (0, 1)),  # offset
    *((192 * 1024 + 16 + 32 * n + 24, "<I", (0, 1, _HUGE_4)) for n in (0, 1)),  # length
)
_QCOW = (
    (8, ">Q", (1, 1 << 40)),  # backing file: offset
    (16, ">I", (1, 1024, _HUGE_4)),  # its length
    (24, ">Q", (0, 1, 0x9D004000, *_LARGE)),  # size, many small clusters to ask about
    (32, ">B", (0, 8, 17, 63, 64, 255)),  # bits of a cluster
    (33, ">B", (0, 5, 14, 63, 255)),  # bits of an L2 table
    (36, ">I", (1, 2, _HUGE_4)),  # encryption
    (40, ">Q", (0, 1, 1 << 40, _HUGE_8)),  # L1 table
)


def faults(files: "dict[str, bytes]") -> "Iterator[Fault]":
    """All faults; ``files`` has the good file of each base."""
    yield from _each("qcow2", tuple((at, _of(size), values) for at, size, values in FIELDS))
    yield from _each("qcow2-zlib", _entries(files["qcow2-zlib"]))
    yield from _each("qcow2", _entries(files["qcow2"]))
    yield from _each("qcow", _QCOW)
    yield from _each("vmdk", _VMDK)
    yield from _each("vmdk-stream", _VMDK)
    yield from _each("vdi", _VDI)
    yield from _each("vpc", _VPC)
    yield from _each("vpc", _FOOTER, correct=False)
    yield from _each("vpc-fixed", _AT_END)
    yield from _each("parallels", _PARALLELS)
    yield from _each("vhdx", (*_VHDX, *_metadata(files["vhdx"])))


def _of(length: int) -> str:
    return {4: ">I", 8: ">Q"}[length]


def _entries(data: bytes) -> "tuple[tuple[int, str, tuple[int, ...]], ...]":
    """The first entries of the L1 table, and of its first L2 table."""
    (l1,) = struct.unpack_from(">Q", data, 40)
    (entry,) = struct.unpack_from(">Q", data, l1)
    l2 = entry & 0x00FFFFFFFFFFFE00
    found = []
    for at in (l1, l2):
        (value,) = struct.unpack_from(">Q", data, at)
        ends = (l1 | 1 << 63, l2 | 1 << 63, 1 << 50, 1 << 62 | 1 << 40, (1 << 64) - 1)
        found.append((at, ">Q", (*ends, *(value ^ bit for bit in TABLE_ENTRIES))))
    return tuple(found)


def _metadata(data: bytes) -> "tuple[tuple[int, str, tuple[int, ...]], ...]":
    """The values of the metadata of a VHDX file: block size, disk size, sector sizes."""
    entry = data.index(_METADATA, 192 * 1024)
    (table,) = struct.unpack_from("<Q", data, entry + 16)
    (count,) = struct.unpack_from("<H", data, table + 10)
    found: list[tuple[int, str, tuple[int, ...]]] = [(table + 10, "<H", (0, 2048, 0xFFFF))]
    for number in range(count):
        item = table + 32 + 32 * number
        offset, length = struct.unpack_from("<II", data, item + 16)
        found.append((item + 16, "<I", (0, 1, 1 << 30, _HUGE_4)))
        found.append((item + 20, "<I", (0, 1, _HUGE_4)))
        found.append((item + 24, "<I", (0, 2, _HUGE_4)))
        form = "<Q" if length == 8 else "<I"
        values = (0, 1, 3, 1 << 31, _HUGE_4) if length < 16 else (0, _HUGE_4)
        more = _LARGE if length == 8 else ()
        found.append((table + offset, form, (*values, *more)))
    return tuple(found)
