"""Snapshots whose numbers were reserved before, which takes a few milliseconds.

librbd asks the monitors for the number while it takes a snapshot. They collect changes for 50 ms
before they answer, and have a second between two answers (paxos_propose_interval) while there is
more to do. The writes here are those that librbd does once it has the number: the
header, the object map of the snapshot, and that of the head. Formats: src/cls/rbd in Ceph, the same
from release 16 to 20.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from errno import EBUSY, EOVERFLOW, ERANGE, ESTALE, ETIMEDOUT
from typing import Optional

import rados

from ..faults import fault_point
from ..model.errors import MigrationError
from ..model.image_ident import header_object
from ..model.layout import FEATURES
from . import headers, image_snapshots, object_map
from .client import error_number
from .denc import encode_string
from .lock_out import assertion_of
from .surgery import encoded_metadata

_NOTIFY = 2000  # milliseconds for the clients that have the image open
_TRIES = 3  # an OSD or a client may not be as quick as that


def reserve(data: rados.Ioctx) -> int:
    """Have the monitors reserve a number; ``data`` is the pool with the image's data."""
    return int(data.create_self_managed_snap())


def give_back(data: rados.Ioctx, snap_id: int) -> None:
    """Give back a number that no snapshot has got."""
    with suppress(rados.ObjectNotFound):
        data.remove_self_managed_snap(snap_id)


def take(
    ioctx: rados.Ioctx,
    ident: str,
    snap_id: int,
    name: str,
    metadata: Mapping[str, str],
    *,
    version: Optional[int] = None,
) -> None:
    """Take a snapshot of an image, and set ``metadata``.

    This client has the image's exclusive lock; one without that feature nobody else uses. All that
    was written to the image has to be flushed. Snapshot and metadata are one write. The snapshot's
    object map is there before; :func:`drop_map` removes it when this is cut off in between. Clients
    that have the image open, this one too, learn of the snapshot by :func:`tell_clients`.

    ``version``: only if the header still has this one.

    Raises MigrationError: EBUSY when a client has the lock, ESTALE when the image has got a newer
    snapshot since the number was reserved, or another version of its header. Raises
    ``rados.Error`` with EDQUOT at the limit of snapshots.
    """
    features = headers.features(ioctx, ident)
    holder = headers.lock_holder(ioctx, ident)
    if holder is None and features & FEATURES["exclusive-lock"]:
        raise _taken()
    mapped = bool(features & FEATURES["object-map"])
    mapped = mapped and object_map.copy_for_snapshot(ioctx, ident, snap_id)
    fault_point("snapshot.after", "map")
    try:
        with rados.WriteOpCtx() as op:
            if version is not None:
                op.assert_version(version)
            if holder is not None:
                op.execute("lock", "assert_locked", assertion_of(holder))
            op.execute("rbd", "snapshot_add", encode_string(name) + struct.pack("<Q", snap_id))
            if metadata:
                op.execute("rbd", "metadata_set", encoded_metadata(metadata))
            ioctx.operate_write_op(op, header_object(ident))
    except rados.Error as error:
        drop_map(ioctx, ident, snap_id)
        if error_number(error) == EBUSY:
            raise _taken() from None
        if error_number(error) not in (ESTALE, ERANGE, EOVERFLOW):
            raise
        raise MigrationError(ESTALE, "Somebody took a snapshot of the image.") from None
    fault_point("snapshot.after", "header")
    if mapped and features & FEATURES["fast-diff"]:
        object_map.track_changes(ioctx, ident)


def drop_map(ioctx: rados.Ioctx, ident: str, snap_id: int) -> None:
    """Remove the object map of a snapshot that was not taken; nothing where it was."""
    if snap_id not in image_snapshots.snapshot_ids(ioctx, ident)[1]:
        object_map.remove(ioctx, ident, snap_id)


def tell_clients(ioctx: rados.Ioctx, ident: str) -> None:
    """Have all clients that have the image open read its header again, before their next request.

    A notification without content says so, for librbd and krbd. Raises rados.Error: ETIMEDOUT when
    a client does not answer.
    """
    for left in reversed(range(_TRIES)):
        try:
            ioctx.notify(header_object(ident), "", _NOTIFY)
            return
        except rados.Error as error:
            if error_number(error) != ETIMEDOUT or not left:
                raise


def _taken() -> MigrationError:
    return MigrationError(EBUSY, "A client took the image's exclusive lock.")
