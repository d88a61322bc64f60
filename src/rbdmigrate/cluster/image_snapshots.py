"""Reading the snapshots of an image from its header, without opening the image.

Every function takes an ioctx whose namespace is set, and raises ``rados.Error`` when RADOS does
not answer.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import rados

from ..model.image_ident import header_object, is_old_format
from . import old_format
from .class_call import call
from .denc import Decoder

_SNAPSHOT_OF_USER, _SNAPSHOT_IN_TRASH = 0, 2  # RBD_SNAP_NAMESPACE_TYPE_USER, _TRASH
_PROTECTED = 2  # RBD_PROTECTION_STATUS_PROTECTED


class SnapshotEntry(NamedTuple):
    """A snapshot of an image; ``in_trash``: its removal was begun and not completed."""

    snap_id: int
    in_trash: bool


def snapshots(ioctx: rados.Ioctx, ident: str) -> list[SnapshotEntry]:
    """The image's snapshots, the newest first."""
    if is_old_format(ident):
        old = old_format.header_of(ioctx, ident)
        return [SnapshotEntry(number, False) for number, _ in old.snapshots] if old else []
    oid = header_object(ident)
    context = call(ioctx, oid, "rbd", "get_snapcontext", b"")
    if context is None:
        return []
    context.u64()  # sequence
    found = []
    for snap_id in [context.u64() for _ in range(context.u32())]:
        reply = call(ioctx, oid, "rbd", "snapshot_get", struct.pack("<Q", snap_id))
        if reply is not None:
            found.append(SnapshotEntry(snap_id, _in_trash(reply)))
    return found


class UserSnapshot(NamedTuple):
    """A snapshot that a user made. In bytes; ``overlap``: what may come from a parent."""

    snap_id: int
    name: str
    size: int
    protected: bool
    overlap: int


def of_users(ioctx: rados.Ioctx, ident: str) -> list[UserSnapshot]:
    """The snapshots that users made, the oldest first; not those whose removal has begun.

    For images of format 2.
    """
    found = []
    for snap_id in snapshot_ids(ioctx, ident)[1]:
        reply = call(ioctx, header_object(ident), "rbd", "snapshot_get", struct.pack("<Q", snap_id))
        if reply is None:
            continue  # it was removed just now
        reply.start()
        reply.u64()  # id
        namespace = reply.start()
        kind = reply.u32()
        reply.finish(namespace)
        if kind == _SNAPSHOT_OF_USER:
            found.append(_of_user(ioctx, ident, snap_id, reply))
    return found


def _of_user(ioctx: rados.Ioctx, ident: str, snap_id: int, reply: Decoder) -> UserSnapshot:
    argument = struct.pack("<Q", snap_id)
    status = call(ioctx, header_object(ident), "rbd", "get_protection_status", argument)
    overlap = call(ioctx, header_object(ident), "rbd", "parent_overlap_get", argument)
    return UserSnapshot(
        snap_id=snap_id,
        name=reply.string(),
        size=reply.u64(),
        protected=status is not None and status.u8() == _PROTECTED,
        overlap=overlap.u64() if overlap and overlap.u8() else 0,
    )


def _in_trash(reply: Decoder) -> bool:
    """Whether the snapshot that a reply describes is about to be removed."""
    reply.start()
    reply.u64()  # id
    reply.start()
    return reply.u32() == _SNAPSHOT_IN_TRASH


def has_snapshot(ioctx: rados.Ioctx, ident: str, snap_id: int) -> bool:
    """Whether the image has the snapshot, and its removal has not been begun."""
    reply = call(ioctx, header_object(ident), "rbd", "snapshot_get", struct.pack("<Q", snap_id))
    return reply is not None and not _in_trash(reply)


def snapshot_ids(ioctx: rados.Ioctx, ident: str) -> tuple[int, list[int]]:
    """The highest snapshot id that the image ever had, and the ids of its snapshots, ascending."""
    if is_old_format(ident):
        old = old_format.header_of(ioctx, ident)
        return (old.newest, sorted(number for number, _ in old.snapshots)) if old else (0, [])
    context = call(ioctx, header_object(ident), "rbd", "get_snapcontext", b"")
    if context is None:
        return 0, []
    newest = context.u64()
    return newest, sorted(context.u64() for _ in range(context.u32()))


def snapshot_names(ioctx: rados.Ioctx, ident: str) -> list[str]:
    """The names of the image's snapshots, the newest first."""
    if is_old_format(ident):
        old = old_format.header_of(ioctx, ident)
        return [name for _, name in old.snapshots] if old else []
    oid = header_object(ident)
    found = []
    for entry in snapshots(ioctx, ident):
        reply = call(ioctx, oid, "rbd", "snapshot_get", struct.pack("<Q", entry.snap_id))
        if reply is not None:
            reply.start()
            reply.u64()  # id
            reply.finish(reply.start())  # namespace
            found.append(reply.string())
    return found
