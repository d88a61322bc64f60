"""The tables of a QCOW file: its snapshots, and the offsets of its clusters."""

from __future__ import annotations

import struct
import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EBADMSG
from typing import Optional

from .errors import SourceError
from .limits import Limits
from .qcow_entries import host_offset, malformed_l1
from .qcow_header import Header, broken
from .stream import Stream

_MOST_L1 = 4 << 20  # entries; QEMU writes and reads no more
_MAX_EXTRA = 1024  # bytes; QEMU's limit for the extra data of a snapshot
_CACHED = 16  # L2 tables, of 2 MiB at most


@dataclass(frozen=True)
class Snapshot:
    """An internal snapshot. ``size``: bytes of its disk; ``state``: bytes of the VM's memory.
    ``encoded`` is its name in the file, ``name`` the same as text. ``ident``: its id there.
    """

    name: str
    encoded: bytes
    size: int
    l1_offset: int
    l1_size: int
    state: int
    ident: str = ""


@dataclass(frozen=True)
class View:
    """The L1 table of the head or a snapshot. ``name`` is empty for the head."""

    name: str
    size: int
    l1: array[int]


def read_snapshots(stream: Stream, header: Header, limits: Limits) -> list[Snapshot]:
    """Read the internal snapshots, in the file's order. Raises SourceError."""
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
            raise broken(stream.label, "its list of snapshots is truncated")
        l1_offset, l1_size, id_size, name_size, _, _, _, state, extra_size = struct.unpack(
            ">QIHHIIQII", head
        )
        if extra_size > _MAX_EXTRA:
            raise broken(stream.label, f"a snapshot with {extra_size} bytes of extra data")
        rest = stream.read(offset + 40, extra_size + id_size + name_size)
        if len(rest) < extra_size + id_size + name_size:
            raise broken(stream.label, "its list of snapshots is truncated")
        size = header.size
        if extra_size >= 16:
            state, size = struct.unpack(">QQ", rest[:16])
        encoded = rest[extra_size + id_size :]
        name = encoded.decode("utf-8", "backslashreplace")
        if size >= 1 << 62:
            raise broken(stream.label, f"a snapshot of {size} bytes")
        ident = rest[extra_size : extra_size + id_size].decode("ascii", "replace")
        found.append(Snapshot(name, encoded, size, l1_offset, l1_size, state, ident))
        offset += 40 + len(rest)
    return found


def read_view(stream: Stream, header: Header, limits: Limits, snapshot: Optional[Snapshot]) -> View:
    """Read the L1 table of the head (None) or a snapshot. Raises SourceError."""
    if snapshot is None:
        name, size, offset, entries = "", header.size, header.l1_offset, header.l1_size
    else:
        name, size = snapshot.name, snapshot.size
        offset, entries = snapshot.l1_offset, snapshot.l1_size
        needed = -(-size // header.l1_reach)
        if entries > _MOST_L1:
            raise broken(
                stream.label, f"the snapshot {name!r} has an L1 table of {entries} entries"
            )
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
    if header.version > 1 and offset % header.cluster_size:
        raise broken(stream.label, f"an L1 table at {offset}, where no cluster begins")
    data = stream.read(offset, entries * 8)
    if len(data) < entries * 8:
        raise broken(stream.label, "its L1 table is truncated")
    table = _big_endian(data)
    if malformed_l1(header, table):
        raise broken(stream.label, "an invalid entry of an L1 table")
    return View(name, size, table)


def _big_endian(data: bytes) -> array[int]:
    numbers: array[int] = array("Q")
    numbers.frombytes(data[: len(data) // 8 * 8])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


class Tables:
    """The L2 tables, read on demand; a few are cached."""

    def __init__(self, stream: Stream, header: Header) -> None:
        self._stream = stream
        self._header = header
        self._kept: OrderedDict[int, array[int]] = OrderedDict()

    def l2(self, entry: int) -> Optional[array[int]]:
        """The L2 table of an entry of an L1 table; None where nothing is allocated."""
        offset = host_offset(self._header, entry)
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
        """(cluster of the disk, L2 entry) of allocated clusters from ``first`` up to ``last``."""
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
