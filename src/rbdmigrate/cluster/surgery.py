"""Writes to image headers, directories and the trash as plain RADOS objects: for repair only.

librbd has no call that completes some of its own interrupted acts (``doc/design/recovery.rst``).
The writes here are the last resort for these, on images that no client has open. Each is a single
atomic operation on one object. All of them may be repeated.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping
from typing import Optional

import rados

from ..model.image_ident import header_object, id_in_headers, is_old_format
from ..model.layout import FEATURES
from ..model.migration import Place
from ..model.observation import HeaderState, ImageView, MigrationHeader
from . import headers, image_snapshots, old_format
from .class_call import call_to_write
from .denc import encode_string
from .headers import Parent, versioned
from .lock_info import LockHolder

_TARGET_HEADER = 2
_CLIENT = 8  # CEPH_ENTITY_TYPE_CLIENT
_LOCK = "rbd_lock"


def _remove(ioctx: rados.Ioctx, oid: str) -> None:
    try:
        ioctx.remove_object(oid)
    except rados.ObjectNotFound:
        return


def relink(ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """Put an image back into its pool's directory and take it out of the trash."""
    if is_old_format(ident):
        old_format.add_name(ioctx, name)
        return
    if headers.image_id(ioctx, name) is None:
        with rados.WriteOpCtx() as op:
            op.new(rados.LIBRADOS_CREATE_EXCLUSIVE)
            op.execute("rbd", "set_id", encode_string(ident))
            ioctx.operate_write_op(op, f"rbd_id.{name}")
    if headers.image_name(ioctx, ident) is None:
        entry = encode_string(name) + encode_string(ident)
        call_to_write(ioctx, "rbd_directory", "rbd", "dir_add_image", entry)
    if headers.trash_entry(ioctx, ident) is not None:
        drop_trash_entry(ioctx, ident)


def drop_trash_entry(ioctx: rados.Ioctx, ident: str) -> None:
    """Take an image's entry out of the trash; the image itself is not touched."""
    call_to_write(ioctx, "rbd_trash", "rbd", "trash_remove", encode_string(ident))


