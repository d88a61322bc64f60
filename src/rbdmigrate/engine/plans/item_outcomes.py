"""Noting what became of the items of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Optional

from ...control.lifecycle.cutover import cutover_waits, goes_on
from ...model.migration import Migration
from ...model.plan import Outcome
from ...model.states import Goal, State
from ..records.plan_registry import PlanRegistry
from ..records.registry import Registry
from ..records.tracked import TrackedMigration
from ..records.tracked_plan import TrackedPlan

_ORDER = (State.PREPARED, State.EXECUTING, State.EXECUTED, State.CUTTING_OVER, State.CUT_OVER,
          State.VERIFYING, State.VERIFIED, State.COMMITTING, State.COMMITTED)  # fmt: skip
_REACHED = {
    Goal.PREPARED: State.PREPARED,
    Goal.EXECUTED: State.EXECUTED,
    Goal.CUT_OVER: State.CUT_OVER,
    Goal.VERIFIED: State.VERIFIED,
    Goal.COMMITTED: State.COMMITTED,
}


class ItemOutcomes:
    """Finds the migrations of items, and notes what ended."""

    def __init__(self, plan_registry: PlanRegistry, registry: Registry) -> None:
        self._plan_registry = plan_registry
        self._registry = registry

    def look(self, kept: TrackedPlan, stopping: Callable[[], bool]) -> None:
        """Find the migrations of open items, and note what ended."""
        for number, item in enumerate(kept.items):
            if item.outcome is Outcome.OPEN and not stopping():
                tracked = self._tracked(kept, number)
                if tracked is not None:
                    self._note(kept, number, tracked.migration)

    def _tracked(self, kept: TrackedPlan, number: int) -> Optional[TrackedMigration]:
        """The migration of an item, if it is under way or has just ended."""
        tracked = kept.live.get(number)
        known = self._registry.get(kept.items[number].ident)
        if known is not None and known is not tracked:
            tracked = kept.live[number] = known
        if tracked is not None and known is None and not tracked.migration.state.ended:
            kept.live.pop(number)  # it was refused and forgotten: as if it had never begun
            return None
        return tracked

    def _note(self, kept: TrackedPlan, number: int, m: Migration) -> None:
        item = kept.items[number]
        found: Optional[Outcome] = None
        if m.state is State.ABORTED:
            found = Outcome.CANCELLED
        elif _reached(m) and not (goes_on(kept.plan.definition.policy.goal) and cutover_waits(m)):
            found = Outcome.DONE
        if found is not None:
            message = m.timeline[-1].message if m.state.ended and m.timeline else ""
            size = m.bytes_total or 0
            ended = replace(item, outcome=found, message=message, bytes=size, method=m.method)
            self._plan_registry.store_item(kept, number, ended)

    def ended_before(self, kept: TrackedPlan, number: int) -> bool:
        """Whether a former process saw the item's migration end; then that is noted."""
        if not kept.former:
            return False
        item = kept.items[number]
        ended = self._plan_registry.past(item.target).get(item.ident)
        if ended is not None:
            self._note(kept, number, ended)
        return ended is not None


def _reached(m: Migration) -> bool:
    """Whether it is where it was to go by itself."""
    wanted = _REACHED.get(m.goal)
    return (
        m.state in _ORDER and wanted is not None and _ORDER.index(m.state) >= _ORDER.index(wanted)
    )
