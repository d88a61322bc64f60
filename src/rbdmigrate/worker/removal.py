"""Removing snapshots: those of an image of ours before the image, and what was removed in part."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from errno import EBUSY
from typing import Any

import rados
import rbd

from ..faults import fault_point
from .session import Session


def remove_snapshots(
    session: Session,
    ioctx: rados.Ioctx,
    name: str,
    ident: str,
    *,
    last: str = "",
    before_last: Callable[[], None] = lambda: None,
) -> None:
    """Remove all snapshots of the image ``ident``. May be repeated.

    Those whose names begin with ``last`` go last, after ``before_last`` was called. Raises
    ``rbd.ImageNotFound``, and ``rbd.ImageBusy`` when somebody has it open or a snapshot has clones;
    ``name`` is for that message.
    """
    with rbd.Image(ioctx, image_id=ident) as image:
        # Before a snapshot is lost for a removal that then is refused.
        if any(int(w["id"]) not in session.clients for w in image.watchers_list()):
            raise rbd.ImageBusy(f"{name} is open", errno=EBUSY)
        complete_removals(image)
        snapshots = list(image.list_snaps())
        others = [s for s in snapshots if not last or not str(s["name"]).startswith(last)]
        for snapshot in others:
            _remove_snapshot(image, snapshot)
        before_last()
        for snapshot in snapshots:
            if snapshot not in others:
                _remove_snapshot(image, snapshot)


def _remove_snapshot(image: rbd.Image, snapshot: dict[str, Any]) -> None:
    if snapshot["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH:
        return  # it has clones: librbd refuses to remove the image, and says so
    if image.is_protected_snap(snapshot["name"]):
        image.unprotect_snap(snapshot["name"])
    image.remove_snap(snapshot["name"])
    fault_point("removal.after", "snapshot")


def complete_removals(image: rbd.Image, prefix: str = "") -> bool:
    """Complete the removal of snapshots whose names began with ``prefix``; whether there were any.

    librbd first gives a snapshot that it removes another name and namespace. One whose removal was
    cut off there is not found by its name any more. One that has clones stays.
    """
    found = False
    for snapshot in list(image.list_snaps()):
        if snapshot["namespace"] != rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH:
            continue
        if str(snapshot["trash"]["original_name"]).startswith(prefix):
            with suppress(rbd.ImageNotFound):  # a client that has the lock was about to
                image.remove_snap_by_id(snapshot["id"])
            found = True
    return found
