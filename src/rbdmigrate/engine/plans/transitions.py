"""What the driver makes of a plan: functions from the plan to the plan as it is then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ...model.plan import Plan, PlanState

Change = Callable[[Plan], Plan]


def only_from(state: PlanState, change: Change) -> Change:
    """``change`` where the plan is in ``state`` still: a command may have been quicker."""
    return lambda plan: change(plan) if plan.state is state else plan


def refused(problem: str) -> Change:
    """A draft again, with the problem."""
    return lambda plan: replace(plan, state=PlanState.DRAFT, problem=problem)


def running(plan: Plan) -> Plan:
    """Started now."""
    return replace(plan, state=PlanState.RUNNING, started=time.time(), problem="")


def stopped(plan: Plan) -> Plan:
    """Stopped after too many failures."""
    return replace(plan, state=PlanState.STOPPED)


def ended(state: PlanState) -> Change:
    """Ended now, with this state."""
    return lambda plan: replace(plan, state=state, ended=time.time())
