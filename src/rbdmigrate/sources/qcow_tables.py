"""The tables of a QCOW file: snapshots, and which cluster of the disk is where in the file."""

from __future__ import annotations

import struct
import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EBADMSG
from typing import NamedTuple, Optional

from .errors import SourceError
from .limits import Limits
from .qcow_header import Header, broken
from .stream import Stream

OFFSET = 0x00FFFFFFFFFFFE00
COMPRESSED = 1 << 62  # in versions 2 and 3
COMPRESSED_1 = 1 << 63  # in version 1
ZERO = 1
_MAX_EXTRA = 1024  # bytes; QEMU's limit for the extra data of a snapshot
_CACHED = 16  # L2 tables, of 2 MiB at most


@dataclass(frozen=True)
class Snapshot:
    """An internal snapshot. ``size``: bytes of the disk then; ``state``: of the VM's memory."""

    name: str
    size: int
    l1_offset: int
    l1_size: int
    state: int


@dataclass(frozen=True)
class View:
    """The head, or a snapshot: what one L1 table shows. ``name`` is empty for the head."""

    name: str
    size: int
    l1: array[int]


def read_snapshots(stream: Stream, header: Header, limits: Limits) -> list[Snapshot]:
    """The internal snapshots, in the file's order. Raises SourceError."""
    if header.snapshot_count > limits.snapshots:
        raise SourceError(
            "QCOW_TOO_BIG",
            EBADMSG,
            f"{stream.label} says that it has {header.snapshot_count} snapshots; up to "
            f"{limits.snapshots} are imported.",
        )
    found: list[Snapshot] = []
    offset = header.snapshots_offset
    for _ in range(header.snapshot_count if offset else 0):
        offset = (offset + 7) // 8 * 8
        head = stream.read(offset, 40)
        if len(head) < 40:
            raise broken(stream.label, "its list of snapshots is cut off")
        l1_offset, l1_size, id_size, name_size, _, _, _, state, extra_size = struct.unpack(
            ">QIHHIIQII", head
        )
        if extra_size > _MAX_EXTRA:
            raise broken(stream.label, f"a snapshot with {extra_size} bytes of extra data")
        rest = stream.read(offset + 40, extra_size + id_size + name_size)
        if len(rest) < extra_size + id_size + name_size:
            raise broken(stream.label, "its list of snapshots is cut off")
        size = header.size
        if extra_size >= 16:
            state, size = struct.unpack(">QQ", rest[:16])
        name = rest[extra_size + id_size :].decode("utf-8", "replace")
        if size >= 1 << 62:
            raise broken(stream.label, f"a snapshot of {size} bytes")
        found.append(Snapshot(name, size, l1_offset, l1_size, state))
        offset += 40 + len(rest)
    return found


def read_view(stream: Stream, header: Header, limits: Limits, snapshot: Optional[Snapshot]) -> View:
    """The L1 table of the head (None) or a snapshot. Raises SourceError."""
    if snapshot is None:
        name, size, offset, entries = "", header.size, header.l1_offset, header.l1_size
    else:
        name, size = snapshot.name, snapshot.size
        offset, entries = snapshot.l1_offset, snapshot.l1_size
        needed = -(-size // header.l1_reach)
        if entries < needed:
            raise broken(stream.label, f"the snapshot {name!r} has an L1 table that is too short")
        entries = needed
    if entries * 8 > limits.tables:
        raise SourceError(
            "QCOW_TOO_BIG",
            EBADMSG,
            f"{stream.label} has an L1 table of {entries * 8} bytes; up to {limits.tables} are "
            "read.",
        )
    data = stream.read(offset, entries * 8)
    if len(data) < entries * 8:
        raise broken(stream.label, "its L1 table is cut off")
    return View(name, size, _big_endian(data))


def _big_endian(data: bytes) -> array[int]:
    numbers: array[int] = array("Q")
    numbers.frombytes(data[: len(data) // 8 * 8])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


class Tables:
    """The L2 tables, read when needed; a few are kept."""

    def __init__(self, stream: Stream, header: Header) -> None:
        self._stream = stream
        self._header = header
        self._kept: OrderedDict[int, array[int]] = OrderedDict()

    def l2(self, entry: int) -> Optional[array[int]]:
        """The L2 table that an entry of an L1 table leads to; None where nothing is allocated."""
        offset = entry & OFFSET if self._header.version > 1 else entry
        if not offset:
            return None
        if offset in self._kept:
            self._kept.move_to_end(offset)
            return self._kept[offset]
        length = 8 << self._header.l2_bits
        if offset + length > self._stream.size:
            raise broken(self._stream.label, f"an L2 table at {offset}, beyond the file's end")
        table = _big_endian(self._stream.read(offset, length))
        self._kept[offset] = table
        if len(self._kept) > _CACHED:
            self._kept.popitem(last=False)
        return table

    def entries(self, view: View, first: int, last: int) -> Iterator[tuple[int, int]]:
        """(cluster of the disk, L2 entry) of what is allocated from ``first`` up to ``last``."""
        bits = self._header.l2_bits
        cluster = first
        while cluster < last:
            stop = min(last, ((cluster >> bits) + 1) << bits)
            table = self.l2(view.l1[cluster >> bits])
            if table is not None:
                begin = cluster & ((1 << bits) - 1)
                for number, entry in enumerate(table[begin : begin + stop - cluster], cluster):
                    if entry:
                        yield number, entry
            cluster = stop


class Counts(NamedTuple):
    """Clusters of one L2 table: with data, compressed, zeroed in place, beyond the file's end."""

    data: int
    compressed: int
    zeroed: int
    beyond: int


_EVEN = bytes(range(0, 256, 2))


def count(header: Header, table: array[int], file_size: int) -> Counts:
    """What an L2 table holds. Tables without special clusters, nearly all, are counted in C."""
    data = table.tobytes() if sys.byteorder == "little" else table[::-1].tobytes()
    bit = 0x80 if header.version == 1 else 0x40
    plain = bytes(value for value in range(256) if not value & bit)
    last = file_size - header.cluster_size  # where the last whole cluster may begin
    special = data[7::8].translate(None, plain) or (
        header.version == 3 and data[0::8].translate(None, _EVEN)
    )
    if not special:
        mask = OFFSET if header.version > 1 else (1 << 63) - 1
        used = len(table) - table.count(0)
        if max(map(mask.__and__, table), default=0) <= last:
            return Counts(used, 0, 0, 0)
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
    return Counts(used, compressed, zeroed, beyond)


def is_compressed(header: Header, entry: int) -> bool:
    """Whether a cluster is compressed."""
    return bool(entry & (COMPRESSED_1 if header.version == 1 else COMPRESSED))


def is_zero(header: Header, entry: int) -> bool:
    """Whether a cluster reads as zeros, whatever is in the file."""
    return header.version == 3 and bool(entry & ZERO)


def host_offset(header: Header, entry: int) -> int:
    """Where in the file the data of a cluster is that is not compressed; 0: nowhere."""
    return entry if header.version == 1 else entry & OFFSET
