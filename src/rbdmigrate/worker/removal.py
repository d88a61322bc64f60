"""Removing the snapshots of an image of ours, before the image itself is removed."""

from __future__ import annotations

from errno import EBUSY

import rados
import rbd

from ..faults import fault_point
from .session import Session


def remove_snapshots(session: Session, ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """Remove all snapshots of the image ``ident``. May be repeated.

    Raises ``rbd.ImageNotFound``, and ``rbd.ImageBusy`` when somebody has it open or a snapshot has
    clones; ``name`` is for that message.
    """
    with rbd.Image(ioctx, image_id=ident) as image:
        # Before a snapshot is lost for a removal that then is refused.
        if any(int(w["id"]) not in session.clients for w in image.watchers_list()):
            raise rbd.ImageBusy(f"{name} is open", errno=EBUSY)
        for snapshot in list(image.list_snaps()):
            if image.is_protected_snap(snapshot["name"]):
                image.unprotect_snap(snapshot["name"])
            image.remove_snap(snapshot["name"])
            fault_point("removal.after", "snapshot")
