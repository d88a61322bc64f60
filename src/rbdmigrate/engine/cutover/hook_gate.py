"""Asks hooks what migrations wait for, and takes their answers."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence

from ...control.hooks.answers import Answer, Meaning
from ...control.hooks.events import pools_of
from ...control.hooks.questions import (
    agreed,
    asked,
    may_close,
    not_closed,
    vetoed,
    wants_commit,
    wants_cutover,
    without_hooks,
)
from ...control.lifecycle.cutover import goes_back, waits_for_clients, withdrawn
from ...faults import fault_point
from ...model.hooks import Delivery, HookEvent
from ...model.migration import Migration
from ...model.states import ActKind
from ..caller import acting_as
from ..hooks.definitions import HookRegistry
from ..hooks.queue import HookQueue
from ..pace.cutover_holds import CutoverHolds
from ..reconcile.scheduler import Scheduler
from ..records.record_index import Condition
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings

log = logging.getLogger(__name__)

_LONGEST = 300.0  # seconds after the yes of all hooks, until which a cutover has to be done
_CUT_OVER_ACTS = frozenset({ActKind.CUT_OVER})
NOBODY = (
    "No hook takes before_cutover of images of its pools; add one with `ceph rbd migration hook "
    "add`, or cut over in another way with `ceph rbd migration cutover {target} --cutover "
    "when-closed`."
)


class HookGate:
    """Questions to hooks. ``look`` is called again and again by one thread, the rest by any."""

    def __init__(
        self,
        *,
        registry: Registry,
        scheduler: Scheduler,
        hooks: HookRegistry,
        queue: HookQueue,
        holds: CutoverHolds,
        settings: Callable[[], Settings],
    ) -> None:
        self._registry = registry
        self._scheduler = scheduler
        self._hooks = hooks
        self._queue = queue
        self._holds = holds
        self._settings = settings
        self._ready: dict[str, float] = {}  # by question: since when its image should be closed

    # -- asking ------------------------------------------------------------------------------

    def look(self, awaited: Sequence[TrackedMigration]) -> None:
        """Ask all questions that are due. ``awaited``: those of the registry.

        Raises what the store raises.
        """
        there = {hook.name for hook in self._hooks.all()}
        now = time.time()
        open_ = {t.migration.question.id for t in awaited if t.migration.question is not None}
        self._ready = {ident: at for ident, at in self._ready.items() if ident in open_}
        for tracked in awaited:
            m = tracked.migration
            tracked.cutover_held = self._holds.hold(m) if waits_for_clients(m) else None
            if m.question is not None:
                self._look_at_question(tracked, there, now)
            elif wants_cutover(m, now):
                self._ask_for_cutover(tracked, now)
        if there:  # else nobody is asked for a commit, of which thousands may be next
            for tracked in self._registry.where(Condition.COMMIT_NEXT):
                if tracked.wanted is ActKind.COMMIT and wants_commit(tracked.migration, now):
                    self._ask(tracked, HookEvent.BEFORE_COMMIT, now)

    def _look_at_question(self, tracked: TrackedMigration, there: set[str], now: float) -> None:
        m = tracked.migration
        q = m.question
        if q is None:
            return
        if not there.issuperset(q.hooks):
            self._change(tracked, lambda m: without_hooks(m, there, now))
            return
        if q.ready is None or q.event is not HookEvent.BEFORE_CUTOVER:
            return
        # Counted since this process watches: a manager that takes over late has to look first.
        since = self._ready.setdefault(q.id, time.monotonic())
        waited = time.monotonic() - since
        if may_close(m, now) and waited >= self._settings().hook_close_wait:
            self._change(tracked, lambda m: not_closed(m, q.id, waited, now))
        elif waited >= _LONGEST and m.release is not None and not goes_back(m):
            log.warning("%s: its clients wait for too long; its cutover is undone", m.id)
            self._change(tracked, lambda m: withdrawn(m, "", now))
            self._scheduler.interrupt(tracked, "its clients wait for too long", _CUT_OVER_ACTS)

    def _ask_for_cutover(self, tracked: TrackedMigration, now: float) -> None:
        m = tracked.migration
        tracked.waits_for = ""
        if tracked.cutover_held is not None:
            return
        if not self._ask(tracked, HookEvent.BEFORE_CUTOVER, now):
            tracked.waits_for = NOBODY.format(target=m.target.spec)

    def _ask(self, tracked: TrackedMigration, event: HookEvent, now: float) -> bool:
        """Ask all hooks that take the event; False where there is none."""
        takers = self._hooks.takers(event, pools_of(tracked.migration))
        names = [hook.name for hook in takers]
        if names:
            fault_point("hooks.ask", event.value)
            ident = secrets.token_hex(6)
            self._change(tracked, lambda m: asked(m, event, ident, names, now))
        return bool(names)

    # -- answers -----------------------------------------------------------------------------

    def wanted(self, delivery: Delivery) -> bool:
        """Whether the question of a message still stands, and its hook has not answered it."""
        tracked = self._registry.get(delivery.about)
        q = tracked.migration.question if tracked is not None else None
        return q is not None and q.id == delivery.question and delivery.hook not in q.agreed

    def answered(self, delivery: Delivery, answer: Answer) -> None:
        """Take the answer to a question. Raises what the store raises."""
        tracked = self._registry.get(delivery.about)
        if tracked is None:
            return
        with acting_as(f"hook {delivery.hook}"):
            self.say(tracked, delivery.question, delivery.hook, answer)

    def say(self, tracked: TrackedMigration, question: str, hook: str, answer: Answer) -> None:
        """Take the answer of ``hook`` to a question, if that still stands."""
        now = time.time()
        if answer.meaning is Meaning.VETO:
            log.warning("%s: the hook %s said no: %s", tracked.migration.id, hook, answer.reason)
            self._change(tracked, lambda m: vetoed(m, question, hook, answer.reason, now))
        else:
            self._change(tracked, lambda m: agreed(m, question, hook, now))
        self._queue.hurry(question, hook)

    def _change(self, tracked: TrackedMigration, change: Callable[[Migration], Migration]) -> None:
        before = tracked.migration
        if self._registry.update(tracked, change) != before:
            self._scheduler.wake(tracked)
            tracked.held = None  # it waited for the answer
