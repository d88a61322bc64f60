"""A target whose source is gone: what was copied of it becomes an ordinary image."""

from __future__ import annotations

from contextlib import suppress
from typing import Optional

import rados
import rbd

from ...cluster import headers, image_names, surgery
from ...faults import fault_point
from ...model.errors import MigrationError
from ...model.jobs.acts import WarmEnds
from ...model.rounds import round_prefix
from ..mover.marks import read_mark
from ..session import Session
from .lockable import release
from .target import drop_round_snapshots, hidden


def source_is_gone(session: Session, ends: WarmEnds) -> bool:
    """Whether the source, its pool or its namespace does not exist any more."""
    if not session.has_pool(ends.source):
        return True
    with session.open(ends.source) as ioctx:
        return not headers.image_exists(ioctx, ends.source.image_id)


def publish(session: Session, ends: WarmEnds, *, cut_over: bool) -> bool:
    """Make the target an ordinary image under its name; False where nothing was copied completely.

    Before the cutover it gets the content of the last complete round, for its head may hold a part
    of the next one. ``cut_over``: clients have used it, so its head is what they wrote. May be
    repeated. Raises MigrationError(EEXIST) if another image has its name.
    """
    if not session.has_pool(ends.target):
        return False
    with session.open(ends.target) as ioctx:
        ident = ends.target.image_id
        if not ident or not headers.image_exists(ioctx, ident):
            return False
        published = headers.image_id(ioctx, ends.target.image) == ident
        complete = None if published else _last_round(ioctx, ends)
        if not published and complete is None:
            return False  # also of a target that is being removed: its snapshots go first
        if complete is not None and not cut_over:
            with rbd.Image(ioctx, image_id=ident) as image:
                image.rollback_to_snap(complete)
            fault_point("alone.after", "rollback")
        image_names.give(ioctx, ends.target.image, ident)
        fault_point("alone.after", "name")
        image_names.complete(ioctx, ends.target.image, ident, hidden(ends).image)
        release(ioctx, ident)
        make_ordinary(ioctx, ends)
    return True


def make_ordinary(ioctx: rados.Ioctx, ends: WarmEnds) -> None:
    """Remove our snapshots and marks from a target that has its name."""
    ident = ends.target.image_id
    drop_round_snapshots(ioctx, ident, ends.id)
    for key in (headers.CLIENT_KEY, headers.COPY_KEY, headers.WARM_KEY):
        surgery.drop_metadata(ioctx, ident, key)


def _last_round(ioctx: rados.Ioctx, ends: WarmEnds) -> Optional[str]:
    """The target's snapshot of the last round that was copied completely; None without one."""
    copied: tuple[int, ...] = ()
    with suppress(MigrationError):  # without a mark nothing is known to be complete
        copied = read_mark(ioctx, ends.target).targets
    with rbd.Image(ioctx, image_id=ends.target.image_id, read_only=True) as image:
        ours = {
            int(snapshot["id"]): str(snapshot["name"])
            for snapshot in image.list_snaps()
            if str(snapshot["name"]).startswith(round_prefix(ends.id))
        }
    complete = [ours[number] for number in copied if number in ours]
    return complete[-1] if complete else None
