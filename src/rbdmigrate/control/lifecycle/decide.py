"""The next step of a migration: a pure function of its record and the situation it is in.

Rules. What is observed wins over what is recorded. Every act can be repeated. A migration that
somebody committed or aborted with plain ``rbd`` is recorded as committed or aborted, never as
failed. The table is documented, row by row, in ``doc/design/recovery.rst``.
"""

from __future__ import annotations

from dataclasses import replace
from errno import EIO, ENOENT, ENXIO
from typing import Union

from ...model.migration import Failure, Hold, Migration
from ...model.states import ActKind, Goal, HoldReason, Method, State
from .crashes import prepare_crashed
from .cutover import by_prepare, prepare_to_undo, waits_for_clients
from .decision import Decision, End, Fail, Rest, RunAct
from .later_snapshot import awaits_copy
from .observed import unanswered, was_linked
from .situation import Situation
from .verification import due, may_commit
from .warm import left_alone, next_warm, source_gone

# The act that completes an interrupted one, and the state which shows that the act was ours.
_COMPLETES = {
    Situation.HALF_PREPARED: (ActKind.UNDO_PREPARE, State.PREPARING),
    Situation.HALF_ABORTED: (ActKind.ABORT, State.ABORTING),
    Situation.HALF_COMMITTED: (ActKind.FINISH_COMMIT, State.COMMITTING),
}


def is_ours(migration: Migration, situation: Situation) -> bool:
    """Whether a half-done situation comes from an act of ours, which we complete at once.

    Only we copy by the method ``warm``.
    """
    if migration.method is Method.WARM:
        return True
    return migration.state is _COMPLETES[situation][1] or _undoing(migration, situation)


def _undoing(m: Migration, situation: Situation) -> bool:
    """Whether undoing a prepare was interrupted: to librbd that is an abort."""
    return situation is Situation.HALF_ABORTED and m.state is State.PREPARING


def decide(
    migration: Migration, situation: Situation, now: float, *, abandoned: bool = False
) -> Decision:
    """Return what to do about ``migration``, observed in ``situation`` at time ``now``.

    ``abandoned``: a half-done situation has lasted so long without a client working on it that the
    client which began the act must be gone. Until then an act of another client is left to that
    client.
    """
    m = migration
    over = _over(m, situation)
    if over is not None and m.comparison_snapshot:
        return Rest() if _waits(m, now) else RunAct(ActKind.REMOVE_COMPARISON_SNAPSHOT)
    if over is not None:
        return over
    if m.state is State.FAILED:
        return Rest()
    if _waits(m, now) and not prepare_to_undo(m):
        return Rest()
    lost = _lost(m, situation)
    if lost is not None:
        return lost
    if m.method is Method.WARM:
        return next_warm(m, situation, now)
    if m.target_changes.trashed and situation not in _COMPLETES:
        return Rest()  # librbd looks the target up by its name, which it has lost in the trash
    if situation is Situation.TARGET_POOL_GONE:
        return RunAct(ActKind.ABORT)  # the target is lost; clients get the source back
    if situation is Situation.SOURCE_LOST_AFTER:
        wanted = m.goal is Goal.COMMITTED and may_commit(m, now)
        return RunAct(ActKind.FINISH_COMMIT) if wanted else Rest()
    if _undoing(m, situation):
        return RunAct(ActKind.UNDO_PREPARE)
    if situation in _COMPLETES:
        return RunAct(_COMPLETES[situation][0]) if is_ours(m, situation) or abandoned else Rest()
    if unanswered(m, situation):
        return RunAct(ActKind.UNDO_PREPARE)
    if m.goal is Goal.ABORTED:
        return RunAct(ActKind.ABORT)
    if situation is Situation.EXECUTING and not m.objects_complete:
        # Also when paused: clients may read partly copied objects.
        return RunAct(ActKind.COMPLETE_OBJECTS)
    if m.paused:
        return Rest()
    return _onward(m, situation, now)


def bounded_wait(m: Migration, now: float, longest: float) -> Migration:
    """Return the record with its wait for the next attempt limited to ``longest`` seconds.

    A manager whose clock was ahead may have stored a time that is far in the future here.
    """
    hold = m.hold
    if hold is None or hold.reason is not HoldReason.RETRY or hold.until is None:
        return m
    return replace(m, hold=replace(hold, until=min(hold.until, now + longest)))


def _waits(m: Migration, now: float) -> bool:
    return m.hold is not None and m.hold.until is not None and m.hold.until > now


