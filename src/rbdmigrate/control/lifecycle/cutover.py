"""The cutover: asked for, waiting for clients, done, refused. Pure.

With the method ``warm`` it follows the copy. With the method ``live`` it is the prepare, from which
on clients use the target.

Unless the administrator stops the clients, a cutover waits for a *release*: the sign that no client
has the source open, and that none opens it before it is told the outcome, or else is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from errno import EAGAIN, EINVAL
from typing import Optional

from ...model.cutover import CutoverMode, CutoverPolicy, Release
from ...model.errors import MigrationError
from ...model.hooks import HookEvent
from ...model.jobs.answers import CutOverDone
from ...model.migration import Hold, Migration, Place
from ...model.rounds import Rounds
from ...model.states import Goal, HoldReason, Method, State
from .cutover_policy import with_cutover_policy
from .requests import cleared_for_retry, refuse_aborting

_BEYOND_CUTOVER = frozenset({Goal.CUT_OVER, Goal.VERIFIED, Goal.COMMITTED})
_LATE = {Method.LIVE: "as soon as it is prepared", Method.COPY: "when it is executed"}
_LEAVABLE_BEFORE = {
    Method.WARM: frozenset({State.EXECUTED}),
    Method.LIVE: frozenset({State.QUEUED}),
}
_LEAVABLE_AFTER = frozenset({State.CUT_OVER, State.VERIFYING, State.VERIFIED})
_LONGEST = 1000  # characters of what an agent adds to the record
_AGAIN = {  # seconds after which another cutover may be tried, doubled with each failure
    CutoverMode.WHEN_CLOSED: (1.0, 60.0),
    CutoverMode.AGENT: (30.0, 900.0),
    CutoverMode.HOOK: (60.0, 900.0),
}


def goes_on(goal: Goal) -> bool:
    """Whether a migration with this goal cuts over by itself."""
    return goal in _BEYOND_CUTOVER


# -- asked for


def to_cut_over(m: Migration, policy: Optional[CutoverPolicy] = None) -> Migration:
    """Return the record with at least the goal cut-over; a later one that was asked for stays.

    ``policy``: how it is to be done from now on; None: as the record says. Raises MigrationError:
    EINVAL for other methods and for a policy that the migration cannot have, EBUSY during an
    abort, EAGAIN before it is executed.
    """
    refuse_aborting(m)
    target = m.target.spec
    if m.method is not Method.WARM:
        raise MigrationError(
            EINVAL,
            f"{target} is migrated by the method {m.method.value}, which has no cutover: clients "
            f"use the target {_LATE[m.method]}.",
        )
    if m.cut_over_at is not None:
        return m
    if m.state not in (State.EXECUTED, State.CUTTING_OVER) and not _failed_in_it(m):
        raise MigrationError(
            EAGAIN,
            f"{target} is {m.state.value}, not executed yet, so there is nothing to cut over to; "
            f"run `ceph rbd migration execute {target}` and wait until it is executed.",
        )
    wanted = replace(cleared_for_retry(m), goal=m.goal if goes_on(m.goal) else Goal.CUT_OVER)
    return wanted if policy is None else with_cutover_policy(wanted, policy)


# -- waiting for clients


def by_prepare(m: Migration) -> bool:
    """Whether clients change to the target when it is prepared."""
    return m.method is Method.LIVE and m.imported is None


def changed_over(m: Migration) -> bool:
    """Whether clients use the target, or may."""
    return (m.prepared_at if by_prepare(m) else m.cut_over_at) is not None


def goes_back(m: Migration) -> bool:
    """Whether it is aborted after the cutover: clients are to change to the source again."""
    return m.method is Method.WARM and m.cut_over_at is not None and m.goal is Goal.ABORTED


def image_in_use(m: Migration) -> Place:
    """The image that clients are to leave: the source, or the target when it goes back."""
    return m.target if goes_back(m) else m.source


def in_another_cluster(m: Migration) -> bool:
    """Whether that image is one of another cluster."""
    return m.from_another_cluster and not goes_back(m)


def waits_for_clients(m: Migration) -> bool:
    """Whether its cutover, or its way back, waits until clients have left the image."""
    imported = m.imported is not None and not m.from_another_cluster
    if m.release is not None or imported or m.method is Method.COPY:
        return False
    if by_prepare(m):
        aborts = m.goal is Goal.ABORTED
        return m.cutover.mode is not CutoverMode.REFUSE and m.prepared_at is None and not aborts
    if goes_back(m):
        return m.cutover.mode in (CutoverMode.AGENT, CutoverMode.HOOK)
    waits = m.cutover.mode is not CutoverMode.REFUSE
    return waits and m.cut_over_at is None and goes_on(m.goal)


def may_be_released(m: Migration, mode: CutoverMode, now: float) -> bool:
    """Whether a release by ``mode`` begins its cutover now."""
    held = m.hold is not None and (m.hold.until is None or m.hold.until > now)
    return (
        waits_for_clients(m)
        and m.cutover.mode is mode
        and m.state in (_LEAVABLE_AFTER if goes_back(m) else _LEAVABLE_BEFORE[m.method])
        and not m.paused
        and not held
    )


def released(m: Migration, release: Release, mode: CutoverMode) -> Migration:
    """Return the record with its release; again with the same token: unchanged.

    Raises MigrationError(EAGAIN) when it does not wait for one now.
    """
    if m.release is not None and release.token and m.release.token == release.token:
        return m
    if not may_be_released(m, mode, release.at):
        raise MigrationError(
            EAGAIN, f"{m.target.spec} does not wait for its clients now; it is {m.state.value}."
        )
    return replace(m, release=release, hold=None)


def withdrawn(m: Migration, token: str, now: float) -> Migration:
    """Return the record without the release ``token``: what was begun is undone if it still can."""
    if m.release is None or m.release.token != token:
        return m
    if goes_back(m):
        return replace(m, release=None, hold=None)  # the next act undoes it
    if changed_over(m):
        return m
    m = replace(m, release=None)
    if by_prepare(m):
        return put_off(m, "The guest could not wait for the prepare any longer.", now)
    if m.state is State.CUTTING_OVER or _failed_in_it(m):
        return cleared_for_retry(m)  # the next act undoes it, and does not wait for an attempt
    return put_off(m, "Its clients could not wait for the cutover any longer.", now)


def clients_wait(m: Migration) -> bool:
    """Whether the clients of the image are known to wait, as a guest does that was paused."""
    return m.release is not None and bool(m.release.token)


def must_undo(m: Migration) -> bool:
    """Whether a cutover or way back that was cut off is only to be undone, if it still can."""
    return waits_for_clients(m) or not (goes_on(m.goal) or goes_back(m))


def undecided(m: Migration) -> bool:
    """Whether the clients that left the image have to wait for what becomes of it."""
    if by_prepare(m):
        return _prepare_undecided(m)
    if m.cut_over_at is not None:
        return goes_back(m) and (m.release is not None or m.state is State.ABORTING)
    return m.release is not None or m.state is State.CUTTING_OVER or _failed_in_it(m)


def in_cutover(m: Migration) -> bool:
    """Whether its clients are being stopped, or wait for its cutover or its way back."""
    if m.state is State.FAILED or m.state.ended:
        return False
    if by_prepare(m) and m.release is None:
        return False  # its clients were stopped by hand, before it was asked for
    asked = m.question is not None and m.question.event is HookEvent.BEFORE_CUTOVER
    return asked or undecided(m)


def _prepare_undecided(m: Migration) -> bool:
    """A prepare that was cut off may be complete, or half done, until it is looked at."""
    if m.state.ended:
        return False
    if m.prepared_at is not None:
        return m.goal is Goal.ABORTED
    failed = m.state is State.FAILED and m.failed_in is State.PREPARING
    return m.release is not None or m.state is State.PREPARING or failed


def prepare_refused(m: Migration, message: str, now: float) -> Migration:
    """Return the record after a prepare for which a guest waits was refused: it is tried later.

    What is half done is undone first, before the guest is told.
    """
    return put_off(replace(m, intent=None, release=None), message, now)


def prepare_to_undo(m: Migration) -> bool:
    """Whether a prepare was begun for clients that do not wait for it any longer."""
    return by_prepare(m) and m.state is State.PREPARING and waits_for_clients(m)


def _failed_in_it(m: Migration) -> bool:
    return m.state is State.FAILED and m.failed_in is State.CUTTING_OVER


def put_off(m: Migration, message: str, now: float) -> Migration:
    """Return the record with the next attempt at its cutover put off, since ``message``."""
    first, longest = _AGAIN[m.cutover.mode]
    attempts = m.attempts + 1
    wait = min(longest, first * 2.0 ** min(attempts - 1, 20))
    hold = Hold(HoldReason.RETRY, f"{message} The cutover is tried again by itself.", now + wait)
    return replace(m, hold=hold, attempts=attempts, failure=None)


# -- done, or refused


def cut_over(m: Migration, answer: CutOverDone, now: float) -> Migration:
    """Return the record after the cutover, from which on clients use the target."""
    since = _left_at(m)
    away = answer.pause if since is None else max(answer.pause, now - since)
    rounds = replace(m.rounds or Rounds(), pause=away)
    m = replace(m, rounds=rounds, comparison_snapshot=answer.comparison_snapshot, release=None)
    said = f"after {answer.pause:.2f} s, with {answer.bytes} bytes"
    if since is not None:
        said += f"; clients were away for {away:.2f} s"
    if answer.late:
        said += f"; {answer.late} opened the source in that moment and has to be started again"
    return m.enter(State.CUT_OVER, now, said)


def _left_at(m: Migration) -> Optional[float]:
    """When its clients left the source, as far as that is known; seconds since the epoch.

    With hooks that is when the first of them said so. A guest tells its pause itself.
    """
    if m.question is not None:
        return m.question.first
    return None if m.release is None or m.release.token else m.release.at


def guest_resumed(
    m: Migration, host: str, guest: str, pause: float, notes: Sequence[str], now: float
) -> Migration:
    """Return the record after the guest that waited for its cutover goes on.

    ``notes`` say what is left to do.
    """
    if not changed_over(m) or m.goal is Goal.ABORTED:
        return m
    rounds = replace(m.rounds or Rounds(), pause=pause)
    said = f"the guest {guest} on {host} goes on, after a pause of {pause:.2f} s"
    if notes:
        said = f"{said}. {' '.join(notes)}"[:_LONGEST]
    return replace(m, rounds=rounds).enter(m.state, now, said)


def cutover_waits(m: Migration) -> bool:
    """Whether its cutover was refused, and everything undone, until somebody cuts over again."""
    asked = m.hold is not None and m.hold.reason is HoldReason.OPERATOR
    return (
        m.method is Method.WARM
        and asked
        and m.cut_over_at is None
        and (m.goal is Goal.EXECUTED or goes_on(m.goal))
        and m.state is State.EXECUTED
    )


def cut_over_refused(m: Migration, message: str, now: float) -> Migration:
    """Return the record after a cutover that clients of the source forbade: nothing was changed.

    Where clients release it by themselves it is tried again; else the administrator decides when,
    and it goes on from there to the goal that was asked for. The target is kept fresh until then.
    """
    if m.goal is Goal.ABORTED:
        return replace(m, intent=None, release=None)
    back = replace(m.enter(State.EXECUTED, now, message), intent=None, release=None)
    if m.cutover.mode is not CutoverMode.REFUSE:
        return put_off(back, message, now)
    hold = Hold(HoldReason.OPERATOR, message)
    goal = Goal.EXECUTED if m.goal is Goal.CUT_OVER else m.goal  # a refused cutover is not wanted
    return replace(back, goal=goal, hold=hold, failure=None, attempts=0)
