"""Removing snapshots: those of an image of ours before the image, and what was removed in part."""

from __future__ import annotations

from contextlib import suppress
from errno import EBUSY

import rados
import rbd

from ..faults import fault_point
from .session import Session


def remove_snapshots(
    session: Session, ioctx: rados.Ioctx, name: str, ident: str, *, keep: str = ""
) -> None:
    """Remove all snapshots of the image ``ident``. May be repeated.

    ``keep``: but those whose names begin with it. Raises ``rbd.ImageNotFound``, and
    ``rbd.ImageBusy`` when somebody has it open or a snapshot has clones; ``name`` is for that
    message.
    """
    with rbd.Image(ioctx, image_id=ident) as image:
        # Before a snapshot is lost for a removal that then is refused.
        if any(int(w["id"]) not in session.clients for w in image.watchers_list()):
            raise rbd.ImageBusy(f"{name} is open", errno=EBUSY)
        complete_removals(image)
        for snapshot in list(image.list_snaps()):
            if snapshot["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH:
                continue  # it has clones: librbd refuses to remove the image, and says so
            if keep and str(snapshot["name"]).startswith(keep):
                continue
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