def unlink_ghost(ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """Remove the names of an image without a header."""
    if headers.image_exists(ioctx, ident):
        raise ValueError(f"the image {ident} has a header, so its names stay")
    if headers.image_id(ioctx, name) == ident:
        _remove(ioctx, f"rbd_id.{name}")
    listed = headers.image_name(ioctx, ident)
    if listed is not None:
        entry = encode_string(listed) + encode_string(ident)
        call_to_write(ioctx, "rbd_directory", "rbd", "dir_remove_image", entry)
    _remove(ioctx, f"rbd_object_map.{ident}")
    remove_journal(ioctx, ident)


def drop_migration_header(ioctx: rados.Ioctx, ident: str) -> None:
    """Remove the migration header, which makes the image an ordinary one again."""
    call_to_write(ioctx, header_object(ident), "rbd", "migration_remove", b"")


def set_target_header(
    target_ioctx: rados.Ioctx,
    target_id: str,
    source_ioctx: rados.Ioctx,
    source: ImageView,
    state: HeaderState,
) -> None:
    """Write the missing migration header of a target, so that librbd can work on it again.

    The settings are taken from the header of ``source``. No snapshots are mapped: in the states in
    which this is used (preparing, executed) the target is not read through it.
    """
    assert source.header is not None
    payload = _encode_header(
        source.header,
        int(source_ioctx.get_pool_id()),
        str(source_ioctx.get_namespace()),
        source,
        headers.size(source_ioctx, source.image_id),
        state,
    )
    call_to_write(target_ioctx, f"rbd_header.{target_id}", "rbd", "migration_set", payload)


def _encode_header(
    like: MigrationHeader,
    pool_id: int,
    namespace: str,
    source: ImageView,
    overlap: int,
    state: HeaderState,
) -> bytes:
    body = struct.pack("<Bq", _TARGET_HEADER, pool_id) + encode_string(namespace)
    body += encode_string(source.name) + encode_string(id_in_headers(source.image_id))
    body += struct.pack("<IQBB", 0, overlap, like.flatten, like.mirroring)
    body += struct.pack("<B", state) + encode_string("")
    body += struct.pack("<B", like.mirror_mode) + encode_string("")
    return struct.pack("<BBI", 3, 1, len(body)) + body


def remove_journal(ioctx: rados.Ioctx, ident: str) -> None:
    """Remove the journal of a partly created or partly removed image.

    Journals in a separate journal pool are not found; they hold no data that is needed.
    """
    _remove(ioctx, f"journal.{ident}")
    for item in ioctx.list_objects():
        parts = item.key.split(".")  # journal_data.<pool id>.<image id>.<number>
        if parts[0] == "journal_data" and parts[2:3] == [ident]:
            _remove(ioctx, item.key)


def encoded_metadata(metadata: Mapping[str, str]) -> bytes:
    """The argument of the class method ``metadata_set``."""
    pairs = (encode_string(key) + encode_string(value) for key, value in sorted(metadata.items()))
    return struct.pack("<I", len(metadata)) + b"".join(pairs)


def set_metadata(ioctx: rados.Ioctx, ident: str, key: str, value: str) -> None:
    """Set a key of an image's metadata; clients that have the image open are not told."""
    argument = encoded_metadata({key: value})
    call_to_write(ioctx, f"rbd_header.{ident}", "rbd", "metadata_set", argument)


def drop_metadata(ioctx: rados.Ioctx, ident: str, key: str) -> None:
    """Remove a key from an image's metadata, if it exists."""
    if headers.metadata(ioctx, ident, key) is not None:
        call_to_write(ioctx, f"rbd_header.{ident}", "rbd", "metadata_remove", encode_string(key))


def drop_journaling(ioctx: rados.Ioctx, ident: str) -> None:
    """Disable journaling on an image that is about to be removed.

    Opening one whose journal was not created crashes librbd. One whose removal was cut off it
    cannot open either (ENOENT, seen on 18.2.7 while snapshots were being removed).
    """
    if not headers.features(ioctx, ident) & FEATURES["journaling"]:
        return
    remove_journal(ioctx, ident)
    argument = struct.pack("<QQ", 0, FEATURES["journaling"])
    call_to_write(ioctx, f"rbd_header.{ident}", "rbd", "set_features", argument)


def drop_lost_journaling(ioctx: rados.Ioctx, ident: str) -> None:
    """The same for an image whose journal is gone: librbd cannot open it (ENOENT)."""
    try:
        ioctx.stat(f"journal.{ident}")
    except rados.ObjectNotFound:
        drop_journaling(ioctx, ident)


def purge_trashed_snapshots(ioctx: rados.Ioctx, data_ioctx: rados.Ioctx, ident: str) -> None:
    """Complete an interrupted removal of snapshots, after which librbd always refuses the image."""
    for snapshot in image_snapshots.snapshots(ioctx, ident):
        if not snapshot.in_trash:
            continue
        _remove(ioctx, f"rbd_object_map.{ident}.{snapshot.snap_id:016x}")
        with contextlib.suppress(rados.ObjectNotFound):
            data_ioctx.remove_self_managed_snap(snapshot.snap_id)
        argument = struct.pack("<Q", snapshot.snap_id)
        call_to_write(ioctx, f"rbd_header.{ident}", "rbd", "snapshot_remove", argument)


def remove_leftovers(ioctx: rados.Ioctx, ident: str) -> None:
    """Remove the object maps and the journal of an image without header."""
    _remove(ioctx, f"rbd_object_map.{ident}")
    remove_journal(ioctx, ident)
    for item in ioctx.list_objects():
        if item.key.startswith(f"rbd_object_map.{ident}."):
            _remove(ioctx, item.key)


def forget_child(ioctx: rados.Ioctx, parent: Parent, child_id: str) -> None:
    """Remove a clone of format 1 from its pool's list of children."""
    argument = struct.pack("<q", parent.pool_id) + encode_string(parent.image_id)
    argument += struct.pack("<Q", parent.snap_id) + encode_string(child_id)
    with contextlib.suppress(rados.ObjectNotFound):
        call_to_write(ioctx, "rbd_children", "rbd", "remove_child", argument)


def detach_child(ioctx: rados.Ioctx, parent: Parent, child: Place) -> None:
    """Remove a clone of format 2 from its parent's list of children."""
    spec = struct.pack("<q", child.pool_id) + encode_string(child.image_id)
    spec += encode_string(child.namespace)
    argument = struct.pack("<Q", parent.snap_id) + struct.pack("<BBI", 2, 1, len(spec)) + spec
    with contextlib.suppress(rados.ObjectNotFound):
        call_to_write(ioctx, f"rbd_header.{parent.image_id}", "rbd", "child_detach", argument)


def break_lock(ioctx: rados.Ioctx, ident: str, holder: LockHolder) -> Optional[int]:
    """Break the exclusive lock of ``holder``, which must have been fenced before.

    Returns the version of the header object after this write; while it stays the same, no client
    has had the lock since. None: the holder has released the lock by itself.
    """
    entity = struct.pack("<Bq", _CLIENT, holder.client)
    argument = encode_string(_LOCK) + entity + encode_string(holder.cookie)
    try:
        return call_to_write(ioctx, header_object(ident), "lock", "break_lock", versioned(argument))
    except rados.ObjectNotFound:
        return None
