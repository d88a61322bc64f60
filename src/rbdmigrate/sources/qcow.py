"""The format ``qcow``: parts of a file that librbd cannot read, or reads incorrectly.

From librbd's source, measured on 16.2 and 20.2: it checks only the header. Compressed clusters,
and zeroed clusters that kept their allocation, show only while data is read: some fail, some give
**other bytes than the disk has**, without an error. So all L2 tables are scanned first.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator

from ..model.inspection import SnapshotInfo
from . import conversion
from .look import Look
from .qcow_header import (
    COMPRESSION,
    COMPRESSIONS,
    CORRUPT,
    CRYPT,
    DATA_FILE,
    DIRTY,
    EXTENDED_L2,
    KNOWN_FEATURES,
    Header,
    parse_header,
)
from .qcow_scan import Scan, Scanner
from .qcow_tables import Snapshot, View, read_snapshots, read_view
from .stream import Stream


def look_at(look: Look, stream: Stream) -> None:
    """Note the properties of a QCOW source, and every reason why librbd cannot read it."""
    header = parse_header(stream)
    look.size = header.size
    look.cluster_size = header.cluster_size
    size = f"{header.cluster_size >> 10} KiB" if header.cluster_bits > 9 else "512 bytes"
    look.details.append(f"QCOW version {header.version}, clusters of {size}")
    _disk(look, stream, header)
    _features(look, stream, header)
    health(look, stream, header)
    if header.crypt or header.features & (DATA_FILE | EXTENDED_L2):
        return  # its tables have another layout
    head, *snapshots = _views(look, stream, header)
    _scan(look, stream, header, [*snapshots, head])


def _convert(look: Look, header: Header) -> str:
    """The command that converts it into a file that can be imported."""
    assert look.spec.stream is not None
    return conversion.convert(look.spec.stream, header.qemu_format)


def _disk(look: Look, stream: Stream, header: Header) -> None:
    """Note what the header says about the disk."""
    name = stream.label
    if header.size == 0:
        look.note("QCOW_EMPTY", f"{name} holds a disk of 0 bytes, on which librbd crashes.")
    odd_size(look, stream, header, "librbd wants a multiple of 512")


def odd_size(look: Look, stream: Stream, header: Header, why: str) -> None:
    """Note a disk whose size is no multiple of 512. ``why`` it has to be one, within a sentence."""
    if header.size % 512:
        look.note(
            "QCOW_SIZE",
            f"The disk in {stream.label} has {header.size} bytes, and {why}; make it larger.",
            _resize(look, header.size + 512 - header.size % 512),
        )


def _resize(look: Look, size: int) -> str:
    """The command that makes the disk larger; a file that is not local is fetched first."""
    assert look.spec.stream is not None
    fetch, path = conversion.fetched(look.spec.stream)
    return f"{fetch}qemu-img resize {path} {size}"


def _features(look: Look, stream: Stream, header: Header) -> None:
    """Note features in the header that librbd does not read."""
    convert, name = _convert(look, header), stream.label
    assert look.spec.stream is not None
    if header.crypt:
        how = CRYPT.get(header.crypt, f"method {header.crypt}")
        look.note(
            "QCOW_ENCRYPTED",
            f"{name} is encrypted ({how}), which librbd does not read; decrypt it first, or add "
            'the field "passphrase" to the source-spec, and it is copied.',
            conversion.decrypt(look.spec.stream, header.qemu_format),
        )
    if header.backing_file:
        look.note(
            "QCOW_BACKING",
            f"{name} has the backing file {header.backing_file}, which librbd does not read; "
            "convert both into one file first.",
            convert,
        )
    if header.features & DATA_FILE:
        look.note(
            "QCOW_DATA_FILE",
            f"{name} stores its data in the file {header.data_file or '(not named)'}, and librbd "
            "crashes on that; convert both into one file first.",
            _join(look, header),
        )
    if header.features & EXTENDED_L2:
        look.note(
            "QCOW_EXTENDED_L2",
            f"{name} has extended L2 entries, which librbd does not read; convert it first.",
            convert,
        )
    if header.features & COMPRESSION or header.compression:
        how = COMPRESSIONS.get(header.compression, f"method {header.compression}")
        look.note(
            "QCOW_COMPRESSION",
            f"{name} is made for {how} compression, which librbd refuses; convert it first.",
            convert,
        )
    if header.features & ~KNOWN_FEATURES:
        look.note(
            "QCOW_FEATURE",
            f"{name} uses a feature that librbd does not know "
            f"(bits {header.features & ~KNOWN_FEATURES:#x}); convert it first.",
            convert,
        )


def _join(look: Look, header: Header) -> str:
    """The command that makes one file of the disk and its data file; empty if that is not found.

    A data file on a web server is looked for next to the disk.
    """
    stream = look.spec.stream
    assert stream is not None
    if stream.type != "http":
        return conversion.convert_in_place(stream, header.qemu_format)
    url = look.sibling_url(stream, posixpath.basename(header.data_file))
    return conversion.joined(stream, url) if url else ""


def health(look: Look, stream: Stream, header: Header) -> None:
    """Note flags in the header of a damaged or open file."""
    name = stream.label
    place = look.spec.stream
    assert place is not None
    if header.features & CORRUPT:
        look.note(
            "QCOW_CORRUPT",
            f"{name} is marked as corrupt; repair it first, on a copy.",
            conversion.repaired(place),
        )
    if header.features & DIRTY:
        look.note(
            "QCOW_DIRTY",
            f"{name} was not closed properly or is in use: make sure that nothing writes to it.",
            conversion.repaired(place, "leaks"),
        )


def _views(look: Look, stream: Stream, header: Header) -> Iterator[View]:
    """Return the head and all snapshots, with their L1 tables."""
    yield read_view(stream, header, look.limits, None)
    snapshots = read_snapshots(stream, header, look.limits)
    names_of(look, stream, header, snapshots)
    left = look.limits.tables - 8 * header.l1_size
    for snapshot in snapshots:
        look.snapshots.append(SnapshotInfo(snapshot.name, snapshot.size))
        if snapshot.state:
            look.note(
                "QCOW_VM_STATE",
                f"The snapshot {snapshot.name!r} holds the memory of a virtual machine "
                f"({snapshot.state} bytes), which is not imported.",
            )
        left -= 8 * snapshot.l1_size
        if left < 0:
            look.note(
                "QCOW_TOO_BIG",
                f"The L1 tables of {stream.label} have more than {look.limits.tables} bytes.",
            )
            return
        if snapshot.size == 0:
            look.note(
                "QCOW_EMPTY", f"The snapshot {snapshot.name!r} of {stream.label} has 0 bytes."
            )
            continue
        yield read_view(stream, header, look.limits, snapshot)


def names_of(look: Look, stream: Stream, header: Header, snapshots: list[Snapshot]) -> None:
    """Note names of snapshots that RBD or its commands cannot use."""
    names = [snapshot.name for snapshot in snapshots]
    left_behind = "which leaves its snapshots behind"
    for number, name in enumerate(names):
        if name and name in names[:number]:
            look.note(
                "QCOW_SNAPSHOT_TWICE",
                f"{stream.label} has two snapshots named {name!r}, and librbd crashes on that; "
                f"delete one, or convert the file, {left_behind}.",
                _convert(look, header),
            )
            return
    for snapshot in snapshots:
        wrong = _unusable(snapshot.encoded)
        if wrong:
            look.note(
                "QCOW_SNAPSHOT_UNUSABLE",
                f"The name of the snapshot {snapshot.name!r} of {stream.label} {wrong}; rename or "
                f"delete that snapshot, or convert the file, {left_behind}.",
                _convert(look, header),
            )
            return
    odd = [name for name in names if "/" in name or "@" in name or not name.isprintable()]
    if odd:
        look.note(
            "QCOW_SNAPSHOT_NAME",
            f"{stream.label} has a snapshot named {odd[0]!r}: most commands cannot name it in RBD; "
            "rename it first if it is needed.",
        )


def _unusable(encoded: bytes) -> str:
    """Why an image with a snapshot of this name cannot be used; empty for a valid name."""
    if not encoded:
        return "is empty, for which librbd invents another"
    if b"\0" in encoded:
        return "has a zero byte, on which librbd crashes"
    try:
        encoded.decode("utf-8")
    except UnicodeDecodeError:
        return "is not UTF-8, which Ceph's tools cannot show"
    return ""


def _scan(look: Look, stream: Stream, header: Header, views: list[View]) -> None:
    """Scan all L2 tables, within the limits; ``views``: the head is the last."""
    scanner = Scanner(stream, header, budget=look.limits.scan, in_time=look.in_time)
    found = scanner.look(views)
    if found.unfinished:
        look.note(
            "QCOW_NOT_SCANNED",
            f"Not all of {stream.label} was checked for clusters that librbd cannot read: "
            f"{found.unfinished}; `--verify full` compares what was copied.",
        )
        # An importable file has no compressed clusters, so it cannot hold more data than its size.
        look.to_copy = min(stream.size, sum(view.size for view in views))
    else:
        look.to_copy = min(found.to_copy * header.cluster_size, sum(view.size for view in views))
    _scanned(look, stream, header, found)


def _scanned(look: Look, stream: Stream, header: Header, found: Scan) -> None:
    convert = _convert(look, header)
    left_behind = " (its snapshots are left behind)" if look.snapshots else ""
    if found.malformed:
        look.note(
            "QCOW_BROKEN",
            f"{stream.label} is damaged: {found.malformed} entries of its L2 tables are invalid, "
            "and librbd would read other data there than QEMU; look at it with "
            "`qemu-img check`.",
            f"qemu-img check {shlex.quote(stream.label)}",
        )
    if found.compressed:
        look.note(
            "QCOW_COMPRESSED",
            f"{stream.label} has {found.compressed} compressed clusters, which librbd does not "
            f"read; convert it first{left_behind}.",
            convert,
        )
    if found.zeroed:
        look.note(
            "QCOW_ZEROED",
            f"{stream.label} has {found.zeroed} clusters that were zeroed in place, of which "
            f"librbd reads the old data; convert it first{left_behind}.",
            convert,
        )
    if found.beyond:
        look.note(
            "QCOW_CUT_OFF",
            f"{stream.label} ends before {found.beyond} of its clusters do: the copy of it may be "
            "incomplete, and librbd cannot read them.",
            f"qemu-img check {shlex.quote(stream.label)}",
        )
