"""The acts of a migration by the method ``warm``; see :mod:`rbdmigrate.worker.perform`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass

import rados
import rbd

from ...cluster import headers, image_names, surgery
from ...cluster.lock_out import let_in
from ...cluster.target_header import target_header
from ...faults import fault_point
from ...model.errors import MigrationError
from ...model.jobs.acts import (
    Abort,
    Arm,
    Commit,
    CutOver,
    Execute,
    FinishCommit,
    Prepare,
    RemoveComparisonSnapshot,
    ReverseRound,
    UndoPrepare,
    WarmEnds,
)
from ...model.jobs.answers import Armed, CopiedBack, CutOverDone, Finished, Prepared, Synchronized
from ...model.jobs.protocol import Published, Tell
from ...model.rounds import cutover_estimate, round_prefix
from ..identity import refuse_migrating, renamed
from ..mover.marks import read_mark
from ..removal import remove_snapshots
from ..session import KEPT_OPEN, Session
from ..users import naming_users
from . import going_back, target
from .cutover import Cutover, Sides
from .left_alone import make_ordinary, publish, source_is_gone
from .lockable import release
from .open_ends import OpenEnds
from .reverse_round import copy_back
from .round_snapshots import drop_reserved
from .rounds import synchronize


def _refuse_migrating(session: Session, ends: WarmEnds) -> None:
    """Raise MigrationError(EBUSY) while somebody migrates one of the images with plain ``rbd``."""
    for place in (ends.source, ends.target):
        if place.image_id and session.has_pool(place):
            with session.open(place) as ioctx:
                refuse_migrating(ioctx, place)


def prepare(session: Session, ends: WarmEnds, act: Prepare, tell: Tell) -> Prepared:
    """Make the target, empty and under its hidden name."""
    fault_point("librbd.before", "prepare")
    ident = target.create(session, ends, act.layout)
    fault_point("librbd.after", "prepare")
    with session.open(ends.target) as ioctx:
        version = headers.version(ioctx, ident)
        return Prepared(ident, version, target_header(ioctx, ident, headers.OWN_KEYS))


def undo_prepare(session: Session, ends: WarmEnds, act: UndoPrepare, tell: Tell) -> Finished:
    """Remove a target whose preparation was interrupted."""
    going_back.remove_target(session, ends)
    return Finished()


def execute(session: Session, ends: WarmEnds, act: Execute, tell: Tell) -> Synchronized:
    """Copy rounds until the target is in step with the source."""
    fault_point("librbd.before", "execute")
    _refuse_migrating(session, ends)
    with closing(OpenEnds(session=session, old=ends.source, new=ends.target)) as opened:
        done = synchronize(session, ends, opened, act, tell)
    fault_point("librbd.after", "execute")
    return done


def arm(session: Session, ends: WarmEnds, act: Arm, tell: Tell) -> Armed:
    """Copy rounds, and keep both images open for a cutover."""
    _refuse_migrating(session, ends)
    opened = OpenEnds(session=session, old=ends.source, new=ends.target)
    try:
        done = synchronize(session, ends, opened, act, tell)
        opened.release_old()
    except BaseException:
        opened.close()
        raise
    session.keep_open(ArmedEnds(ends, opened))
    return Armed(done, cutover_estimate(done.scan, done.behind), KEPT_OPEN)


def reverse_round(session: Session, ends: WarmEnds, act: ReverseRound, tell: Tell) -> CopiedBack:
    """Bring the kept source up to date with the target."""
    fault_point("librbd.before", "reverse_round")
    _refuse_migrating(session, ends)
    done = copy_back(session, ends, act, tell)
    fault_point("librbd.after", "reverse_round")
    return done


@dataclass(frozen=True)
class ArmedEnds:
    """What an armed worker has open."""

    ends: WarmEnds
    opened: OpenEnds

    def close(self) -> None:
        """Close both images."""
        self.opened.close()


def cut_over(session: Session, ends: WarmEnds, act: CutOver, tell: Tell) -> CutOverDone:
    """Copy the last difference, and give the target its name."""
    sides = Sides(
        migration=ends.id,
        old=ends.source,
        new=ends.target,
        former=target.hidden(ends).image,
        same_name=ends.in_place,
        fenced=act.fenced,
    )
    kept = session.kept_open
    armed = kept.opened if isinstance(kept, ArmedEnds) and kept.ends == ends else None
    if armed is None:
        session.close_kept()
    try:
        _refuse_migrating(session, ends)
        with ExitStack() as stack:
            cutover = Cutover(
                session=session,
                sides=sides,
                tell=tell,
                stack=stack,
                armed=armed,
                clients_wait=act.clients_wait,
                on_published=lambda: tell(Published()),
            )
            last = cutover.run(undo=act.undo)
    finally:
        session.close_kept()
    pause, steps = cutover.pause, cutover.steps.ended
    if last is not None:
        return CutOverDone(last.comparison_snapshot, pause, last.bytes, steps, cutover.late)
    return CutOverDone(_point(session, ends), cutover.steps.seconds, 0, steps)


def _point(session: Session, ends: WarmEnds) -> str:
    """The name of the snapshot of a cutover that was cut off after the target got its name."""
    with session.open(ends.target) as ioctx:
        base = read_mark(ioctx, ends.target).base
        with (
            session.open(ends.source) as source,
            rbd.Image(source, image_id=ends.source.image_id, read_only=True) as image,
        ):
            names = {int(s["id"]): str(s["name"]) for s in image.list_snaps()}
    return names.get(base or 0, "")


def commit(session: Session, ends: WarmEnds, act: Commit, tell: Tell) -> Finished:
    """Remove the source, and our marks from the target. May be repeated."""
    return _commit(session, ends)


def finish_commit(session: Session, ends: WarmEnds, act: FinishCommit, tell: Tell) -> Finished:
    """Go on with a commit that was cut off."""
    return _commit(session, ends)


def _commit(session: Session, ends: WarmEnds) -> Finished:
    fault_point("librbd.before", "commit")
    _refuse_migrating(session, ends)
    ident = ends.target.image_id
    with session.open(ends.target) as ioctx, ThreadPoolExecutor(1) as pool:
        if headers.image_id(ioctx, ends.target.image) != ident:
            raise renamed(ends.target)
        if session.has_pool(ends.source):
            with session.open(ends.source, frees_space=True) as source:
                if not ends.source.cluster:
                    _remove_users_snapshots(session, source, ends)
                # The monitors are told of the last ones of both images together.
                dropping = pool.submit(target.drop_round_snapshots, ioctx, ident, ends.id)
                if ends.source.cluster:
                    _leave_source(source, ends)
                else:
                    _remove_source(session, source, ends)
            dropping.result()
        fault_point("warm.after", "source")
        make_ordinary(ioctx, ends)
    fault_point("librbd.after", "commit")
    return Finished()


def _remove_users_snapshots(session: Session, source: rados.Ioctx, ends: WarmEnds) -> None:
    """Leave the source with the snapshots of our rounds. Raises InUse while it is open.

    Once those go too there is no way back.
    """
    ident = ends.source.image_id
    let_in(source, ident)
    with naming_users(session, ends.source, side="source"), suppress(rbd.ImageNotFound):
        remove_snapshots(session, source, ends.source.image, ident, keep=round_prefix(ends.id))


def _remove_source(session: Session, source: rados.Ioctx, ends: WarmEnds) -> None:
    ident = ends.source.image_id
    if headers.view_by_id(source, ident) is not None:
        with naming_users(session, ends.source, side="source"):
            target.remove_image(session, source, ends.source.image, ident)


def _leave_source(source: rados.Ioctx, ends: WarmEnds) -> None:
    """Leave the source in the trash of its own cluster, as `rbd trash mv` does."""
    ident = ends.source.image_id
    if headers.image_exists(source, ident):
        release(source, ident)
        target.drop_round_snapshots(source, ident, ends.id)
        surgery.drop_metadata(source, ident, headers.COPY_KEY)


def abort(session: Session, ends: WarmEnds, act: Abort, tell: Tell) -> Finished:
    """Remove the target; after the cutover the source first gets all that was written to it.

    Where the source is gone the target may be all that is left of the disk, and is published.
    """
    fault_point("librbd.before", "abort")
    _refuse_migrating(session, ends)
    if source_is_gone(session, ends) and publish(session, ends, cut_over=act.cut_over):
        fault_point("librbd.after", "abort")
        return Finished()
    if _needs_way_back(session, ends):
        if act.undo:
            going_back.undo(session, ends, act, tell)
        going_back.go_back(session, ends, act, tell)
    else:
        _restore_source(session, ends)
    going_back.remove_target(session, ends)
    fault_point("librbd.after", "abort")
    return Finished()


def _needs_way_back(session: Session, ends: WarmEnds) -> bool:
    """Whether the cutover was done, or going back from it was begun."""
    if not session.has_pool(ends.source) or not session.has_pool(ends.target):
        return False
    with session.open(ends.source) as source, session.open(ends.target) as ioctx:
        if not ends.target.image_id or not headers.image_exists(ioctx, ends.target.image_id):
            return False
        published = headers.image_id(ioctx, ends.target.image) == ends.target.image_id
        return published or going_back.begun(source, ends)


def _restore_source(session: Session, ends: WarmEnds) -> None:
    """Undo a cutover that was begun: the source gets its name, and clients may open it."""
    if not session.has_pool(ends.source):
        return
    with session.open(ends.source) as ioctx:
        ident = ends.source.image_id
        if not headers.image_exists(ioctx, ident):
            return
        if headers.trash_entry(ioctx, ident) is not None or not headers.image_name(ioctx, ident):
            image_names.restore(ioctx, ends.source.image, ident)
        release(ioctx, ident)
        if not session.has_pool(ends.target):
            return
        with session.open(ends.target) as copy:
            if not ends.target.image_id or not headers.image_exists(copy, ends.target.image_id):
                return
            with suppress(MigrationError):  # a mark that cannot be read is no reason to stay
                mark = read_mark(copy, ends.target)
                drop_reserved(mark, (ioctx, ends.source), (copy, ends.target))


def remove_comparison_snapshot(
    session: Session, ends: WarmEnds, act: RemoveComparisonSnapshot, tell: Tell
) -> Finished:
    """Remove the snapshots of our rounds, when all else is over."""
    for place in (ends.source, ends.target):
        if not place.image_id or not session.has_pool(place):
            continue
        with session.open(place) as ioctx:
            if headers.image_exists(ioctx, place.image_id):
                target.drop_round_snapshots(ioctx, place.image_id, ends.id)
    return Finished()
