"""Places for acts: which of the acts that are wanted begin now, within limits, in which slot.

The loop places what waits. A slot whose act ended asks for the next act on the same migration, so
that its worker goes on without a round of the loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Optional

from ...control.lifecycle.schedule import (
    PACED_ACTS,
    Limits,
    Running,
    Selection,
    kind_of,
    precedence,
)
from ...model.migration import Hold, Migration
from ...model.states import ActKind
from ..pace.holds import Holds
from ..pace.plan_limits import PlanPace
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings
from .source_breaker import SourceBreaker, source_key
from .waiting_list import WaitingList, as_waiting, host_of
from .worker_slot import Job, Slot


class Placement:
    """The slots, and who gets one. Thread-safe.

    ``new_slot`` makes a slot with a name. ``place_free`` is called when a slot goes on with an act
    of another kind, and one of the former kind waits.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        holds: Holds,
        plans: PlanPace,
        breaker: SourceBreaker,
        settings: Callable[[], Settings],
        new_slot: Callable[[str], Slot],
        place_free: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._holds = holds
        self._plans = plans
        self._breaker = breaker
        self._settings = settings
        self._new_slot = new_slot
        self._place_free = place_free
        self._lock = threading.Lock()  # whoever counts what runs also begins the next act
        self._slots: tuple[Slot, ...] = ()
        self.waiting = WaitingList(holds=holds, breaker=breaker)  # the loop's own

    def slots(self) -> tuple[Slot, ...]:
        """All slots there are."""
        return self._slots

    def assign(self) -> None:
        """Begin what waits and may begin now."""
        with self._lock:
            running, trying = self._under_way()
            for tracked, act in self.waiting.choose(Selection(running, self._limits()), trying):
                # Who changed it, or has it, has told the loop so: it is sorted in again.
                if tracked.wanted is act and self._registry.claim(tracked):
                    tracked.wanted = None
                    self._place(Job(tracked, act))

    def following(self, slot: Slot, job: Job, act: ActKind) -> Optional[Job]:
        """The job ``act`` on the migration of ``job``, which is what ``slot`` has from now on.

        None when it may not begin now, or something else is to go first.
        """
        tracked = job.tracked
        m = tracked.migration
        with self._lock:
            running, trying = self._under_way(but=slot)
            rank = precedence(m.priority, act)
            if rank > self.waiting.first.get(kind_of(act), rank):
                return None
            if tracked.armed is not None and tracked.armed[0] != slot.name:
                return None  # another worker has its images open
            self._look_for_holds(tracked, act, trying)
            if tracked.source_rests or tracked.held is not None:
                return None
            following = Job(tracked, act)
            if not Selection(running, self._limits()).take(as_waiting(m, act)):
                return None
            if not slot.follow(job, following):
                return None
            tracked.wanted = tracked.armed = None
            if kind_of(act) != kind_of(job.act) and kind_of(job.act) in self.waiting.first:
                self._place_free()
            return following

    def _under_way(self, but: Optional[Slot] = None) -> tuple[list[Running], set[str]]:
        """What runs, and at which sources; ``but``: a slot that does not count."""
        jobs = [job for slot in self._slots if slot is not but and (job := slot.job) is not None]
        return [_running(job) for job in jobs], {source_key(job.tracked.migration) for job in jobs}

    def _look_for_holds(self, tracked: TrackedMigration, act: ActKind, trying: set[str]) -> None:
        """Note in ``tracked`` whether its source, a gate or a plan holds it back."""
        m = tracked.migration
        tracked.source_rests = self._breaker.rests(m, act, trying)
        tracked.held = self._hold(m, act)

    def _hold(self, m: Migration, act: ActKind) -> Optional[Hold]:
        return self._holds.hold(m, begins=True) if act in PACED_ACTS else self._holds.step(m, act)

    def _limits(self) -> Limits:
        settings = self._settings()
        return Limits(
            settings.max_copies,
            settings.max_steps,
            settings.per_source_pool,
            settings.per_target_pool,
            settings.max_verifies,
            settings.per_source_host,
            self._plans.limits(),
            settings.max_cutovers,
        )

    def _place(self, job: Job) -> None:
        now = time.monotonic()
        others = [slot for slot in self._slots if slot.armed_until <= now]
        if self._assign_to_armed(job) or any(slot.assign(job) for slot in others):
            return
        settings = self._settings()
        most = settings.max_copies + settings.max_verifies + settings.max_steps
        if len(self._slots) >= most and any(slot.assign(job) for slot in self._slots):
            return
        slot = self._new_slot(f"worker-{len(self._slots)}")
        self._slots = (*self._slots, slot)
        slot.assign(job)

    def _assign_to_armed(self, job: Job) -> bool:
        """Give a job to the worker that has its images open; False if none has.

        To any other worker it is a client that has them open, and refuses the job. A worker that
        has another job meanwhile has closed them.
        """
        armed, job.tracked.armed = job.tracked.armed, None
        if armed is None:
            return False
        return any(slot.name == armed[0] and slot.assign(job) for slot in self._slots)


def _running(job: Job) -> Running:
    migration = job.tracked.migration
    pools = (migration.source.pool, migration.target.pool)
    return Running(job.act, *pools, host_of(migration), migration.plan)
