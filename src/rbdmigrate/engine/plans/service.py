"""Plans as front ends see them. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from errno import EAGAIN, EBUSY, EEXIST, EPERM
from typing import Any, Optional

from ...cluster.store import UnreadableRecord
from ...control.plans.progress import shown_state
from ...control.plans.requests import (
    find_item,
    to_cancel,
    to_pause,
    to_resume,
    to_retry,
    to_skip,
    to_start,
    with_method,
)
from ...model.errors import MigrationError, NotPermitted
from ...model.plan import Definition, Item, Outcome, Plan, PlanComparison, PlanState
from ...model.spec import ImageSpec
from ...model.states import State
from ..caller import access
from ..hooks.definitions import HookRegistry
from ..records.plan_registry import PlanRegistry
from ..records.tracked import TrackedMigration
from ..records.tracked_plan import TrackedPlan
from ..requests.errors import TranslatedErrors
from ..requests.hook_takers import require_takers
from ..settings import Settings
from .cancelling import Abort
from .checks import PlanChecks
from .driver import PlanDriver
from .report import plan_report

PlanReport = dict[str, Any]
Kepts = list[TrackedPlan]  # within Plans, list is a method
Lines = list[str]


class PlanService:
    """All plans. ``retry`` tries the failed migration to a target again, ``abort`` gives it up."""

    def __init__(
        self,
        *,
        plan_registry: PlanRegistry,
        driver: PlanDriver,
        checks: PlanChecks,
        settings: Callable[[], Settings],
        translated: Callable[[ImageSpec], TranslatedErrors],
        retry: Callable[[ImageSpec], object],
        abort: Abort,
        hooks: HookRegistry,
    ) -> None:
        self._hooks = hooks
        self._plan_registry = plan_registry
        self._driver = driver
        self._checks = checks
        self._settings = settings
        self._translated = translated
        self._retry = retry
        self._abort = abort
        self._changing = threading.Lock()  # no plan is replaced while it begins

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Drive what was begun before."""
        self._driver.start()

    def stop(self) -> None:
        """End the threads; :meth:`join` waits for them."""
        self._driver.stop()
        self._checks.stop()

    def join(self, timeout: float) -> bool:
        """Wait for the threads' end; False when one is still there."""
        clean = self._driver.join(timeout)
        return self._checks.join(timeout) and clean

    def problems(self) -> list[str]:
        """What is wrong with the threads."""
        return self._driver.problems()

    @property
    def garbage(self) -> list[UnreadableRecord]:
        """Records of plans that cannot be read."""
        return list(self._plan_registry.garbage)

    # -- reading -----------------------------------------------------------------------------

    def definitions(self) -> list[Definition]:
        """What each plan is about that the caller may see, by name."""
        return [kept.plan.definition for kept in self._seen()]

    def definition(self, name: str) -> Definition:
        """What a plan is about. MigrationError(ENOENT)."""
        with self._answering(name):
            return self._require(name).plan.definition

    def list(self) -> list[PlanReport]:
        """All plans that the caller may see, by name, without their items."""
        return [plan_report(kept, items=False) for kept in self._seen()]

    def get(self, name: str) -> PlanReport:
        """A plan with its items. MigrationError(ENOENT)."""
        with self._answering(name):
            return plan_report(self._require(name), items=True)

    def check(self, name: str) -> dict[str, Any]:
        """Preflight of all its images that have not begun. Changes nothing; goes on behind."""
        with self._answering(name):
            kept = self._require(name)
            frozen: Optional[list[Item]] = None
            if kept.plan.items:
                frozen = [
                    item
                    for number, item in enumerate(kept.items)
                    if item.outcome is not Outcome.DONE and number not in kept.live
                ]
            return self._checks.check(kept.plan.definition, frozen, self._settings().command_wait)

    # -- changing ----------------------------------------------------------------------------

    def create(self, definition: Definition) -> PlanReport:
        """Keep a new plan; nothing begins. The same again is one plan, and replaces one that was
        cancelled. MigrationError(EEXIST, EAGAIN)."""
        with self._answering(definition.name), self._changing:
            kept = self._there(definition.name)
            definition = with_method(definition, None if kept is None else kept.plan)
            if kept is None or kept.plan.state is PlanState.CANCELLED:
                kept = self._plan_registry.create(_draft(definition))
            elif kept.plan.definition != definition:
                raise MigrationError(
                    EEXIST,
                    f"There is another plan {definition.name!r}, which is {kept.plan.state.value}; "
                    "`ceph rbd migration plan apply` changes it, or give this one another name.",
                )
            return plan_report(kept, items=True)

    def compare(self, definition: Definition) -> PlanComparison:
        """Compare a definition with the plan of its name. MigrationError(EAGAIN)."""
        with self._answering(definition.name):
            kept = self._there(definition.name)
            if kept is None:
                return PlanComparison(definition.name, None, False)
            state = shown_state(kept.plan, kept.phases())
            alike = (definition, with_method(definition, None))
            return PlanComparison(definition.name, state, kept.plan.definition in alike)

    def apply(self, definition: Definition, *, may_create: bool = True) -> PlanReport:
        """The same; where there is a plan of the name, that is changed.

        What has started keeps its images. Migrations that have begun keep their policy.
        ``may_create``: the caller may make a plan; NotPermitted(EPERM) where that is needed.
        """
        with self._answering(definition.name), self._changing:
            kept = self._there(definition.name)
            if kept is None and not may_create:
                raise NotPermitted(
                    EPERM,
                    f"There is no plan {definition.name!r}, and the permission create is needed "
                    "to make one.",
                )
            definition = with_method(definition, None if kept is None else kept.plan)
            if kept is None or kept.plan.state is PlanState.DRAFT or kept.plan.state.ended:
                kept = self._plan_registry.create(_draft(definition))
                return plan_report(kept, items=True)
            if kept.plan.definition.moves != definition.moves:
                raise MigrationError(
                    EBUSY,
                    f"The plan {definition.name!r} is {kept.plan.state.value}, so its images and "
                    "where they go stay as they are; change waves, policy, limits and window "
                    "alone, or cancel it first.",
                )
            self._plan_registry.update(kept, lambda plan: replace(plan, definition=definition))
            return plan_report(kept, items=True)

    def begin(self, name: str) -> PlanReport:
        """Choose its images and begin. MigrationError where there is something wrong with them."""
        with self._answering(name):
            kept = self._require(name)
            if kept.plan.state in (PlanState.PAUSED, PlanState.STOPPED):
                return self.resume(name)
            with self._changing:
                kept = self._require(name)
                definition = kept.plan.definition
                pools = {pool for pool, _ in definition.places()}
                require_takers(self._hooks, definition.policy.cutover, pools)
                kept.refusal = None
                self._change(kept, to_start)
            self._wait(lambda: kept.plan.state is not PlanState.STARTING)
            if kept.plan.state is PlanState.DRAFT and kept.refusal is not None:
                raise kept.refusal
            return plan_report(kept, items=True)

    def pause(self, name: str) -> PlanReport:
        """Begin nothing more, and stop its copies where they are."""
        with self._answering(name):
            kept = self._require(name)
            self._wait(lambda: kept.plan.state is not PlanState.STARTING)
            self._change(kept, to_pause)
            return plan_report(kept, items=True)

    def resume(self, name: str) -> PlanReport:
        """Go on where it was paused, or where it stopped after failures."""
        with self._answering(name):
            kept = self._require(name)
            self._change(kept, lambda plan: to_resume(plan, kept.failures()))
            kept.forget_waits()  # the pause does not count as waiting
            self._driver.wake()
            return plan_report(kept, items=True)

    def skip(self, name: str, image: str) -> PlanReport:
        """Leave out an image that has not begun; ``image`` names its source or target.

        MigrationError(EINVAL) when its migration has begun, ENOENT for an image that is not in it.
        """
        with self._answering(name):
            kept = self._require(name)
            number = find_item(kept.plan, kept.items, image)
            if not kept.beginning.acquire(timeout=self._settings().command_wait):
                raise MigrationError(
                    EAGAIN, f"Images of the plan {name!r} are being begun just now; try again."
                )
            try:
                after = to_skip(kept.plan, kept.items[number], kept.phase(number))
                tracked = kept.live.get(number)
                if tracked is not None:  # its prepare was refused: the source was in use
                    self._abort(tracked.migration.target.spec, False)
                self._plan_registry.store_item(kept, number, after)
            finally:
                kept.beginning.release()
            self._driver.wake()
            return plan_report(kept, items=True)

    def warnings(self) -> Lines:
        """What of each plan somebody has to look at, a sentence for each."""
        return [kept.attention for kept in self._plan_registry.all() if kept.attention]

    def cancel(self, name: str, *, force: bool = False) -> PlanReport:
        """Begin nothing more, and abort what is under way. What is done stays done."""
        with self._answering(name):
            kept = self._require(name)
            failures = kept.failures()
            self._change(
                kept, lambda plan: to_cancel(plan, time.time(), force=force, failures=failures)
            )
            self._wait(lambda: kept.plan.state is not PlanState.CANCELLING)
            return plan_report(kept, items=True)

    def retry(self, name: str) -> PlanReport:
        """Try all of it again that failed, and at once what waits."""

        def again(plan: Plan) -> Plan:
            after = to_retry(plan)
            self._open_again(kept)
            return after

        with self._answering(name), self._changing:
            kept = self._require(name)
            self._change(kept, again)
            kept.forget_waits()
            self._driver.wake()
            return plan_report(kept, items=True)

    def _open_again(self, kept: TrackedPlan) -> None:
        for number, item in enumerate(kept.items):
            postponed = item.outcome is Outcome.OPEN and item.postponed
            if item.outcome is Outcome.FAILED or postponed:
                again = replace(item, outcome=Outcome.OPEN, message="", postponed=False)
                self._plan_registry.store_item(kept, number, again)
            tracked = kept.live.get(number)
            if tracked is not None and tracked.migration.state is State.FAILED:
                self._try_again(tracked)

    def _try_again(self, tracked: TrackedMigration) -> None:
        try:
            self._retry(tracked.migration.target.spec)
        except MigrationError:
            if tracked.migration.state is State.FAILED:
                raise  # else somebody was quicker

    def remove(self, name: str) -> PlanReport:
        """Forget a plan of which nothing is under way. The migrations that it made stay."""
        with self._answering(name), self._changing:
            kept = self._require(name)
            if kept.plan.state is not PlanState.DRAFT and not kept.plan.state.ended:
                raise MigrationError(
                    EBUSY,
                    f"The plan {name!r} is {kept.plan.state.value}; `ceph rbd migration plan "
                    f"cancel {name}` ends it first.",
                )
            found = plan_report(kept, items=True)
            self._plan_registry.remove(kept)
            self._checks.forget(name)
            return found

    # -- within ------------------------------------------------------------------------------

    def _seen(self) -> Kepts:
        caller = access()
        return [
            kept for kept in self._plan_registry.all() if caller.sees_plan(kept.plan.definition)
        ]

    def _require(self, name: str) -> TrackedPlan:
        """The plan ``name``, all of which the caller may touch. MigrationError."""
        kept = self._plan_registry.require(name)
        access().require_plan(kept.plan.definition)
        return kept

    def _there(self, name: str) -> Optional[TrackedPlan]:
        """The plan ``name`` if there is one; MigrationError unless the caller may touch it.

        EAGAIN where it could be in a pool whose plans cannot be read yet: a plan that runs there
        must not be replaced.
        """
        kept = self._plan_registry.find(name)
        if kept is not None:
            access().require_plan(kept.plan.definition)
        return kept

    def _change(self, kept: TrackedPlan, change: Callable[[Plan], Plan]) -> None:
        self._plan_registry.update(kept, change)
        self._driver.wake()

    def _wait(self, done: Callable[[], bool]) -> None:
        self._plan_registry.wait(done, self._settings().command_wait)

    def _answering(self, name: str) -> TranslatedErrors:
        return self._translated(ImageSpec("", "", f"the plan {name}"))


def _draft(definition: Definition) -> Plan:
    return Plan(definition, PlanState.DRAFT, time.time())
