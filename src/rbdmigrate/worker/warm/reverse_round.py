"""A reverse round: what clients wrote to the target since the cutover is copied to the source.

The source is kept for an abort, which then has only the rest to copy. It stays in the trash, has no
name, and clients are locked out of it: while we write to it by librbd's exclusive lock, before and
after that by a lock that stays when we are gone. A round that is cut off leaves it between two
states; its copy mark says where the next round, or the abort, goes on.
"""

from __future__ import annotations

import time
from contextlib import closing
from errno import EBUSY, ENOENT, ESTALE
from typing import Optional

import rados
import rbd

from ...cluster import headers, image_snapshots
from ...cluster.lock_out import keep_locked, lock_out
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.jobs.acts import ReverseRound, WarmEnds
from ...model.jobs.answers import CopiedBack
from ...model.jobs.protocol import Tell
from ...model.watchers import name_users
from ..mover.marks import read_mark
from ..session import Session
from ..users import writers
from .going_back import begin
from .open_ends import OpenEnds
from .rounds import Round, RoundCopy, difference_left, require_snapshots_that_hold


def copy_back(session: Session, ends: WarmEnds, act: ReverseRound, tell: Tell) -> CopiedBack:
    """Bring the source up to date. Raises MigrationError, with the source locked as before."""
    if not session.has_pool(ends.source.pool_id):
        raise _gone(ends)
    with session.open(ends.source) as source, session.open(ends.target) as target:
        _require_kept(session, source, target, ends, act.fenced)
        begin(source, target, ends)
        fault_point("reverse.after", "let in")
        try:
            return _copied(session, ends, act, tell, source)
        except BaseException:
            if headers.image_exists(source, ends.source.image_id):
                lock_out(source, ends.source.image_id)
            raise


def _require_kept(
    session: Session,
    source: rados.Ioctx,
    target: rados.Ioctx,
    ends: WarmEnds,
    fenced: tuple[str, ...],
) -> None:
    """Raise MigrationError unless clients use the target, and nobody has the source."""
    ident = ends.source.image_id
    if not headers.image_exists(source, ident):
        raise _gone(ends)
    named = headers.image_name(source, ident)
    published = headers.image_id(target, ends.target.image) == ends.target.image_id
    if named or headers.trash_entry(source, ident) is None or not published:
        raise MigrationError(
            ESTALE,
            f"The source {ends.source.spec} (image id {ident}) is not in the trash any more, or "
            f"{ends.target.spec} has another name; nothing was copied to it.",
        )
    with rbd.Image(source, image_id=ident, read_only=True) as image:
        users = writers(session, source, image, fenced)
    if users:
        raise MigrationError(
            EBUSY,
            f"The source (image id {ident}), which is kept for an abort, is open for writing by "
            f"{name_users(users)}; stop that client.",
        )


def _gone(ends: WarmEnds) -> MigrationError:
    return MigrationError(
        ENOENT,
        f"The source {ends.source.spec} (image id {ends.source.image_id}) is gone: an abort cannot "
        "go back to it.",
    )


def _copied(
    session: Session, ends: WarmEnds, act: ReverseRound, tell: Tell, source: rados.Ioctx
) -> CopiedBack:
    """Copy one round; the source is locked for good then, without a moment in between."""
    with closing(OpenEnds(session=session, old=ends.target, new=ends.source)) as opened:
        require_snapshots_that_hold(session, opened.old_ioctx, opened.old, ends.target, act.fenced)
        done = _unless_equal(opened, ends)
        if done is None:
            copy = RoundCopy.between(opened, session=session, migration=ends.id, tell=tell)
            done = copy.run_up_to_now(opened.old, opened.writer, stays=act.comparison_snapshot)
        fault_point("reverse.before", "lock")
        keep_locked(source, ends.source.image_id, session.clients)
        fault_point("reverse.after", "lock")
        scan, _ = difference_left(opened, read_mark(opened.new_ioctx, ends.source), done)
    return CopiedBack(done.comparison_snapshot, done.bytes, done.seconds, done.at, scan)


def _unless_equal(opened: OpenEnds, ends: WarmEnds) -> Optional[Round]:
    """A round without a snapshot of its own, where nothing was written since the one before.

    None: something was, or only looking at each object would tell.
    """
    begun, at = time.monotonic(), time.time()
    mark = read_mark(opened.new_ioctx, ends.source)
    base = _newest(opened, mark)
    if base is None:
        return None
    before = Round(base, 0, 0.0, at)
    _, left = difference_left(opened, mark, before)
    if left != 0 or int(opened.old.size()) != int(opened.writer.image.size()):
        return None
    return Round(base, 0, time.monotonic() - begun, at)


def _newest(opened: OpenEnds, mark: CopyMark) -> Optional[str]:
    """The name of the target's newest snapshot, if all of its snapshots were copied as they are."""
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
    return there[-1].name if same else None
