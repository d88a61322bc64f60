"""What a worker can do: a function for each job.

A function takes the session, the job and a callback that tells how far it is, and returns its
answer. An act is given the ends of the migration too, and there is a table of acts for each kind of
migration. What imports need (servers, formats) is loaded by the first of them: it takes as long as
the rest of a worker's start. A function raises MigrationError for its own findings,
made before anything was changed, and lets librbd's errors through (``main`` passes on their errno
alone).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import rbd

from ..model.jobs import acts, questions
from ..model.jobs.answers import Answer, Finished
from ..model.jobs.protocol import Job, Tell
from . import image_acts
from .questions import examine, inspect_image, measure_written
from .repair import comparison_snapshot
from .repair.complete_objects import complete_objects
from .session import Session
from .users import find_closed, find_users
from .verify.verify import verify
from .warm import acts as warm_acts

_LOCK_TO_READ = "rbd_clone_copy_on_read"  # with it a read may write, and so needs the lock

ActFunction = Callable[[Session, Any, Any, Tell], Answer]  # of the session, ends, act and callback


def remove_comparison_snapshot(
    session: Session, ends: acts.Ends, act: acts.RemoveComparisonSnapshot, tell: Tell
) -> Finished:
    """Remove the comparison snapshot, when all else is over."""
    images = [ends.target]
    if isinstance(ends, acts.ImageEnds):
        images.append(ends.source)
    comparison_snapshot.drop(session, images, act.comparison_snapshot)
    return Finished()


def take_lock(session: Session, ends: acts.Ends, act: acts.TakeLock, tell: Tell) -> Finished:
    """Take the target's exclusive lock from its holder for a moment, and give it back.

    A client that holds the lock carries out the copies that others ask for. When it has to let
    go of the lock it drops the copy, and with nobody left who asks, it stays dropped; its next
    write takes the lock again. The asker must be dead and fenced before.

    The lock is taken as a client's I/O takes it, by a read that needs it: it is given up again
    when the client asks for it. ``lock_acquire`` would keep it, and the client's write would fail.
    """
    target = ends.target
    session.rados.conf_set(_LOCK_TO_READ, "true")
    try:
        with session.open(target) as ioctx, rbd.Image(ioctx, image_id=target.image_id) as image:
            image.read(0, 1)
    finally:
        session.rados.conf_set(_LOCK_TO_READ, "false")
    return Finished()


_IMAGE_ACTS: dict[type[acts.Act], ActFunction] = {
    acts.Prepare: image_acts.prepare,
    acts.UndoPrepare: image_acts.undo_prepare,
    acts.Execute: image_acts.execute,
    acts.CompleteObjects: complete_objects,
    acts.Verify: verify,
    acts.Commit: image_acts.commit,
    acts.FinishCommit: image_acts.finish_commit,
    acts.Abort: image_acts.abort,
    acts.RemoveComparisonSnapshot: remove_comparison_snapshot,
    acts.TakeLock: take_lock,
}
_WARM_ACTS: dict[type[acts.Act], ActFunction] = {
    acts.Prepare: warm_acts.prepare,
    acts.UndoPrepare: warm_acts.undo_prepare,
    acts.Execute: warm_acts.execute,
    acts.Arm: warm_acts.arm,
    acts.ReverseRound: warm_acts.reverse_round,
    acts.CutOver: warm_acts.cut_over,
    acts.Verify: verify,
    acts.Commit: warm_acts.commit,
    acts.FinishCommit: warm_acts.finish_commit,
    acts.Abort: warm_acts.abort,
    acts.RemoveComparisonSnapshot: warm_acts.remove_comparison_snapshot,
}


def functions_of(ends: type[acts.Ends]) -> dict[type[acts.Act], ActFunction]:
    """The functions for the acts on migrations of this kind."""
    if ends is acts.ImportEnds:
        return _import_acts()
    return _IMAGE_ACTS if ends is acts.ImageEnds else _WARM_ACTS


@cache
def _import_acts() -> dict[type[acts.Act], ActFunction]:
    from .imports import acts as import_acts  # noqa: PLC0415 - see above
    from .imports.source_access import require_allowed_source  # noqa: PLC0415

    def opens_source(function: ActFunction) -> ActFunction:
        """For an import for which librbd opens the target, and with that its source."""

        def checked(session: Session, ends: acts.ImportEnds, act: acts.Act, tell: Tell) -> Answer:
            require_allowed_source(session, ends)
            return function(session, ends, act, tell)

        return checked

    return {  # going back opens no source
        acts.Prepare: import_acts.prepare,
        acts.UndoPrepare: import_acts.undo_prepare,
        acts.Execute: opens_source(import_acts.execute),
        acts.CompleteObjects: opens_source(complete_objects),
        acts.Verify: opens_source(verify),
        acts.Commit: opens_source(import_acts.commit),
        acts.Abort: import_acts.abort,
        acts.RemoveComparisonSnapshot: opens_source(remove_comparison_snapshot),
        acts.TakeLock: opens_source(take_lock),
    }


def _inspect_source(session: Session, question: questions.InspectSource, tell: Tell) -> Answer:
    from .imports.acts import inspect_source  # noqa: PLC0415 - see above

    return inspect_source(session, question, tell)


def _find_closed_sources(
    session: Session, question: questions.FindClosedSources, tell: Tell
) -> Answer:
    from .imports.closed_sources import find_closed_sources  # noqa: PLC0415 - see above

    return find_closed_sources(session, question, tell)


def _read_list(session: Session, question: questions.ReadList, tell: Tell) -> Answer:
    from .imports.lists import read_list  # noqa: PLC0415 - see above

    return read_list(session, question, tell)


def _joined(
    session: Session, ends: acts.WarmEnds, act: acts.Act, tell: Tell, function: ActFunction
) -> Answer:
    """The act, while the worker is a client of the source's cluster too."""
    from .imports.warm_source import joined  # noqa: PLC0415 - see above

    with joined(session, ends, act) as (both, with_fenced):
        return function(session, both, with_fenced, tell)


ANSWERS: dict[type, Callable[[Session, Any, Tell], Answer]] = {
    questions.Examine: examine,
    questions.FindUsers: find_users,
    questions.FindClosed: find_closed,
    questions.FindClosedSources: _find_closed_sources,
    questions.MeasureWritten: measure_written,
    questions.InspectImage: inspect_image,
    questions.InspectSource: _inspect_source,
    questions.ReadList: _read_list,
}


def perform(session: Session, job: Job, tell: Tell) -> Answer:
    """Do the job. Raises MigrationError before anything was done, and librbd's errors."""
    if isinstance(job, acts.ActOn):
        if not isinstance(job.act, acts.CutOver):
            session.close_kept()
        function = functions_of(type(job.ends))[type(job.act)]
        if isinstance(job.ends, acts.WarmEnds) and job.ends.elsewhere is not None:
            return _joined(session, job.ends, job.act, tell, function)
        return function(session, job.ends, job.act, tell)
    session.close_kept()
    return ANSWERS[type(job)](session, job, tell)
