"""Requests about a plan, as pure functions of its record.

As in ``control.lifecycle.requests``: each returns the plan after the request, or raises
MigrationError, and is called inside the plan's update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from errno import EAGAIN, EINVAL, ENOENT
from typing import Optional

from ...model.bounds import shortened
from ...model.errors import MigrationError
from ...model.plan import Definition, Item, Outcome, Plan, PlanState
from ..lifecycle.method_choice import auto_by_default
from .waves import UNBEGUN, Phase

_UNDER_WAY = (PlanState.STARTING, PlanState.RUNNING, PlanState.PAUSED, PlanState.STOPPED)


def to_start(plan: Plan) -> Plan:
    """Return the plan started: its images are chosen next. MigrationError(EINVAL)."""
    if plan.state is PlanState.CANCELLED:
        raise MigrationError(
            EINVAL,
            f"The plan {plan.name!r} was cancelled; `ceph rbd migration plan create -i FILE` "
            "creates it again.",
        )
    if plan.state is PlanState.CANCELLING:
        raise _refusal(plan, "it cannot be started")
    return replace(plan, state=PlanState.STARTING) if plan.state is PlanState.DRAFT else plan


def to_pause(plan: Plan) -> Plan:
    """Return the plan paused. Raises MigrationError(EINVAL, EAGAIN)."""
    if plan.state is PlanState.STARTING:
        raise MigrationError(
            EAGAIN, f"The plan {plan.name!r} is choosing its images; pause it when it runs."
        )
    if plan.state not in _UNDER_WAY:
        raise _refusal(plan, "there is nothing to pause")
    return replace(plan, state=PlanState.PAUSED)


def to_resume(plan: Plan, failures: int) -> Plan:
    """Return the plan resumed; its ``failures`` so far no longer count. MigrationError(EINVAL)."""
    if plan.state not in _UNDER_WAY:
        raise _refusal(plan, "there is nothing to resume")
    waits = plan.state in (PlanState.PAUSED, PlanState.STOPPED)
    return replace(plan, state=PlanState.RUNNING if waits else plan.state, forgiven=failures)


def to_cancel(plan: Plan, now: float, *, force: bool, failures: int = 0) -> Plan:
    """Return the plan cancelled: its migrations are aborted next, then it ends.

    ``force``: also abort migrations whose targets clients may have changed. Raises
    MigrationError(EINVAL) for a plan that is done without ``failures``.
    """
    if plan.state is PlanState.DONE and not failures:
        raise _refusal(plan, "there is nothing to cancel")
    if plan.state is PlanState.DRAFT:
        return replace(plan, state=PlanState.CANCELLED, ended=now)
    if plan.state is PlanState.CANCELLED:
        return plan
    if force:
        plan = replace(plan, force=True, forced_at=now)
    return replace(plan, state=PlanState.CANCELLING)


def to_retry(plan: Plan) -> Plan:
    """Return the plan with its failures to be tried again. Raises MigrationError(EINVAL)."""
    if plan.state in (PlanState.DRAFT, PlanState.CANCELLING, PlanState.CANCELLED):
        raise _refusal(plan, "there is nothing to retry")
    if plan.state in (PlanState.STOPPED, PlanState.DONE):
        plan = replace(plan, state=PlanState.RUNNING, ended=None)
    return replace(plan, forgiven=0)


def to_skip(plan: Plan, item: Item, phase: Phase) -> Item:
    """Return the item skipped. MigrationError(EINVAL) when its migration has begun."""
    if plan.state is PlanState.CANCELLING or plan.state.ended:
        raise _refusal(plan, "there is nothing to skip")
    if item.outcome is Outcome.SKIPPED:
        return item
    if phase not in UNBEGUN and item.outcome is not Outcome.FAILED:
        raise MigrationError(
            EINVAL,
            f"{item.source} of the plan {plan.name!r} is {phase.value}, so it cannot be skipped; "
            f"`ceph rbd migration status {item.target}` shows its migration.",
        )
    return replace(item, outcome=Outcome.SKIPPED, message="It was skipped.")


def find_item(plan: Plan, items: Sequence[Item], text: str) -> int:
    """Return the index of the item with the source or target ``text``.

    A name without a pool is enough if only one source has it. Raises MigrationError: ENOENT when
    no item fits, EINVAL when several do.
    """
    found = [n for n, item in enumerate(items) if text in (str(item.source), str(item.target))]
    found = found or [n for n, item in enumerate(items) if text == item.source.image]
    if len(found) == 1:
        return found[0]
    what = "No image" if not found else "More than one image"
    raise MigrationError(
        ENOENT if not found else EINVAL,
        f"{what} of the plan {plan.name!r} is called {shortened(text, 100)}; `ceph rbd migration "
        f"plan show {plan.name}` lists its images.",
    )


def _refusal(plan: Plan, what: str) -> MigrationError:
    return MigrationError(EINVAL, f"The plan {plan.name!r} is {plan.state.value}; {what}.")


def with_method(definition: Definition, plan: Optional[Plan]) -> Definition:
    """The definition with the default method where its file names none; ``plan`` is what it was.

    A plan that an earlier version made has no method, and its images go on to be migrated ``live``.
    """
    if definition.method is not None or definition.auto:
        return definition
    before = None if plan is None or plan.state.ended else plan.definition
    if before is not None and before.method is None and not before.auto:
        return definition
    return replace(definition, auto=auto_by_default(definition.policy))
