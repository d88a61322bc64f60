"""An abort after the cutover: what clients wrote to the target is copied to the source.

Then the source gets its name, and the target goes once both were compared.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from errno import EBUSY, EUCLEAN

import rados
import rbd

from ...cluster import headers, surgery
from ...cluster.lock_out import let_in, lock_out, locked_out
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.jobs.acts import Abort, WarmEnds
from ...model.jobs.protocol import Tell
from ...model.rounds import round_prefix
from ...model.verification import Verification, Verify
from ..mover.marks import read_mark
from ..session import Session
from ..users import naming_users
from ..verify.compare import ImageReader
from ..verify.verify import Sides as Compared
from ..verify.verify import compare_all
from .cutover import Cutover, Sides
from .lockable import release
from .target import drop_round_snapshots, hidden, remove_image, require_ours


def begun(ioctx: rados.Ioctx, ends: WarmEnds) -> bool:
    """Whether something was copied back, or is about to be: the source has a copy mark then."""
    return headers.metadata(ioctx, ends.source.image_id, headers.COPY_KEY) is not None


def go_back(session: Session, ends: WarmEnds, act: Abort, tell: Tell) -> None:
    """Give the source its name, with all that was written to the target."""
    with ExitStack() as stack:
        cutover = Cutover(
            session=session,
            sides=_sides(ends, act),
            tell=tell,
            stack=stack,
            clients_wait=act.clients_wait,
        )
        source = stack.enter_context(session.open(ends.source))
        target = stack.enter_context(session.open(ends.target))
        if not cutover.published:
            begin(source, target, ends)
        try:
            cutover.run()
        except BaseException:
            if not cutover.published:
                lock_out(source, ends.source.image_id)
            raise
        release(source, ends.source.image_id)
    _require_same(session, ends, tell)


def undo(session: Session, ends: WarmEnds, act: Abort, tell: Tell) -> None:
    """Give the target back to its clients, unless the source has its name already.

    Raises MigrationError(EBUSY) when that was done.
    """
    with ExitStack() as stack:
        sides = _sides(ends, act)
        cutover = Cutover(session=session, sides=sides, tell=tell, stack=stack)
        if cutover.published:
            return
        cutover.undo()
        source = stack.enter_context(session.open(ends.source))
        if not locked_out(source, ends.source.image_id):
            with rbd.Image(source, image_id=ends.source.image_id) as image:
                image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)  # also that of a dead worker
            lock_out(source, ends.source.image_id)
    raise MigrationError(
        EBUSY, "The clients could not wait for the way back any longer; they go on with the target."
    )


def _sides(ends: WarmEnds, act: Abort) -> Sides:
    return Sides(
        migration=ends.id,
        old=ends.target,
        new=ends.source,
        former=ends.source.image,
        same_name=ends.in_place,
        fenced=act.fenced,
    )


def begin(source: rados.Ioctx, target: rados.Ioctx, ends: WarmEnds) -> None:
    """Let us in to the source, with a mark that says what it has of the target."""
    let_in(source, ends.source.image_id)
    if begun(source, ends):
        return
    forward = read_mark(target, ends.target)
    pairs = dict(zip(forward.sources, forward.targets))
    if forward.base not in pairs:
        raise MigrationError(
            EUCLEAN,
            f"The snapshot of the cutover was removed from {ends.target}; without it nothing "
            "can be copied back, and there is only the way forward, the commit.",
        )
    back = CopyMark(
        until=0,
        sources=forward.targets,
        targets=forward.sources,
        base=pairs[forward.base],
        total=0,
        varied=forward.varied,
    )
    fault_point("back.before", "mark")
    with rbd.Image(source, image_id=ends.source.image_id) as image:
        image.metadata_set(headers.COPY_KEY, back.to_json())
    fault_point("back.after", "mark")


def _require_same(session: Session, ends: WarmEnds, tell: Tell) -> None:
    """Raise MigrationError(EUCLEAN) unless both hold the same at the last snapshot, byte by byte.

    Clients use the source meanwhile.
    """
    with session.open(ends.source) as source, session.open(ends.target) as target:
        if not headers.image_exists(target, ends.target.image_id):
            return
        both = Compared(
            ImageReader(name="source", ioctx=source, ident=ends.source.image_id, refreshed=""),
            ImageReader(name="target", ioctx=target, ident=ends.target.image_id),
        )
        ours = [name for name in both.source.snapshots() if name.startswith(round_prefix(ends.id))]
        v = Verification(Verify.FULL, seed=0, fraction=1.0, started=time.time())
        with session.without_cache():
            done = compare_all(
                session, both, v, comparison_snapshot=ours[-1] if ours else "", tell=tell
            )
    if any(view.different for view in done.views):
        raise MigrationError(
            EUCLEAN,
            f"{ends.source} does not hold what {ends.target} does. The target stays in "
            f"the trash, under the id {ends.target.image_id}; compare both before it is removed.",
        )


def remove_target(session: Session, ends: WarmEnds) -> None:
    """Remove the target, and what we left on the source."""
    with ThreadPoolExecutor(1) as pool:
        # The monitors are told of the snapshots of both together.
        leaving = pool.submit(_leave_source, session, ends)
        fault_point("warm.before", "remove")
        if session.has_pool(ends.target):
            _remove_target(session, ends)
        leaving.result()
    fault_point("warm.after", "remove")


def _leave_source(session: Session, ends: WarmEnds) -> None:
    if not session.has_pool(ends.source):
        return
    with session.open(ends.source) as source:
        if headers.image_exists(source, ends.source.image_id):
            surgery.drop_metadata(source, ends.source.image_id, headers.COPY_KEY)
            drop_round_snapshots(source, ends.source.image_id, ends.id)


def _remove_target(session: Session, ends: WarmEnds) -> None:
    with session.open(ends.target, frees_space=True) as target:
        name = hidden(ends).image
        ident = ends.target.image_id
        if not ident:
            ident = headers.image_id(target, name) or ""
            require_ours(target, hidden(ends), ident, ends)
        with naming_users(session, replace(ends.target, image_id=ident), side="target"):
            remove_image(session, target, name, ident)
