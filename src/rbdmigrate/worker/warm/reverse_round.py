"""A reverse round: what clients wrote to the target since the cutover is copied to the source.

The source is kept for an abort, which then has only the rest to copy. It stays in the trash, has no
name, and clients are locked out of it: while we write to it by librbd's exclusive lock, before and
after that by a lock that stays when we are gone. A round that is cut off leaves it between two
states; its copy mark says where the next round, or the abort, goes on.
"""

from __future__ import annotations

from contextlib import closing
from errno import EBUSY, ENOENT, ESTALE

import rados
import rbd

from ...cluster import headers
from ...cluster.lock_out import keep_locked, lock_out
from ...faults import fault_point
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
from .rounds import RoundCopy, difference_left, require_snapshots_that_hold
from .unchanged import round_if_equal


def copy_back(session: Session, ends: WarmEnds, act: ReverseRound, tell: Tell) -> CopiedBack:
    """Bring the source up to date. Raises MigrationError, with the source locked as before."""
    if not session.has_pool(ends.source):
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
            f"The source {ends.source} (image id {ident}) is not in the trash any more, or "
            f"{ends.target} has another name; nothing was copied to it.",
        )
    with rbd.Image(source, image_id=ident, read_only=True) as image:
        users = writers(session, ends.source, source, image, fenced)
    if users:
        raise MigrationError(
            EBUSY,
            f"The source (image id {ident}), which is kept for an abort, is open for writing by "
            f"{name_users(users)}; stop that client.",
        )


def _gone(ends: WarmEnds) -> MigrationError:
    return MigrationError(
        ENOENT,
        f"The source {ends.source} (image id {ends.source.image_id}) is gone: an abort cannot "
        "go back to it.",
    )


def _copied(
    session: Session, ends: WarmEnds, act: ReverseRound, tell: Tell, source: rados.Ioctx
) -> CopiedBack:
    """Copy one round; the source is locked for good then, without a moment in between."""
    with closing(OpenEnds(session=session, old=ends.target, new=ends.source)) as opened:
        require_snapshots_that_hold(session, opened.old_ioctx, opened.old, ends.target, act.fenced)
        done = round_if_equal(opened)
        if done is None:
            copy = RoundCopy.between(
                opened, session=session, migration=ends.id, fenced=act.fenced, tell=tell
            )
            done = copy.run_up_to_now(opened.old, opened.writer, stays=act.comparison_snapshot)
        fault_point("reverse.before", "lock")
        keep_locked(source, ends.source.image_id, session.clients_of(ends.source))
        fault_point("reverse.after", "lock")
        scan, _ = difference_left(opened, read_mark(opened.new_ioctx, ends.source), done)
    return CopiedBack(done.comparison_snapshot, done.bytes, done.seconds, done.at, scan)
