"""Files in which several fields are wrong at once, as in the samples of QEMU's own tests.

Those are of its tests 059 (VMDK), 076 (Parallels), 080 (QCOW 2) and 092 (QCOW 1). Where a test
writes one field alone, it is in :mod:`.samples`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from .bases import BASES
from .sums import correct

_U4, _U8 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_MISALIGNED = 0x1234567890ABCDEF
_FAR = 0xFFFFFFFFFFFF0000


@dataclass(frozen=True)
class Case:
    """Values of fields, by offset and form of struct. ``length``: bytes that are left of it."""

    base: str
    name: str
    fields: "dict[tuple[int, str], int]" = field(default_factory=dict)
    length: int = 0

    def apply(self, data: bytearray) -> None:
        """Change the good file of its base."""
        for (offset, form), value in self.fields.items():
            struct.pack_into(form, data, offset, value)
        if self.length:
            del data[self.length :]
        correct(data, BASES[self.base].qemu)


def cases(files: "dict[str, bytes]") -> "Iterator[Case]":
    """All of them; ``files`` has the good file of each base."""
    for base in ("vmdk", "vmdk-stream"):
        yield Case(base, "l1-too-long", {(16, "<I"): _U4, (44, "<I"): 1})
        yield Case(base, "no-grains", {(20, "<Q"): 0, (44, "<I"): 0})
        yield Case(base, "version-3", {(4, "<I"): 3})
        yield Case(base, "capacity-without-end", {(12, "<Q"): _U8, (20, "<Q"): 1, (44, "<I"): 512})
        yield Case(base, "truncated", length=len(files[base]) // 3)
    yield Case("parallels", "catalog-overflow", {(36, "<I"): _U4, (32, "<I"): 0x40000001})
    yield Case("parallels", "no-tracks-and-no-catalog", {(28, "<I"): 0, (32, "<I"): 0})
    yield Case("qcow", "backing-name-behind-all", {(8, ">Q"): 0xFF, (16, ">I"): _U4})
    yield Case("qcow", "backing-name-negative", {(8, ">Q"): 0xFF, (16, ">I"): 0x7FFFFFFF})
    yield Case("qcow", "l2-cache-overflow", {(33, ">B"): 0x1B, (24, ">Q"): 0x7FFFFFFFFFFFFFFF})
    yield from _qcow2(files["qcow2"])
    yield from _snapshots(files["qcow2-snapshot"])


def _qcow2(data: bytes) -> "Iterator[Case]":
    (end,) = struct.unpack_from(">I", data, 100)  # of the header; extensions follow
    extension = {(end, ">I"): 0x12345678, (end + 4, ">I"): 0x7FFFFFFF}
    for offset in (_U8, end + 4, 0):
        yield Case("qcow2", f"extension-{offset:x}", {**extension, (8, ">Q"): offset})
    yield Case("qcow2", "refcounts-far", {(48, ">Q"): _FAR, (56, ">I"): 0x7F})
    yield Case("qcow2", "snapshots-far", {(64, ">Q"): _FAR, (60, ">I"): 0xFFFF})
    yield Case("qcow2", "snapshots-misaligned", {(64, ">Q"): _MISALIGNED, (60, ">I"): 0})
    yield Case("qcow2", "snapshots-too-many", {(64, ">Q"): 16 << 20, (60, ">I"): 65536})
    yield Case("qcow2", "l1-far", {(40, ">Q"): 0x7FFFFFFFFFFF0000, (36, ">I"): 0xFFFF})
    yield Case("qcow2", "l1-misaligned", {(40, ">Q"): _MISALIGNED, (36, ">I"): 1})
    yield Case("qcow2", "backing-name-too-long", {(8, ">Q"): 4096, (16, ">I"): _U4})
    (l1,) = struct.unpack_from(">Q", data, 40)
    (entry,) = struct.unpack_from(">Q", data, l1)
    l2 = entry & 0x00FFFFFFFFFFFE00
    for value in (0xBFFFFFFFFFFF0000, 0x800000FFFFFF0000):
        yield Case("qcow2", f"l2-{value:x}", {(l2, ">Q"): value})


def _snapshots(data: bytes) -> "Iterator[Case]":
    (table,) = struct.unpack_from(">Q", data, 64)
    base = "qcow2-snapshot"
    yield Case(base, "no-l1", {(36, ">I"): 0})
    yield Case(base, "l1-of-snapshot-misaligned", {(table, ">Q"): 0x400200})
    yield Case(base, "l1-of-snapshot-far", {(table, ">Q"): _FAR})
    yield Case(base, "l1-of-snapshot-too-long", {(table + 8, ">I"): 0x10000000})
    yield Case(base, "name-too-long", {(table + 12, ">H"): 0xFFFF, (table + 14, ">H"): 0xFFFF})
    yield Case(base, "extra-data-too-long", {(table + 36, ">I"): _U4})
    yield Case(base, "state-too-large", {(table + 32, ">I"): _U4})
