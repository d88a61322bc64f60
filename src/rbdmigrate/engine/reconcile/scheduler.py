"""The loop: has migrations looked at when they are due, and gives acts to slots within limits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Optional

import rados

from ...cluster.client import Identity
from ...control.lifecycle.schedule import PACED_ACTS
from ...control.lifecycle.situation import Situation
from ...control.metrics.counting import Sample
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.states import ActKind, Goal
from ...trace import span
from ..pace.cluster_monitor import ClusterMonitor
from ..pace.holds import Gates, Holds
from ..pace.lock_owner import copy_continues_message
from ..pace.plan_limits import PlanPace
from ..pace.throttle import Throttle
from ..records.loader import Loader
from ..records.registry import Registry, StoreFenced, TrackedMigration
from ..records.secrets import Secrets
from ..settings import Settings
from .agenda import Agenda
from .executor import Executor
from .placement import Placement
from .reconciler import Reconciler, look_again
from .source_watchdog import SourceWatchdog
from .worker_slot import Job, Slot

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between two rounds when nothing wakes the loop
_LOOKS_AT_REST = 20.0  # looks a second at migrations at rest, however many there are
_IDLE = 2.0  # times as long as a round took the loop rests after it
_TROUBLED = 2  # looks that may wait for pools that did not answer lately, at most
_COPY_LOOK = 2.0  # seconds between two looks at a running copy from outside
_RELOAD = 15.0  # seconds between two attempts to read stores that did not answer

_URGENT = -1.0  # due before all others


class Scheduler:
    """The engine's threads: the loop itself, the observers and the slots."""

    def __init__(
        self,
        *,
        client: rados.Rados,
        identity: Identity,
        registry: Registry,
        loader: Loader,
        executor: Executor,
        throttle: Throttle,
        conditions: ClusterMonitor,
        secrets: Secrets,
        plans: PlanPace,
        settings: Callable[[], Settings],
        on_fenced: Callable[[str], None],
        in_use: Callable[[Migration, Situation], bool],
        gates: Gates,
    ) -> None:
        self._client = client
        self._identity = identity
        self._registry = registry
        self._loader = loader
        self._executor = executor
        self._throttle = throttle
        self._monitor = conditions
        self._holds = Holds(
            settings=settings, throttle=throttle, conditions=conditions, plans=plans, gates=gates
        )
        self._watch = SourceWatchdog(settings)
        self._secrets = secrets
        self._settings = settings
        self._on_fenced = on_fenced
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._placement = Placement(
            registry=registry,
            holds=self._holds,
            plans=plans,
            breaker=executor.breaker,
            settings=settings,
            new_slot=self._new_slot,
            place_free=self._wake.set,
        )
        self._agenda = Agenda(
            changes=registry.changes, tracks=registry.tracks, waiting=self._placement.waiting
        )
        self._copies: list[TrackedMigration] = []  # running copies that observers look at
        self._recheck = 0.0  # seconds until a migration at rest is looked at again
        self._reload_at = 0.0
        self.crashed = ""
        self._observers = Reconciler(
            client=client,
            registry=registry,
            executor=executor,
            secrets=secrets,
            on_fenced=on_fenced,
            wake=self._wake.set,
            settings=settings,
            in_use=in_use,
        )
        loop = threading.Thread(target=self._run, name="rbdmigrate-loop", daemon=True)
        self._threads = [loop, *self._observers.threads]

    def start(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> bool:
        """Kill the workers and end all threads; False when one is still there after ``timeout``."""
        self._stopping.set()
        self._wake.set()
        deadline = time.monotonic() + timeout
        self._stop_slots()
        self._observers.stop()
        ended = []
        for thread in self._threads:
            if thread.ident is None:
                continue  # never started
            thread.join(max(0.1, deadline - time.monotonic()))
            ended.append(not thread.is_alive())
        self._stop_slots()  # and what the loop made in its last round
        ended += [slot.join(max(0.1, deadline - time.monotonic())) for slot in self._all_slots()]
        return all(ended)

    def _stop_slots(self) -> None:
        for slot in self._all_slots():
            slot.stop()

    def _all_slots(self) -> tuple[Slot, ...]:
        return self._placement.slots()

    def wake(self, tracked: Optional[TrackedMigration] = None) -> None:
        """Look at once: at ``tracked``, or for a place that became free."""
        if tracked is not None:
            tracked.due = _URGENT
            tracked.wanted = None  # what it waits for a slot with may be wanted no more
        self._wake.set()

    def interrupt(
        self, tracked: TrackedMigration, reason: str, acts: frozenset[ActKind] = PACED_ACTS
    ) -> bool:
        """Stop one of ``acts`` on ``tracked`` by killing its worker; False without one.

        Other acts than copies and verifications are short and left to end as a rule, but for what
        an abort makes needless.
        """
        needless = {ActKind.COMPLETE_OBJECTS} if tracked.migration.goal is Goal.ABORTED else set()
        for slot in self._all_slots():
            job = slot.job
            if job is not None and job.tracked is tracked and job.act in acts | needless:
                slot.interrupt(job, reason)
                return True
        return False

    def problems(self) -> list[str]:
        """Threads of ours that ended and must not have."""
        found = [error for error in (self.crashed, self._observers.crashed) if error]
        if not self._stopping.is_set():
            found += [f"{t.name} ended" for t in self._threads if not t.is_alive()]
        crashed = [slot for slot in self._all_slots() if slot.crashed]
        return found + [f"slot {slot.name} ended: {slot.crashed}" for slot in crashed]

    # -- the loop's thread -------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            begun = time.monotonic()
            try:
                with span("round"):
                    self._round()
            except StoreFenced as error:
                self._on_fenced(str(error))
                return
            except (rados.Error, MigrationError) as error:
                log.warning("the cluster does not answer: %s", error)
                self._sort_in_all()
            except Exception as error:
                crashed = f"the loop failed: {type(error).__name__}: {error}"
                if crashed != self.crashed:  # once, not in every round
                    log.exception("the loop failed; it goes on")
                self.crashed = crashed
                self._sort_in_all()
            # With thousands of migrations a round takes long: the manager has other things to do.
            self._stopping.wait(min(TICK, _IDLE * (time.monotonic() - begun)))
            self._wake.wait(TICK)

    def _sort_in_all(self) -> None:
        """After a round that was cut off: what it took note of may not be in the agenda."""
        for tracked in self._registry.all():
            tracked.tell()

    def _round(self) -> None:
        now = time.monotonic()
        if now >= self._reload_at:
            self._reload_at = now + _RELOAD
            self._loader.look_soon()  # never here: copies are paced while nobody answers
            if self._loader.complete():
                self._secrets.sweep(self._registry.idents)
        self._executor.blocklist.clean(self._client)
        settings = self._settings()
        agenda = self._agenda
        agenda.update()
        self._recheck = max(settings.recheck, len(self._registry) / _LOOKS_AT_REST)
        troubled = _TROUBLED - self._with_trouble()
        troubled -= self._look_at_running(now, min(1, troubled))
        due = agenda.due(now, self._observers.room(), max(0, troubled))
        self._look_at(due, now + self._recheck)
        self._watch.look(self._all_slots())
        self._pace()
        agenda.update()
        self._placement.assign()
        self._registry.count(Sample("loop_duration_seconds", (), time.monotonic() - now))
        log.debug(
            "a round: %d migrations, %d busy, %d waiting, %.1f ms",
            len(self._registry),
            len(agenda.busy.union(due)),
            len(agenda.waiting),
            1000 * (time.monotonic() - now),
        )

    def _with_trouble(self) -> int:
        """How many looks may wait for pools that did not answer lately."""
        self._copies = [tracked for tracked in self._copies if tracked.looking_at_copy]
        looks = {tracked for tracked in self._agenda.busy if tracked.looking}
        return sum(tracked.troubled for tracked in looks.union(self._copies))

    def _look_at_running(self, now: float, troubled: int) -> int:
        """Have running copies looked at from outside, each by one observer at a time.

        At most ``troubled`` of those whose pools did not answer lately; returns how many.
        """
        due = [
            tracked
            for tracked in self._agenda.busy
            if tracked.migration.intent is not None
            and tracked.copy_look_due <= now
            and not tracked.looking_at_copy
        ]
        begun = 0
        for tracked in sorted(due, key=lambda tracked: tracked.copy_look_due):
            if tracked.troubled and begun >= troubled:
                continue
            begun += tracked.troubled
            tracked.copy_look_due = now + _COPY_LOOK
            self._copies.append(tracked)
            self._observers.look_at_copy(tracked)
        return begun

    def _look_at(self, due: list[TrackedMigration], again: float) -> None:
        """Hand ``due`` to the observers; they are due ``again`` at that time."""
        for tracked in due:
            if not self._registry.claim(tracked):
                continue  # a command has it
            # Before the look: whoever wants another look meanwhile is not overruled.
            tracked.due = again
            tracked.wanted = None
            self._observers.look(tracked)

    def _pace(self) -> None:
        """Tell every running copy its rate; stop those whose rate is 0."""
        jobs = [(slot, slot.job) for slot in self._all_slots()]
        copies = [(slot, job) for slot, job in jobs if job is not None and job.act in PACED_ACTS]
        rates = self._throttle.share(job.tracked for _, job in copies if job is not None)
        guard = self._monitor.guard_message()
        for slot, job in copies:
            if job is None:
                continue
            tracked = job.tracked
            m = tracked.migration
            held = self._holds.hold(m, begins=False)
            if tracked.copied_by:  # it goes on whatever we do: stay with it
                stays = held is not None or m.paused
                slow = [copy_continues_message(tracked.copied_by, tracked)] if stays else []
            elif held is not None or m.paused:
                tracked.held = held
                slot.interrupt(job, held.message if held else "paused")
                continue
            else:
                slow = list(self._monitor.verdict(m).messages)
            tracked.slowed = (*slow, guard) if guard else tuple(slow)
            tracked.rate_limit = rates[tracked.migration.id]
            slot.set_rate(tracked.rate_limit)

    def _new_slot(self, name: str) -> Slot:
        return Slot(
            name=name,
            identity=self._identity,
            work=self._work,
            free=self._wake.set,
            started=self._worker_started,
        )

    def _worker_started(self) -> None:
        self._registry.count(Sample("worker_starts_total"))

    def _work(self, slot: Slot, job: Job) -> None:
        """What a slot does with its job, in the slot's thread."""
        self._observers.guarded(job.tracked, lambda tracked: self._steps(slot, job))

    def _steps(self, slot: Slot, first: Job) -> None:
        """Do a job, and at once what follows from it: its worker is there, and nobody waits."""
        job: Optional[Job] = first
        while job is not None:
            look_again(job.tracked, 0.0)
            with span("step", job.tracked.migration.id, job.act.value):
                self._executor.work(slot, job)
            job = self._following(slot, job)

    def _following(self, slot: Slot, job: Job) -> Optional[Job]:
        """The next act on the same migration, if it may begin now and in this slot.

        None: the loop finds out what is next.
        """
        tracked = job.tracked
        if self._stopping.is_set() or job.stop_reason or tracked.conflict:
            return None
        self._observers.look_now(tracked, time.monotonic() + self._recheck)
        if tracked.wanted is None or tracked.due < 0:  # somebody asked for another look meanwhile
            return None
        return self._placement.following(slot, job, tracked.wanted)
