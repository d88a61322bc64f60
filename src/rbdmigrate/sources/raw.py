"""The format ``raw``: the bytes of a disk, with checks for files of other formats."""

from __future__ import annotations

import re

from ..model.inspection import SnapshotInfo
from ..model.source import COPIED_FORMATS, SnapshotSpec, StreamSpec
from . import conversion
from .look import Look
from .qcow_header import DESCRIPTOR, container, footer
from .stream import Stream

_SECTOR = 512
_SNIFF = 512
_LUKS = b"LUKS\xba\xbe"
# A line of a VMDK descriptor about a file with data. QEMU looks for it next to the descriptor.
_EXTENT = re.compile(rb'^RW \d+ [A-Z]+ "([\w. ()-]+)"', re.ASCII | re.MULTILINE)
_LONGEST_DESCRIPTOR = 64 << 10  # bytes
_MOST_EXTENTS = 16


def look_at(look: Look, stream: Stream) -> None:
    """Note the properties of a raw head; its first and last bytes are read."""
    look.size = stream.size
    if not stream.size:
        look.note("SOURCE_EMPTY", f"{stream.label} has no bytes; check that it is the right file.")
        return
    if stream.size % _SECTOR:
        look.note(
            "RAW_ODD_SIZE",
            f"{stream.label} has {stream.size} bytes, which is no multiple of {_SECTOR}: it may be "
            "cut off, and clients will see a disk of an odd size.",
        )
    if stream.read(0, len(_LUKS)) == _LUKS:
        look.note(
            "RAW_LUKS",
            f"{stream.label} is encrypted with LUKS: it is imported as it is, and needs the same "
            "passphrase afterwards.",
        )
    else:
        assert look.spec.stream is not None
        alone = not look.spec.snapshots
        _sniff(look, stream, look.spec.stream, alone=alone)
    _read_end(stream)


def _read_end(stream: Stream) -> None:
    """Read the end: the reported size may be wrong."""
    if not stream.in_order:
        stream.read(stream.size - 1, 1)


def look_at_snapshot(look: Look, snapshot: SnapshotSpec, stream: Stream) -> None:
    """Note a snapshot of the head."""
    name = snapshot.name
    look.snapshots.append(SnapshotInfo(name, stream.size))
    if not stream.size:
        look.note("SOURCE_EMPTY", f"{stream.label} (snapshot {name!r}) has no bytes.")
        return
    _sniff(look, stream, snapshot.stream, alone=False)
    _read_end(stream)
    if stream.size != look.size:
        look.note(
            "RAW_SNAPSHOT_SIZE",
            f"The snapshot {name!r} has {stream.size} bytes and the head {look.size}: right if the "
            "disk was resized in between, otherwise one of both files is cut off.",
        )


def _sniff(look: Look, stream: Stream, place: StreamSpec, *, alone: bool) -> None:
    """Note whether it looks like a file of another format."""
    known = container(stream.read(0, _SNIFF))
    if known is None and stream.size > _SNIFF and not stream.in_order:
        known = footer(stream.read(stream.size - _SNIFF, _SNIFF))
    if known is None:
        return
    name, words = known
    look.note(
        "RAW_CONTAINER",
        f"{stream.label} {words}, and not a raw disk; with --as-raw its bytes are imported as they "
        "are, and a client sees that file instead of the disk in it.",
        _remedy(look, stream, place, name, alone=alone),
    )


def _remedy(look: Look, stream: Stream, place: StreamSpec, name: str, *, alone: bool) -> str:
    """What makes the disk importable: its own type if it is ``alone``, else a raw copy of it."""
    packed = bool(place.compression or place.member)
    descriptor = stream.read(0, len(DESCRIPTOR)) == DESCRIPTOR
    if packed and (descriptor or not alone or name not in ("qcow", *COPIED_FORMATS)):
        return conversion.gathered(place, archive=name == "tar")
    if conversion.unpackable(name):
        return conversion.unpack(place, name)
    if name == "rbd":
        return "rbd import --export-format 2"
    in_files = descriptor and place.type != "file"  # which are followed in folders only
    if alone and (name == "qcow" or (name in COPIED_FORMATS and not in_files)):
        without = ', and no "size"' if packed and place.size else ""
        return f'"type": "{name}"{without}'
    if name == "qcow":
        version = int.from_bytes(stream.read(4, 4), "big")
        name = "qcow" if version == 1 else "qcow2"
    to = "qcow2" if alone else "raw"
    if not descriptor:
        return conversion.convert(place, name, to)
    if place.type != "http":
        return conversion.convert_in_place(place, name, to)
    extents = _EXTENT.findall(stream.read(0, _LONGEST_DESCRIPTOR))[:_MOST_EXTENTS]
    urls = [look.sibling_url(place, extent.decode()) for extent in dict.fromkeys(extents)]
    return conversion.convert_fetched(place, urls, name, to) if urls and all(urls) else ""
