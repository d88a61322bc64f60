"""Requests about an unfinished migration, as pure functions of its record.

Each returns the record after the request, or raises MigrationError when the request is refused.
The engine calls them inside the record's update, so that a request is checked against the record
that it changes, and a refused one changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from errno import EAGAIN, EBUSY, EINVAL, EPERM
from typing import Optional

from ...model.cutover import CutoverPolicy
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.reverse_rounds import shown_interval
from ...model.states import Goal, HoldReason, Method, State
from ...model.units import format_seconds, format_size
from ...model.verification import Outcome, Verify
from .verification import (
    at_least,
    covers,
    describe_differences,
    left_behind,
    needs_full_verification,
    passed,
)

_COMPARABLE = (State.EXECUTED, State.CUT_OVER, State.VERIFYING, State.VERIFIED)
_COMMITTABLE = (*_COMPARABLE, State.COMMITTING)


@dataclass(frozen=True)
class Changes:
    """The changes of the command ``set``; None leaves a field as it is.

    ``rate`` (bytes per second, None: no limit) counts when ``change_rate`` is set. ``window`` and
    ``cutover_window`` are texts that ``control.pace.window`` reads; empty is always. ``soak`` and
    ``refresh_source`` are in seconds; 0 ends the reverse rounds.
    """

    rate: Optional[int] = None
    change_rate: bool = False
    priority: Optional[int] = None
    goal: Optional[Goal] = None
    window: Optional[str] = None
    cutover_window: Optional[str] = None
    verify: Optional[Verify] = None
    soak: Optional[float] = None
    refresh_source: Optional[float] = None

    def __str__(self) -> str:
        """The request for the timeline, such as ``set rate 20 MiB/s, priority 3``."""
        rate = "off" if self.rate is None else f"{format_size(self.rate)}/s"
        said = {
            "goal": None if self.goal is None else self.goal.value,
            "rate": rate if self.change_rate else None,
            "priority": self.priority,
            "window": None if self.window is None else self.window or "off",
            "cutover-window": (
                None if self.cutover_window is None else self.cutover_window or "off"
            ),
            "verify": None if self.verify is None else self.verify.value,
            "soak": None if self.soak is None else format_seconds(self.soak),
            "refresh-source": (
                None if self.refresh_source is None else shown_interval(self.refresh_source)
            ),
        }
        return "set " + ", ".join(f"{k} {v}" for k, v in said.items() if v is not None)


def forced(request: str, force: bool) -> str:
    """A request for the timeline, which says whether it was forced."""
    return f"{request} --force" if force else request


def refuse_aborting(m: Migration) -> None:
    """Raise MigrationError(EBUSY) for a migration that is being aborted: it can only be retried."""
    if m.goal is Goal.ABORTED:
        raise MigrationError(
            EBUSY, f"The migration of {m.source.spec} to {m.target.spec} is being aborted."
        )


def refuse_failed(m: Migration) -> None:
    """Raise MigrationError(EINVAL) for a migration that failed: it can be retried or aborted."""
    if m.state is State.FAILED and m.failure is not None:
        raise MigrationError(
            EINVAL,
            f"It failed before: {m.failure.message} Remove the cause, then "
            f"`ceph rbd migration retry {m.target.spec}`.",
        )


def refuse_goal(method: Method, goal: Goal) -> None:
    """Raise MigrationError(EINVAL) for a goal that migrations by ``method`` do not have."""
    if goal is Goal.CUT_OVER and method is not Method.WARM:
        raise MigrationError(
            EINVAL,
            f"Only migrations by the method warm have a cutover, and so the goal {goal.value}; "
            f"this one is by the method {method.value}.",
        )


def refuse_cutover_window(method: Method, window: str) -> None:
    """Raise MigrationError(EINVAL) for a cutover window where there is no cutover."""
    if window and method is not Method.WARM:
        raise MigrationError(
            EINVAL,
            "Only migrations by the method warm have a cutover, and so a window for it; this one "
            f"is by the method {method.value}.",
        )


def refuse_refresh_source(method: Method, seconds: float) -> None:
    """Raise MigrationError(EINVAL) for reverse rounds where no source is kept after a cutover."""
    if seconds and method is not Method.WARM:
        raise MigrationError(
            EINVAL,
            "Only migrations by the method warm keep their source after the cutover, so that it "
            f"can be refreshed; this one is by the method {method.value}.",
        )


def refuse_committing(m: Migration) -> None:
    """Raise MigrationError(EINVAL) for a migration whose commit has begun."""
    if m.state is State.COMMITTING:
        raise MigrationError(
            EINVAL, f"{m.target.spec} is being committed, which cannot be stopped or undone."
        )


def refuse_unverified(m: Migration) -> None:
    """Raise MigrationError(EPERM) when the result of a comparison forbids the commit.

    A migration that was not compared yet is not refused: it is compared before the commit.
    """
    v, target = m.verification, m.target.spec
    if v is not None and v.outcome is Outcome.FAILED:
        raise MigrationError(
            EPERM,
            f"{target} differs from its source ({describe_differences(v)}), so committing would "
            f"lose data; look at `ceph rbd migration status {target}`, verify again with "
            "`retry`, or add --force.",
        )
    compared = v is not None and v.outcome is not None and covers(v.mode, m.verify)
    if m.verify is Verify.FULL and not compared:
        return
    if needs_full_verification(m) and m.imported is not None:
        raise MigrationError(
            EPERM,
            f"{m.imported.changes[0][:-1]}; compare it with `ceph rbd migration verify {target} "
            "--mode full`, import it again, or add --force.",
        )
    if not compared or passed(m):
        return
    reasons = "" if v is None else "; ".join(v.reasons)
    raise MigrationError(
        EPERM,
        f"{target} was compared in part only ({reasons}); add --force if what was compared is "
        "enough.",
    )


def cleared_for_retry(m: Migration) -> Migration:
    """Return the record cleared for a new attempt: no failure, hold, pause or counted attempts."""
    state = (m.failed_in or State.QUEUED) if m.state is State.FAILED else m.state
    return replace(m, state=state, hold=None, failure=None, attempts=0, crashes=None, paused=False)


def without_consent(m: Migration) -> Migration:
    """Return the record without the permissions of an earlier ``commit``."""
    return replace(m, force_commit=False, soak_ended=False)


def to_execute(m: Migration) -> Migration:
    """Return the record with at least the goal executed.

    Raises MigrationError(EBUSY, EINVAL).
    """
    refuse_aborting(m)
    refuse_failed(m)
    return replace(m, goal=Goal.EXECUTED) if m.goal is Goal.PREPARED else m


def to_commit(m: Migration, *, force: bool) -> Migration:
    """Return the record with the goal committed and the rest of its soak time skipped.

    A comparison that is still due runs first. ``force``: skip it, and commit even if contents
    differ. Raises MigrationError(EBUSY, EAGAIN, EPERM).
    """
    refuse_aborting(m)
    target = m.target.spec
    if m.method is Method.WARM:
        _refuse_before_cut_over(m, "committing would remove the image that clients use")
    executed = m.state in _COMMITTABLE
    if not executed and not (m.state is State.FAILED and m.executed_at is not None):
        raise MigrationError(
            EAGAIN,
            f"{target} is {m.state.value}, not executed yet, so committing would lose data; "
            f"run `ceph rbd migration execute {target}` and wait until it is executed.",
        )
    if not force:
        _refuse_left_behind(m)
        refuse_unverified(m)
    return replace(cleared_for_retry(m), goal=Goal.COMMITTED, force_commit=force, soak_ended=True)


def _refuse_left_behind(m: Migration) -> None:
    """Raise MigrationError(EPERM) where clients went on writing to the source of an import."""
    if left_behind(m):
        raise MigrationError(
            EPERM,
            f"{left_behind(m)}; stop the clients, take another snapshot, and give it to `ceph rbd "
            f"migration execute {m.target.spec} --snap`, or add --force to commit without that.",
        )


def _refuse_before_cut_over(m: Migration, why: str) -> None:
    target = m.target.spec
    if m.cut_over_at is not None:
        return
    status = f"`ceph rbd migration status {target}`"
    first = "" if m.state is State.EXECUTED else f"wait until it is executed ({status}), "
    raise MigrationError(
        EAGAIN,
        f"{target} is {m.state.value}, not cut over yet, so {why}; {first}stop the clients of "
        f"{m.source.spec}, then `ceph rbd migration cutover {target}`.",
    )


def to_abort(m: Migration, policy: Optional[CutoverPolicy] = None) -> Migration:
    """Return the record with the goal aborted. MigrationError(EINVAL) when its commit has begun.

    ``policy``: how clients are made to leave the target of a warm migration; None: they left it.
    """
    refuse_committing(m)
    cleared = without_consent(cleared_for_retry(m))
    return replace(cleared, goal=Goal.ABORTED, cutover=policy or CutoverPolicy(), release=None)


def to_undo_prepare(m: Migration) -> Migration:
    """Return the record of a failed prepare with the goal aborted; any other record unchanged."""
    if m.state is not State.FAILED or m.prepared_at is not None:
        return m
    return replace(cleared_for_retry(m), goal=Goal.ABORTED)


def to_pause(m: Migration) -> Migration:
    """Return the record paused: no further act begins. MigrationError(EBUSY) during an abort."""
    refuse_aborting(m)
    return replace(m, paused=True)


def to_resume(m: Migration) -> Migration:
    """Return the record resumed after a pause or a refused abort."""
    asked = m.hold is not None and m.hold.reason is HoldReason.OPERATOR
    return replace(m, paused=False, hold=None if asked else m.hold)


def to_retry(m: Migration) -> Migration:
    """Return the record for a new attempt; a comparison that found differences starts again.

    Raises MigrationError(EINVAL) when it neither failed nor waits.
    """
    if m.state is not State.FAILED and m.hold is None:
        raise MigrationError(
            EINVAL, f"The migration to {m.target.spec} has not failed, it is {m.state.value}."
        )
    v = m.verification
    differs = v is not None and v.outcome is Outcome.FAILED
    return replace(cleared_for_retry(m), verification=None if differs else v)


def to_verify(m: Migration, mode: Verify, now: float) -> Migration:
    """Return the record for a comparison from the beginning.

    A mode below the one required before the commit is refused. Raises MigrationError(EBUSY,
    EAGAIN, EINVAL).
    """
    refuse_aborting(m)
    target = m.target.spec
    if m.method is Method.WARM:
        _refuse_before_cut_over(m, "there is nothing final to compare yet")
    again = m.state is State.FAILED and m.failed_in in (State.VERIFYING, State.COMMITTING)
    if m.state not in _COMPARABLE and not again:
        raise MigrationError(
            EAGAIN,
            f"{target} is {m.state.value}, so there is nothing to compare; verify it when it is "
            "executed.",
        )
    if not covers(mode, m.verify):
        raise MigrationError(
            EINVAL,
            f"All of {target} has to be compared before the commit, so a {mode.value} is not "
            f"enough; leave out --mode, or run `ceph rbd migration set {target} --verify "
            f"{mode.value}` first.",
        )
    goal = m.goal if m.goal is Goal.COMMITTED else Goal.VERIFIED
    m = without_consent(cleared_for_retry(m).enter(State.VERIFYING, now))
    return replace(m, verify=mode, verification=None, goal=goal)


def changed(m: Migration, changes: Changes, floor: Verify = Verify.NONE) -> Migration:
    """Return the record after ``set``; a new goal, mode or soak time ends an earlier consent.

    ``floor``: the weakest verify mode that its plan allows. Raises MigrationError(EBUSY, EINVAL,
    EPERM).
    """
    refuse_aborting(m)
    if changes.goal is not None:
        refuse_goal(m.method, changes.goal)
    if (changes.goal, changes.verify, changes.soak) != (None, None, None):
        refuse_committing(m)
        m = without_consent(m)
    if changes.verify is not None:
        _refuse_below(m, changes.verify, floor)
        m = replace(m, verify=changes.verify)
    if changes.change_rate:
        m = replace(m, rate=changes.rate)
    if changes.priority is not None:
        m = replace(m, priority=changes.priority)
    if changes.window is not None:
        m = replace(m, window=changes.window)
    if changes.cutover_window is not None:
        refuse_cutover_window(m.method, changes.cutover_window)
        m = replace(m, cutover_window=changes.cutover_window)
    if changes.soak is not None:
        m = replace(m, soak=changes.soak)
    if changes.refresh_source is not None:
        refuse_refresh_source(m.method, changes.refresh_source)
        m = replace(m, refresh_source=changes.refresh_source)
    if changes.goal is not None:
        m = replace(m, goal=changes.goal)
    return replace(m, verify=at_least(m.goal, m.verify))


def _refuse_below(m: Migration, verify: Verify, floor: Verify) -> None:
    if covers(verify, floor) or covers(verify, m.verify):
        return
    raise MigrationError(
        EPERM,
        f"The plan {m.plan} wants {m.target.spec} compared ({floor.value}) before its commit; "
        "change the policy with `ceph rbd migration plan apply`, or commit this one with --force.",
    )
