"""Cancelling a plan: its migrations under way are aborted, the others do not begin."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from errno import EAGAIN, EBUSY

from ...control.lifecycle.aborting import refusal_of
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.plan import Outcome, PlanState
from ...model.spec import ImageSpec
from ...model.states import Goal, State
from ..reconcile.scheduler import Scheduler
from ..records.plan_registry import PlanRegistry
from ..records.registry import Registry
from ..records.tracked import TrackedMigration
from ..records.tracked_plan import TrackedPlan, Wait
from .item_outcomes import ItemOutcomes
from .transitions import ended, only_from

Abort = Callable[[ImageSpec, bool], object]
RETRY = 5.0  # seconds until an item that could not be aborted is tried again


class PlanCanceller:
    """Cancels plans. ``abort`` begins to abort the migration to a target."""

    def __init__(
        self,
        *,
        plan_registry: PlanRegistry,
        registry: Registry,
        scheduler: Scheduler,
        abort: Abort,
        outcomes: ItemOutcomes,
    ) -> None:
        self._plan_registry = plan_registry
        self._registry = registry
        self._scheduler = scheduler
        self._abort = abort
        self._outcomes = outcomes

    def cancel(self, kept: TrackedPlan, stopping: Callable[[], bool]) -> None:
        """Abort what is under way, and note what had not begun."""
        for number, item in enumerate(kept.items):
            if item.outcome is not Outcome.OPEN or stopping():
                continue
            tracked = kept.live.get(number)
            if tracked is not None:
                self._cancel_one(kept, number, tracked)
            elif not self._outcomes.ended_before(kept, number):
                gone = replace(item, outcome=Outcome.CANCELLED, message="It had not begun.")
                self._plan_registry.store_item(kept, number, gone)
        if all(item.outcome is not Outcome.OPEN for item in kept.items):
            self._plan_registry.update(
                kept, only_from(PlanState.CANCELLING, ended(PlanState.CANCELLED))
            )

    def _cancel_one(self, kept: TrackedPlan, number: int, tracked: TrackedMigration) -> None:
        """Abort it; where that is refused it waits until somebody decides."""
        m, wait = tracked.migration, kept.waits.get(number)
        if wait is not None and wait.due > time.monotonic():
            return
        if m.goal is Goal.ABORTED or m.state is State.COMMITTING or m.state.ended:
            return  # it ends by itself
        refusal, forced_at = refusal_of(m), kept.plan.forced_at or 0.0
        # Once refused: what clients have done since is not what was forced.
        force = kept.plan.force and (refusal is None or refusal.at < forced_at)
        try:
            self._abort(m.target.spec, force)
            kept.waits.pop(number, None)
        except MigrationError as error:
            # Clients have it open. What they write until they close it was not forced either.
            waits = error.errno == EBUSY and not kept.plan.force
            if waits or error.errno == EAGAIN:
                kept.waits[number] = Wait(str(error), time.monotonic() + RETRY)
                return
            if not self._registry.update(tracked, _paused).paused:
                return  # somebody else has decided meanwhile
            self._scheduler.interrupt(tracked, "paused")
            item = replace(kept.items[number], outcome=Outcome.FAILED, message=str(error))
            self._plan_registry.store_item(kept, number, item)


def _paused(m: Migration) -> Migration:
    ends = m.goal is Goal.ABORTED or m.state is State.COMMITTING
    return m if ends or m.paused else replace(m, paused=True).logged(time.time(), "pause")
