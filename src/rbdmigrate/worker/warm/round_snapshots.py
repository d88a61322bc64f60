"""The snapshots of rounds: their names, and taking them on the source."""

from __future__ import annotations

from collections.abc import Iterable
from errno import EDQUOT
from typing import Any, Optional

import rados
import rbd

from ...cluster import reserved_snapshots
from ...cluster.client import error_number
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.migration import Place
from ...model.rounds import round_prefix, round_snapshot
from ..mover.rbd_reader import SKIP_QUIESCE


def own_snapshots(image: rbd.Image, migration: str) -> list[tuple[int, str]]:
    """Ids and names of the snapshots of our rounds that an open image has."""
    return [
        (int(snapshot["id"]), str(snapshot["name"]))
        for snapshot in list(image.list_snaps())
        if str(snapshot["name"]).startswith(round_prefix(migration))
    ]


def next_name(ours: list[tuple[int, str]], migration: str) -> str:
    """The name of the next round's snapshot."""
    numbers = [int(name.rpartition(".")[2]) for _, name in ours]
    return round_snapshot(migration, max(numbers, default=0) + 1)


def older_than(snapshots: Iterable[dict[str, Any]], ident: int) -> tuple[int, ...]:
    """The ids of the snapshots before this one that somebody can roll the image back to."""
    return tuple(
        sorted(
            int(s["id"])
            for s in snapshots
            if int(s["id"]) < ident and s["namespace"] != rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH
        )
    )


def take_snapshot(image: rbd.Image, name: str, place: Place) -> None:
    """Take the snapshot of a round. Raises MigrationError(EDQUOT) at the limit of snapshots."""
    fault_point("warm.before", "snapshot")
    try:
        image.create_snap(name, **SKIP_QUIESCE)
    except rbd.Error as error:
        if abs(error.errno or 0) != EDQUOT:
            raise
        raise _limit_reached(place) from error
    fault_point("warm.after", "snapshot")


def take_numbered(
    ioctx: rados.Ioctx, place: Place, snap_id: int, name: str, *, version: Optional[int] = None
) -> None:
    """The same with a number that was reserved, and tell clients.

    ``version`` as in :func:`.reserved_snapshots.take`, which also says what it raises.
    """
    fault_point("warm.before", "snapshot")
    try:
        reserved_snapshots.take(ioctx, place.image_id, snap_id, name, {}, version=version)
    except rados.Error as error:
        if error_number(error) != EDQUOT:
            raise
        raise _limit_reached(place) from error
    fault_point("warm.after", "snapshot")
    reserved_snapshots.tell_clients(ioctx, place.image_id)
    fault_point("warm.after", "told")


def _limit_reached(place: Place) -> MigrationError:
    return MigrationError(
        EDQUOT,
        f"The limit of snapshots of {place} is reached, and the copy needs one more; remove a "
        "snapshot, or raise the limit with `rbd snap limit set`.",
    )


def drop_reserved(
    mark: CopyMark, old: tuple[rados.Ioctx, Place], new: tuple[rados.Ioctx, Place]
) -> None:
    """Remove what was left by a copy that was cut off while it took its snapshots."""
    for snap_id, (ioctx, place) in zip(mark.reserved or (), (old, new)):
        if snap_id:
            reserved_snapshots.drop_map(ioctx, place.image_id, snap_id)
