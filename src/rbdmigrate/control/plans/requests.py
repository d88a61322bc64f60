"""What an administrator can ask of a plan, as pure functions of its record.

As in ``control.lifecycle.requests``: each returns the plan that the request leads to, or raises
MigrationError, and is called inside the plan's update.
"""

from __future__ import annotations

from dataclasses import replace
from errno import EAGAIN, EINVAL

from ...model.errors import MigrationError
from ...model.plan import Plan, PlanState

_UNDER_WAY = (PlanState.STARTING, PlanState.RUNNING, PlanState.PAUSED, PlanState.STOPPED)


def to_start(plan: Plan) -> Plan:
    """Its images are to be chosen; one that has started stays as it is. MigrationError(EINVAL)."""
    if plan.state is PlanState.CANCELLED:
        raise MigrationError(
            EINVAL,
            f"The plan {plan.name!r} was cancelled; `ceph rbd migration plan apply` makes a new "
            "one of it.",
        )
    if plan.state is PlanState.CANCELLING:
        raise _refusal(plan, "it cannot be started")
    return replace(plan, state=PlanState.STARTING) if plan.state is PlanState.DRAFT else plan


def to_pause(plan: Plan) -> Plan:
    """It is to stand still. MigrationError(EINVAL, EAGAIN)."""
    if plan.state is PlanState.STARTING:
        raise MigrationError(
            EAGAIN, f"The plan {plan.name!r} is choosing its images; pause it when it runs."
        )
    if plan.state not in _UNDER_WAY:
        raise _refusal(plan, "there is nothing to pause")
    return replace(plan, state=PlanState.PAUSED)


def to_resume(plan: Plan, failures: int) -> Plan:
    """It is to go on; its ``failures`` so far count no more. MigrationError(EINVAL)."""
    if plan.state not in _UNDER_WAY:
        raise _refusal(plan, "there is nothing to resume")
    waits = plan.state in (PlanState.PAUSED, PlanState.STOPPED)
    return replace(plan, state=PlanState.RUNNING if waits else plan.state, forgiven=failures)


def to_cancel(plan: Plan, now: float, *, force: bool) -> Plan:
    """Its migrations are to be aborted, with ``force`` also those that clients may have changed.

    MigrationError(EINVAL) when it is done.
    """
    if plan.state is PlanState.DONE:
        raise _refusal(plan, "there is nothing to cancel")
    if plan.state is PlanState.DRAFT:
        return replace(plan, state=PlanState.CANCELLED, ended=now)
    if plan.state is PlanState.CANCELLED:
        return plan
    if force:
        plan = replace(plan, force=True, forced_at=now)
    return replace(plan, state=PlanState.CANCELLING)


def to_retry(plan: Plan) -> Plan:
    """What failed of it is to be tried again. MigrationError(EINVAL)."""
    if plan.state in (PlanState.DRAFT, PlanState.CANCELLING, PlanState.CANCELLED):
        raise _refusal(plan, "there is nothing to retry")
    if plan.state in (PlanState.STOPPED, PlanState.DONE):
        plan = replace(plan, state=PlanState.RUNNING, ended=None)
    return replace(plan, forgiven=0)


def _refusal(plan: Plan, what: str) -> MigrationError:
    return MigrationError(EINVAL, f"The plan {plan.name!r} is {plan.state.value}; {what}.")
