"""A round where nothing was written since the one before: it needs no snapshot and copies nothing.

A snapshot takes a question to the monitors, which answer only once a second while they have much to
do.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Optional

import rbd

from ...cluster import image_snapshots
from ...cluster.image_snapshots import UserSnapshot
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
    newest = _newest(opened, mark)
    if newest is None or not int(opened.old.size()) == newest.size == opened.writer.size():
        return None
    if may_read_parent(opened.old, newest.overlap) or not _is_short_look(opened, mark, newest):
        return None
    ident = opened.places[0].image_id
    where = since(opened.old_ioctx, opened.old, ident, newest.snap_id, mark.varied)
    if len(exact_within(opened.old, newest.name, where, parent=False)):
        return None
    return Round(newest.name, 0, time.monotonic() - begun, at, unchanged=True)


def may_read_parent(image: rbd.Image, overlap: int) -> bool:
    """Whether the head, or a snapshot with this ``overlap`` (bytes), may read from a parent.

    Then its own objects do not tell what it holds.
    """
    with suppress(rbd.ImageNotFound):
        return overlap > 0 or int(image.overlap()) > 0
    return overlap > 0


def _newest(opened: OpenEnds, mark: CopyMark) -> Optional[UserSnapshot]:
    """The newest snapshot, if all snapshots were copied as they are."""
    if mark.view is not None or mark.mixed or mark.removing is not None:
        return None
    there = image_snapshots.of_users(opened.old_ioctx, opened.places[0].image_id)
    ids = tuple(snapshot.snap_id for snapshot in there)
    if ids != mark.sources or not ids or ids[-1] != mark.base:
        return None
    copies = {s.id: (s.name, s.protected) for s in opened.writer.snapshots()}
    same = all(
        copies.get(copy) == (snapshot.name, snapshot.protected)
        for snapshot, copy in zip(there, mark.targets)
    )
    return there[-1] if same else None


def _is_short_look(opened: OpenEnds, mark: CopyMark, newest: UserSnapshot) -> bool:
    if newest.size <= _SHORT_LOOK:
        return True
    ident = opened.places[0].image_id
    known = maps_hold(opened.old_ioctx, opened.old, ident, [newest.snap_id])
    return known and (mark.varied is not None or mark.bytes <= _SHORT_LOOK)
