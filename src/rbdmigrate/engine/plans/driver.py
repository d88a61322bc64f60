"""The thread that drives plans: wave by wave it begins what may begin, and notes what ended.

Level-triggered like the loop: each round looks at the items, at their migrations, and does what
is next. A round may be cut off anywhere: what began is found again by its id.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from errno import EAGAIN, EBUSY, ETIMEDOUT
from typing import Optional

import rados

from ...cluster.directory import candidates
from ...cluster.store import StoreFenced
from ...control.lifecycle.aborting import refusal_of
from ...control.lifecycle.failures import TRANSIENT
from ...control.lifecycle.requests import cleared_for_retry
from ...control.lifecycle.warm import cutover_waits, goes_on
from ...control.plans.progress import attention
from ...control.plans.selection import choose
from ...control.plans.waves import Phase, Step, next_step
from ...model.errors import MigrationError
from ...model.migration import Goal, Migration, State
from ...model.plan import (
    Candidate,
    Definition,
    Item,
    Outcome,
    Plan,
    PlanState,
    Selector,
)
from ...model.spec import ImageSpec
from ..reconcile.scheduler import Scheduler
from ..records.plan_registry import PlanRegistry, TrackedPlan, Wait, in_use
from ..records.registry import Registry, TrackedMigration
from .create import ItemStarter

log = logging.getLogger(__name__)

TICK = 1.0
RETRY = 5.0  # seconds until an item that could not begin is tried again
CHOOSING = 60.0  # seconds for choosing a plan's images; then it is a draft again
_ORDER = (State.PREPARED, State.EXECUTING, State.EXECUTED, State.CUTTING_OVER, State.CUT_OVER,
          State.VERIFYING, State.VERIFIED, State.COMMITTING, State.COMMITTED)  # fmt: skip
_REACHED = {
    Goal.PREPARED: State.PREPARED,
    Goal.EXECUTED: State.EXECUTED,
    Goal.CUT_OVER: State.CUT_OVER,
    Goal.VERIFIED: State.VERIFIED,
    Goal.COMMITTED: State.COMMITTED,
}

Abort = Callable[[ImageSpec, bool], object]


class PlanDriver:
    """Drives all plans. ``abort`` begins to abort the migration to a target."""

    def __init__(
        self,
        client: rados.Rados,
        keeping: PlanRegistry,
        registry: Registry,
        beginner: ItemStarter,
        loop: Scheduler,
        abort: Abort,
        on_fenced: Callable[[str], None],
    ) -> None:
        self._client = client
        self._plan_registry = keeping
        self._registry = registry
        self._beginner = beginner
        self._loop = loop
        self._abort = abort
        self._on_fenced = on_fenced
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self.crashed = ""
        self._thread = threading.Thread(target=self._run, name="rbdmigrate-plans", daemon=True)

    def start(self) -> None:
        """Begin to drive."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; :meth:`join` waits for it."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False when it is still there."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def problems(self) -> list[str]:
        """What is wrong with the thread itself."""
        if self.crashed:
            return [self.crashed]
        ended = self._thread.ident is not None and not self._thread.is_alive()
        return ["rbdmigrate-plans ended"] if ended and not self._stopping.is_set() else []

    def select(self, definition: Definition) -> list[Item]:
        """The items that a plan would have if it started now. Raises MigrationError.

        After ``CHOOSING`` seconds: ETIMEDOUT, so that no plan holds up the others.
        """
        deadline = time.monotonic() + CHOOSING

        def there(selector: Selector) -> Iterator[Candidate]:
            for image in candidates(self._client, selector):
                if time.monotonic() > deadline:
                    raise _takes_too_long(definition.name)
                yield image

        return choose(definition, there, lambda: secrets.token_hex(6))

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._plan_registry.load()
                for kept in self._plan_registry.all():
                    self._guarded(kept)
            except StoreFenced as error:
                self._on_fenced(str(error))
                return
            except (rados.Error, MigrationError) as error:
                log.warning("plans cannot be read: %s", error)
            except Exception as error:
                crashed = f"plans: {type(error).__name__}: {error}"
                if crashed != self.crashed:  # once, not in every round
                    log.exception("the plans' thread failed; it goes on")
                self.crashed = crashed
            self._wake.wait(TICK)

    def _guarded(self, kept: TrackedPlan) -> None:
        try:
            self._round(kept)
            kept.trouble = ""
        except (rados.Error, MigrationError) as error:
            if isinstance(error, rados.ConnectionShutdown):
                raise StoreFenced("our RADOS client was blocklisted") from error
            trouble = f"The cluster does not answer: {error}; tried again by itself."
            if trouble != kept.trouble:  # once, not in every round
                log.warning("plan %s: %s", kept.plan.name, error)
            kept.trouble = trouble

    def _round(self, kept: TrackedPlan) -> None:
        self._plan_registry.settle_unsure(kept)
        state = kept.plan.state
        if state is PlanState.STARTING:
            self._start(kept)
        if state in (PlanState.DRAFT, PlanState.CANCELLED):
            kept.attention = ""
            return
        self._look(kept)
        if kept.plan.state is PlanState.RUNNING:
            self._go_on(kept)
        elif kept.plan.state is PlanState.CANCELLING:
            self._cancel(kept)
        kept.attention = attention(kept.plan, kept.phases(), kept.longest_wait())

    def _start(self, kept: TrackedPlan) -> None:
        """Choose the images; they stay chosen. Where that does not succeed it is a draft again."""
        if kept.choosing_since is None:
            kept.choosing_since = time.monotonic()
        try:
            items = self._choose(kept)
        except MigrationError as error:
            kept.refusal, kept.choosing_since = error, None
            self._plan_registry.update(kept, _from(PlanState.STARTING, _refused(str(error))))
            return
        kept.choosing_since = None
        log.info("plan %s: %d images", kept.plan.name, len(items))
        self._plan_registry.freeze(kept, items, _from(PlanState.STARTING, _running))

    def _choose(self, kept: TrackedPlan) -> list[Item]:
        """The items. A cluster that does not answer is asked again for a while."""
        try:
            return self.select(kept.plan.definition)
        except rados.ConnectionShutdown:
            raise
        except rados.Error as error:
            if time.monotonic() - (kept.choosing_since or 0.0) < CHOOSING:
                raise
            raise _takes_too_long(kept.plan.name) from error

    # -- what became of them -----------------------------------------------------------------

    def _look(self, kept: TrackedPlan) -> None:
        """Find the migrations of open items, and note what ended."""
        for number, item in enumerate(kept.items):
            if item.outcome is Outcome.OPEN and not self._stopping.is_set():
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
            settled = replace(item, outcome=found, message=message, bytes=size)
            self._plan_registry.settle(kept, number, settled)

    def _ended_before(self, kept: TrackedPlan, number: int) -> bool:
        """Whether a former process saw the item's migration end; then that is noted."""
        if not kept.former:
            return False
        item = kept.items[number]
        ended = self._plan_registry.past(item.target).get(item.ident)
        if ended is not None:
            self._note(kept, number, ended)
        return ended is not None

    # -- going on ----------------------------------------------------------------------------

    def _go_on(self, kept: TrackedPlan) -> None:
        definition = kept.plan.definition
        phases = kept.phases()
        failures = phases.count(Phase.FAILED)
        if failures < kept.plan.forgiven:
            self._plan_registry.update(kept, lambda plan: replace(plan, forgiven=failures))
        self._postpone(kept)
        step = _next_step(kept, kept.plan, phases)
        if step.done:
            self._plan_registry.update(
                kept, _from(PlanState.RUNNING, lambda plan: _done(kept, plan))
            )
        elif step.stop:
            self._plan_registry.update(kept, _from(PlanState.RUNNING, _stopped))
        begun = 0
        for number in step.begin:
            if self._stopping.is_set() or kept.plan.state is not PlanState.RUNNING:
                return
            if step.most is not None and begun >= step.most:
                return
            wait = kept.waits.get(number)
            if wait is None or wait.due <= time.monotonic():
                with kept.beginning:
                    if kept.items[number].outcome is Outcome.OPEN:  # it was not skipped meanwhile
                        self._begin(kept, number)
                begun += kept.phase(number) is Phase.RUNNING
                # What this one came to may be one failure too many.
                if definition.stop_after and kept.phase(number) is Phase.FAILED:
                    self.wake()
                    return

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
            self._plan_registry.settle(kept, number, postponed)
            kept.waiting_since[number] = since

    def _begin(self, kept: TrackedPlan, number: int) -> None:
        item = kept.items[number]
        tracked = kept.live.get(number)
        try:
            if tracked is not None:
                if in_use(tracked.migration):
                    kept.cannot_begin(number, "", time.monotonic() + RETRY)
                    self._registry.update(
                        tracked, lambda m: cleared_for_retry(m) if in_use(m) else m
                    )
            elif self._ended_before(kept, number):
                return
            else:
                tracked = self._beginner.begin(item, kept.plan.definition)
                if tracked.migration.id != item.ident:
                    item = replace(item, ident=tracked.migration.id)
                    self._plan_registry.settle(kept, number, item)
                with self._plan_registry.changed:
                    kept.live[number] = tracked
                    kept.waits.pop(number, None)
                    self._plan_registry.changed.notify_all()
        except MigrationError as error:
            self._not_begun(kept, number, error)
            return
        if tracked is not None:
            self._loop.wake(tracked)

    def _not_begun(self, kept: TrackedPlan, number: int, error: MigrationError) -> None:
        if error.errno in TRANSIENT or error.errno in (EBUSY, EAGAIN):
            kept.cannot_begin(number, str(error), time.monotonic() + RETRY)
            return
        item = replace(kept.items[number], outcome=Outcome.FAILED, message=str(error))
        self._plan_registry.settle(kept, number, item)

    # -- cancelling --------------------------------------------------------------------------

    def _cancel(self, kept: TrackedPlan) -> None:
        for number, item in enumerate(kept.items):
            if item.outcome is not Outcome.OPEN or self._stopping.is_set():
                continue
            tracked = kept.live.get(number)
            if tracked is not None:
                self._cancel_one(kept, number, tracked)
            elif not self._ended_before(kept, number):
                gone = replace(item, outcome=Outcome.CANCELLED, message="It had not begun.")
                self._plan_registry.settle(kept, number, gone)
        if all(item.outcome is not Outcome.OPEN for item in kept.items):
            self._plan_registry.update(
                kept, _from(PlanState.CANCELLING, _ended(PlanState.CANCELLED))
            )

    def _cancel_one(self, kept: TrackedPlan, number: int, tracked: TrackedMigration) -> None:
        """Abort it; where that is refused it stands still until somebody decides."""
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
            self._loop.interrupt(tracked, "paused")
            item = replace(kept.items[number], outcome=Outcome.FAILED, message=str(error))
            self._plan_registry.settle(kept, number, item)


