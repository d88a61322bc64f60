"""Going on with a plan: wave by wave its items begin."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import closing
from dataclasses import replace
from errno import EAGAIN, EBUSY
from functools import partial
from typing import NamedTuple, Optional

from ...checks.facts import Facts
from ...control.lifecycle.failures import TRANSIENT
from ...control.lifecycle.requests import cleared_for_retry
from ...control.plans.waves import Phase, PlanStep, next_step
from ...model.errors import MigrationError
from ...model.plan import Outcome, Plan, PlanState
from ...trace import span
from ..reconcile.scheduler import Scheduler
from ..records.plan_registry import PlanRegistry
from ..records.registry import Registry
from ..records.tracked_plan import TrackedPlan, in_use
from .create import ItemStarter
from .item_outcomes import ItemOutcomes
from .lookahead import Lookahead
from .transitions import ended, only_from, stopped

log = logging.getLogger(__name__)

RETRY = 5.0  # seconds until an item that could not begin is tried again
_FRESH = 5.0  # seconds for which a look ahead counts: those before it may have taken long


class _Found(NamedTuple):
    """The outcome of a look: when (monotonic), and what was found."""

    at: float
    facts: Facts


class WaveRunner:
    """Begins the items of plans that run."""

    def __init__(
        self,
        *,
        plan_registry: PlanRegistry,
        registry: Registry,
        starter: ItemStarter,
        scheduler: Scheduler,
        outcomes: ItemOutcomes,
        ahead: Lookahead,
    ) -> None:
        self._plan_registry = plan_registry
        self._registry = registry
        self._starter = starter
        self._scheduler = scheduler
        self._outcomes = outcomes
        self._ahead = ahead

    def go_on(self, kept: TrackedPlan, stopping: Callable[[], bool]) -> bool:
        """Begin what may begin now. True when the plan is to be looked at again at once."""
        definition = kept.plan.definition
        phases = kept.phases()
        failures = phases.count(Phase.FAILED)
        if failures < kept.plan.forgiven:
            self._plan_registry.update(kept, lambda plan: replace(plan, forgiven=failures))
        self._postpone(kept)
        step = _next_step(kept, kept.plan, phases)
        if step.done:
            self._plan_registry.update(
                kept, only_from(PlanState.RUNNING, lambda plan: _done(kept, plan))
            )
        elif step.stop:
            self._plan_registry.update(kept, only_from(PlanState.RUNNING, stopped))
        due = (number for number in step.begin if _is_due(kept, number))
        with closing(self._ahead.in_order(partial(self._look, kept), due)) as looks:
            begun = 0
            for number, found in looks:
                if stopping() or kept.plan.state is not PlanState.RUNNING:
                    return False
                if step.most is not None and begun >= step.most:
                    return False
                with kept.beginning:
                    if kept.items[number].outcome is Outcome.OPEN:  # it was not skipped meanwhile
                        self._begin(kept, number, found)
                begun += kept.phase(number) is Phase.RUNNING
                # What this one came to may be one failure too many.
                if definition.stop_after and kept.phase(number) is Phase.FAILED:
                    return True
        return False

    def _look(self, kept: TrackedPlan, number: int) -> Optional[_Found]:
        """Look at an item's images; None where it is under way already."""
        item = kept.items[number]
        known = kept.live.get(number) or self._registry.get(item.ident)
        if known is not None or item.outcome is not Outcome.OPEN:
            return None
        with span("look ahead", item.ident):
            facts = self._starter.facts(item, kept.plan.definition)
        return _Found(time.monotonic(), facts)

    def _postpone(self, kept: TrackedPlan) -> None:
        """What has kept its wave waiting for too long is tried again at the end."""
        wait, now = kept.plan.definition.wait, time.monotonic()
        if wait is None:
            return
        for number, since in list(kept.waiting_since.items()):
            item = kept.items[number]
            if item.postponed or now - since < wait or kept.phase(number) is not Phase.WAITING:
                continue
            kept_wait = kept.waits.get(number)
            reason = kept_wait.message if kept_wait is not None else ""
            log.info("plan %s: %s is tried again at the end", kept.plan.name, item.source)
            postponed = replace(item, postponed=True, message=reason)
            self._plan_registry.store_item(kept, number, postponed)
            kept.waiting_since[number] = since

    def _begin(self, kept: TrackedPlan, number: int, look: Future[Optional[_Found]]) -> None:
        item = kept.items[number]

        def facts() -> Facts:
            found, now = look.result(), time.monotonic()
            if found is None or now - found.at > _FRESH:
                return self._starter.facts(item, kept.plan.definition)
            return found.facts

        tracked = kept.live.get(number)
        try:
            if tracked is not None:
                if in_use(tracked.migration):
                    kept.cannot_begin(number, "", time.monotonic() + RETRY)
                    self._registry.update(
                        tracked, lambda m: cleared_for_retry(m) if in_use(m) else m
                    )
            elif self._outcomes.ended_before(kept, number):
                return
            else:
                with span("begin", item.ident):
                    tracked = self._starter.begin(item, kept.plan.definition, facts)
                if tracked.migration.id != item.ident:
                    item = replace(item, ident=tracked.migration.id)
                    self._plan_registry.store_item(kept, number, item)
                with self._plan_registry.changed:
                    kept.live[number] = tracked
                    kept.waits.pop(number, None)
                    self._plan_registry.changed.notify_all()
        except MigrationError as error:
            self._not_begun(kept, number, error)
            return
        except CancelledError:
            return  # this manager gives up its role
        if tracked is not None:
            self._scheduler.wake(tracked)

    def _not_begun(self, kept: TrackedPlan, number: int, error: MigrationError) -> None:
        if error.errno in TRANSIENT or error.errno in (EBUSY, EAGAIN):
            kept.cannot_begin(number, str(error), time.monotonic() + RETRY)
            return
        item = replace(kept.items[number], outcome=Outcome.FAILED, message=str(error))
        self._plan_registry.store_item(kept, number, item)


def _is_due(kept: TrackedPlan, number: int) -> bool:
    wait = kept.waits.get(number)
    return wait is None or wait.due <= time.monotonic()


def _done(kept: TrackedPlan, plan: Plan) -> Plan:
    """Done, unless a retry has begun some of its migrations again meanwhile."""
    step = _next_step(kept, plan, kept.phases())
    return ended(PlanState.DONE)(plan) if step.done else plan


def _next_step(kept: TrackedPlan, plan: Plan, phases: list[Phase]) -> PlanStep:
    definition = plan.definition
    return next_step(
        phases, definition.wave, definition.stop_after, plan.forgiven, kept.postponed()
    )
