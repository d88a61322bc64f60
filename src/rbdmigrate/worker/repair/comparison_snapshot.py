"""The comparison snapshot: fixes what the head of the source is, just before it is linked.

It is taken on the source while nobody has it open, librbd carries it over to the target as any
other snapshot, and there it stays what it is whatever clients write. Taking and removing it can be
repeated. It is removed when all else is over: librbd removes it with the target of an abort and
with the source of a commit; what is left is the other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from errno import EDQUOT

import rados
import rbd

from ...cluster import headers, image_snapshots
from ...faults import fault_point
from ...model.migration import Place
from ..open_image import open_image
from ..session import Session


def take(session: Session, place: Place, name: str) -> str:
    """Take another one: that of an earlier try may be older than the head. Returns why it cannot.

    ``place`` is the source; of an import, which has none, the target that nobody uses yet. The
    image is opened by its id.
    """
    with session.open(place) as ioctx, open_image(ioctx, place.image_id) as image:
        _remove(image, name)
        fault_point("comparison_snapshot.before", "take")
        try:
            image.create_snap(name)
        except rbd.Error as error:
            if abs(error.errno or 0) != EDQUOT:
                raise
            return "the source's limit of snapshots left no room for a comparison snapshot"
        fault_point("comparison_snapshot.after", "take")
    return ""


def clear(session: Session, place: Place, name: str) -> None:
    """Remove one that an earlier try left on the source, if there is one. May be repeated."""
    with session.open(place) as ioctx:
        if name in image_snapshots.snapshot_names(ioctx, place.image_id):
            _drop(ioctx, place, name)


def drop(session: Session, ends: Sequence[Place], name: str) -> None:
    """Remove it from whichever end stands alone. May be repeated."""
    for place in ends:
        if not place.image_id or not session.has_pool(place):
            continue
        with session.open(place) as ioctx:
            if not headers.image_exists(ioctx, place.image_id):
                continue
            if headers.migration_header(ioctx, place.image_id) is not None:
                continue  # linked: librbd needs the snapshots of both ends alike
            _drop(ioctx, place, name)


def _drop(ioctx: rados.Ioctx, place: Place, name: str) -> None:
    fault_point("comparison_snapshot.before", "drop")
    with suppress(rbd.ImageNotFound), open_image(ioctx, place.image_id) as image:
        _remove(image, name)
    fault_point("comparison_snapshot.after", "drop")


def _remove(image: rbd.Image, name: str) -> None:
    if name not in [str(s["name"]) for s in image.list_snaps()]:
        return
    if image.is_protected_snap(name):
        image.unprotect_snap(name)
    with suppress(rbd.ImageNotFound):
        image.remove_snap(name)