def _takes_too_long(plan: str) -> MigrationError:
    return MigrationError(
        ETIMEDOUT,
        f"The images of the plan {plan!r} could not be chosen within {CHOOSING:g} s; look at "
        "`ceph health`, then try again.",
    )


def _paused(m: Migration) -> Migration:
    ends = m.goal is Goal.ABORTED or m.state is State.COMMITTING
    return m if ends else replace(m, paused=True)


def _reached(m: Migration) -> bool:
    """Whether it is where it was to go by itself."""
    wanted = _REACHED.get(m.goal)
    return (
        m.state in _ORDER and wanted is not None and _ORDER.index(m.state) >= _ORDER.index(wanted)
    )


def _from(state: PlanState, change: Callable[[Plan], Plan]) -> Callable[[Plan], Plan]:
    """``change`` where the plan is in ``state`` still: a command may have been quicker."""
    return lambda plan: change(plan) if plan.state is state else plan


def _refused(problem: str) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, state=PlanState.DRAFT, problem=problem)


def _running(plan: Plan) -> Plan:
    return replace(plan, state=PlanState.RUNNING, started=time.time(), problem="")


def _done(kept: TrackedPlan, plan: Plan) -> Plan:
    """Done, unless a retry has begun some of its migrations again meanwhile."""
    step = _next_step(kept, plan, kept.phases())
    return _ended(PlanState.DONE)(plan) if step.done else plan


def _next_step(kept: TrackedPlan, plan: Plan, phases: list[Phase]) -> Step:
    definition = plan.definition
    return next_step(
        phases, definition.wave, definition.stop_after, plan.forgiven, kept.postponed()
    )


def _stopped(plan: Plan) -> Plan:
    return replace(plan, state=PlanState.STOPPED)


def _ended(state: PlanState) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, state=state, ended=time.time())
