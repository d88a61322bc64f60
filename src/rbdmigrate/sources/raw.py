"""The format ``raw``: the bytes of a disk, with checks for files of other formats."""

from __future__ import annotations

from ..model.inspection import SnapshotInfo
from . import conversion
from .look import Look
from .qcow_header import DESCRIPTOR, container, footer
from .stream import Stream

_SECTOR = 512
_SNIFF = 512


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
    _sniff(look, stream)
    # The reported size may be wrong: read the end to check it.
    stream.read(stream.size - 1, 1)


def look_at_snapshot(look: Look, name: str, stream: Stream) -> None:
    """Note a snapshot of the head."""
    look.snapshots.append(SnapshotInfo(name, stream.size))
    if not stream.size:
        look.note("SOURCE_EMPTY", f"{stream.label} (snapshot {name!r}) has no bytes.")
        return
    stream.read(stream.size - 1, 1)
    if stream.size != look.size:
        look.note(
            "RAW_SNAPSHOT_SIZE",
            f"The snapshot {name!r} has {stream.size} bytes and the head {look.size}: right if the "
            "disk was resized in between, otherwise one of both files is cut off.",
        )


def _sniff(look: Look, stream: Stream) -> None:
    """Note whether it looks like a file of another format."""
    head = stream.read(0, _SNIFF)
    if head[:6] == b"LUKS\xba\xbe":
        look.note(
            "RAW_LUKS",
            f"{stream.label} is encrypted with LUKS: it is imported as it is, and needs the same "
            "passphrase afterwards.",
        )
        return
    known = container(head)
    if known is None and stream.size > _SNIFF:
        known = footer(stream.read(stream.size - _SNIFF, _SNIFF))
    if known is None:
        return
    name, words = known
    assert look.spec.stream is not None
    remedy = ""
    if conversion.unpackable(name):
        remedy = conversion.unpack(look.spec.stream, name)
    elif name == "rbd":
        remedy = "rbd import --export-format 2"
    elif name == "qcow":
        remedy = '"type": "qcow"'
    elif head.startswith(DESCRIPTOR):
        remedy = conversion.convert_in_place(look.spec.stream, name)
    else:
        remedy = conversion.convert(look.spec.stream, name)
    look.note(
        "RAW_CONTAINER",
        f"{stream.label} {words}: imported as raw, a client sees that file and not the disk in it.",
        remedy,
    )