def _over(m: Migration, situation: Situation) -> Union[End, None]:
    """The end of the migration, reached by us or by somebody else; None when it goes on."""
    if situation is Situation.COMMITTED and m.state is State.ABORTING:
        warm = m.method is Method.WARM
        said = (
            left_alone(m) if warm else "the source was gone; what had been copied is in the target"
        )
        return End(State.ABORTED, said)
    if situation is Situation.COMMITTED:
        by_us = m.state is State.COMMITTING
        return End(State.COMMITTED, "" if by_us else "committed by somebody else")
    if situation in (Situation.UNTOUCHED, Situation.TARGET_TAKEN):
        if m.goal is Goal.ABORTED:
            return End(State.ABORTED, "")
        if was_linked(m):
            return End(State.ABORTED, "aborted by somebody else")
    if m.goal is Goal.ABORTED and situation in (Situation.LOST, Situation.SOURCE_POOL_GONE):
        return End(State.ABORTED, "neither the source nor the target exists any more")
    if m.goal is Goal.ABORTED and situation is Situation.TARGET_POOL_GONE and not was_linked(m):
        return End(State.ABORTED, "the target's pool does not exist any more")
    return None


def _lost(m: Migration, situation: Situation) -> Union[Fail, None]:
    source, target = m.source.spec, m.target.spec
    if situation is Situation.LOST:
        return Fail(ENOENT, f"The source {source} does not exist any more, nor does {target}.")
    if (
        situation is Situation.SOURCE_LOST
        and m.method is Method.WARM
        and m.goal is not Goal.ABORTED
    ):
        return Fail(ENOENT, source_gone(m))
    if situation is Situation.SOURCE_LOST and m.goal is not Goal.ABORTED:
        return Fail(
            ENOENT,
            f"The source of {target} (image id {m.source.image_id} in {m.source.pool}) is gone; "
            f"what was not copied yet cannot be read any more. `ceph rbd migration abort {target} "
            "--force` keeps what there is as an ordinary image.",
        )
    if situation is Situation.SOURCE_POOL_GONE:
        return Fail(ENXIO, f"The pool or namespace of the source {source} does not exist any more.")
    if situation is Situation.TARGET_POOL_GONE and not was_linked(m):
        return Fail(ENXIO, f"The pool or namespace of the target {target} does not exist any more.")
    if situation is Situation.TARGET_TAKEN:
        return Fail(ENOENT, f"Another image called {target} was created in the meantime.")
    return None


def _onward(m: Migration, situation: Situation, now: float) -> Decision:
    """The next act towards the goal prepared, executed, verified or committed."""
    if situation is Situation.UNTOUCHED and by_prepare(m) and waits_for_clients(m):
        return Rest()
    if situation is Situation.UNTOUCHED:
        crashed = prepare_crashed(m)
        return Fail(EIO, crashed) if crashed else RunAct(ActKind.PREPARE)
    if situation in (Situation.PREPARED, Situation.EXECUTING) and m.goal is not Goal.PREPARED:
        return RunAct(ActKind.EXECUTE)
    if situation is Situation.EXECUTED and awaits_copy(m):
        return RunAct(ActKind.EXECUTE)  # what it holds is not what was asked for last
    if situation is Situation.EXECUTED and not m.copy_checked and not m.force_commit:
        return RunAct(ActKind.EXECUTE)  # copies nothing: checks that no object is missing
    if situation is Situation.EXECUTED and due(m):
        return RunAct(ActKind.VERIFY)
    if situation is Situation.EXECUTED and m.goal is Goal.COMMITTED and may_commit(m, now):
        return RunAct(ActKind.COMMIT)
    return Rest()


ACTING = {
    ActKind.PREPARE: State.PREPARING,
    ActKind.UNDO_PREPARE: State.PREPARING,
    ActKind.EXECUTE: State.EXECUTING,
    ActKind.COMPLETE_OBJECTS: State.EXECUTING,
    ActKind.CUT_OVER: State.CUTTING_OVER,
    ActKind.VERIFY: State.VERIFYING,
    ActKind.COMMIT: State.COMMITTING,
    ActKind.FINISH_COMMIT: State.COMMITTING,
    ActKind.ABORT: State.ABORTING,
}
"""The state of a migration while an act runs. Removing the comparison snapshot, the last act of
all, does not change the state.
"""


def failed(migration: Migration, errno: int, message: str, now: float) -> Migration:
    """Return the record of a migration that cannot go on without the administrator."""
    failure = Failure(errno=errno, message=message, at=now)
    entered = migration.enter(State.FAILED, now, message)
    cut = migration.state if migration.state in ACTING.values() else None
    return replace(entered, failure=failure, hold=None, intent=None, failed_in=cut)


def retry_later(
    migration: Migration, errno: int, message: str, now: float, wait: float
) -> Migration:
    """Return the record of a migration whose act failed for a reason that may pass."""
    attempts = migration.attempts + 1
    hold = Hold(
        HoldReason.RETRY, f"{message} Attempt {attempts + 1} follows by itself.", now + wait
    )
    failure = Failure(errno=errno, message=message, at=now, transient=True)
    return replace(migration, intent=None, attempts=attempts, hold=hold, failure=failure)
