"""A round where nothing was written since the one before: it needs no snapshot and copies nothing.

A snapshot takes a question to the monitors, which answer only once a second while they have much to
do.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Optional

import rbd

from ...cluster import headers
from ...control.mover.history import View
from ...model.copy_mark import CopyMark
from ..mover.candidates import exact_within, maps_hold, since
from ..mover.marks import read_mark
from .open_ends import OpenEnds
from .rounds import Round

_SHORT_LOOK = 1 << 30  # bytes; to look at each object of that many takes some 20 ms


def round_if_equal(opened: OpenEnds) -> Optional[Round]:
    """The round, whose snapshot is that of the one before.

    None: something was written, a snapshot was made or changed, or only a long look at each object
    would tell.
    """
    begun, at = time.monotonic(), time.time()
    mark = read_mark(opened.new_ioctx, opened.places[1])
    newest = newest_if_alike(opened, mark)
    if newest is None or not int(opened.old.size()) == newest.size == opened.writer.size():
        return None
    if not _is_short_look(opened, mark, newest):
        return None
    ident = opened.places[0].image_id
    where = since(opened.old_ioctx, opened.old, ident, newest.id, mark.varied)
    if len(exact_within(opened.old, newest.name, where, parent=False)):
        return None
    return Round(newest.name, 0, time.monotonic() - begun, at, unchanged=True)


def newest_if_alike(opened: OpenEnds, mark: CopyMark) -> Optional[View]:
    """The newest snapshot of ``old``, if ``new`` has the same snapshots.

    None also where it, or the head, may read from a parent: then the objects of an image do not
    tell what it holds.
    """
    if mark.view is not None or mark.mixed or mark.removing is not None:
        return None
    there = snapshots_of_users(opened.old)
    if tuple(view.id for view in there) != mark.sources:
        return None
    if not there or there[-1].id != mark.base or _may_read_parent(opened, there[-1]):
        return None
    copies = {copy.id: (copy.name, copy.protected) for copy in opened.writer.snapshots()}
    wanted = {copy: (view.name, view.protected) for view, copy in zip(there, mark.targets)}
    return there[-1] if copies == wanted else None


def snapshots_of_users(image: rbd.Image) -> list[View]:
    """The snapshots that rounds copy, the oldest first; not whether they have a parent."""
    found = [
        View(
            id=int(s["id"]),
            name=str(s["name"]),
            size=int(s["size"]),
            protected=bool(image.is_protected_snap(s["name"])),
        )
        for s in list(image.list_snaps())
        if s["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER
    ]
    return sorted(found, key=lambda view: view.id)


def _may_read_parent(opened: OpenEnds, snapshot: View) -> bool:
    """Whether the head of ``old``, or its snapshot, may."""
    with suppress(rbd.ImageNotFound):
        if int(opened.old.overlap()):
            return True
    ident = opened.places[0].image_id
    return headers.parent_overlap(opened.old_ioctx, ident, snapshot.id) > 0


def _is_short_look(opened: OpenEnds, mark: CopyMark, newest: View) -> bool:
    if newest.size <= _SHORT_LOOK:
        return True
    ident = opened.places[0].image_id
    known = maps_hold(opened.old_ioctx, opened.old, ident, [newest.id])
    return known and (mark.varied is not None or mark.bytes <= _SHORT_LOOK)
