"""The throttle: divides the rates that are set among the running copies, once a second.

The rates are caps of the cluster (a timetable over the week), of pools, plans and single
migrations, and what the latency guard allows. Health gates take a part of a copy's share. What
each copy may use is told to its worker, which paces itself; a copy with the rate 0 is
stopped and held (``engine.pace.holds``), not left sleeping with the image's lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Optional

from ...control.pace.fair_share import (
    Caps,
    CopyShare,
    divide,
    estimate_demand,
    remaining_caps,
    weight,
)
from ...control.pace.health_gates import Level
from ...control.pace.throughput_history import Point, Trend, Trends
from ...control.pace.timetable import rate_at
from ...model.states import State
from ..records.registry import TrackedMigration
from ..settings import Settings
from .cluster_monitor import ClusterMonitor
from .plan_limits import PlanPace

_LEAST_SPEED = 32 << 20  # bytes per second that a copy is taken to make before it was measured
_SMOOTHING = 0.1  # weight of the newest second in the speed of copies without a limit
_SLOWEST = (
    2 << 20
)  # bytes per second that a gate leaves of no limit: what was copied is known roughly
_STALE = 0.5  # seconds for which the timetable's rate is remembered


class Throttle:
    """Who may copy how fast. Thread-safe."""

    def __init__(
        self, settings: Callable[[], Settings], conditions: ClusterMonitor, plans: PlanPace
    ) -> None:
        self._settings = settings
        self._monitor = conditions
        self._plans = plans
        self._lock = threading.Lock()
        self._copying: list[TrackedMigration] = []
        self._trend = Trend()
        self._copies = Trends()  # by the migration's id
        self._of_plans = Trends()  # by the plan's name
        self._rate_now: tuple[float, object, Optional[int]] = (0.0, None, None)
        self._unlimited: Optional[float] = None  # what a copy without a limit made last, bytes/s

    def cluster_rate(self) -> Optional[int]:
        """The cluster's cap in force now, in bytes per second."""
        timetable = self._settings().timetable
        if timetable is None:
            return None
        until, of, rate = self._rate_now
        now = time.monotonic()
        if now > until or of is not timetable:
            rate = rate_at(timetable, datetime.fromtimestamp(time.time(), timezone.utc))
            self._rate_now = (now + _STALE, timetable, rate)
        return rate

    def share(self, copying: Iterable[TrackedMigration]) -> dict[str, Optional[int]]:
        """The rates of all running copies, by migration id."""
        limit = self.cluster_rate()
        with self._lock:
            self._copying = list(copying)
            self._note(limit)
            return self._divide(self._copying)

    def _note(self, limit: Optional[int]) -> None:
        now, plans = time.time(), self._plans.rates()
        executing = [t for t in self._copying if t.migration.state is State.EXECUTING]
        made = sum(t.throughput.rate or 0.0 for t in executing)
        self._note_unlimited(executing)
        self._trend.note(now, made, limit, self._monitor.latency())
        rates = {t.migration.id: (t.throughput.rate or 0.0, t.rate_limit) for t in executing}
        self._copies.note(now, rates)
        of_plans: dict[str, tuple[float, Optional[int]]] = {}
        for tracked in executing:
            plan = tracked.migration.plan
            if plan:
                before, _ = of_plans.get(plan, (0.0, None))
                of_plans[plan] = (before + rates[tracked.migration.id][0], plans.get(plan))
        self._of_plans.note(now, of_plans)

    def _note_unlimited(self, executing: list[TrackedMigration]) -> None:
        speeds = [
            t.throughput.rate
            for t in executing
            if t.rate_limit is None and t.throughput.rate is not None and not t.copied_by
        ]
        if speeds:
            mean = sum(speeds) / len(speeds)
            before = mean if self._unlimited is None else self._unlimited
            self._unlimited = before + (mean - before) * _SMOOTHING

    def trend(self) -> list[Point]:
        """What the copies made over the last hour, as far as this manager saw it."""
        with self._lock:
            return self._trend.points()

    def trend_of(self, migration: str = "", plan: str = "") -> list[Point]:
        """The same of the migration with an id, or of a plan's migrations together."""
        with self._lock:
            return self._copies.points(migration) if migration else self._of_plans.points(plan)

    def first_rate(self, tracked: TrackedMigration) -> Optional[int]:
        """The rate with which one more copy begins."""
        with self._lock:
            others = [t for t in self._copying if t is not tracked]
            return self._divide([*others, tracked])[tracked.migration.id]

    def _divide(self, copying: list[TrackedMigration]) -> dict[str, Optional[int]]:
        caps = self._caps(copying)
        # A client that copies for itself takes what it takes: the others share what is left.
        for tracked in copying:
            if tracked.copied_by and tracked.throughput.rate:
                caps = remaining_caps(caps, _sharer(tracked), tracked.throughput.rate)
        ours = [_sharer(t) for t in copying if not t.copied_by]
        rates = divide(ours, caps)
        rates.update((t.migration.id, t.rate_limit) for t in copying if t.copied_by)
        return {t.migration.id: self._slowed(t, rates[t.migration.id]) for t in copying}

    def _caps(self, copying: list[TrackedMigration]) -> Caps:
        settings = self._settings()
        pools = {
            place.pool_id: settings.pool_rates[place.pool]
            for tracked in copying
            for place in (tracked.migration.source, tracked.migration.target)
            if place.pool in settings.pool_rates
        }
        images = {t.migration.id: t.migration.rate for t in copying}
        cluster = lower(self.cluster_rate(), self._monitor.guard_rate())
        return Caps(cluster, pools, self._plans.rates(), images)

    def _slowed(self, tracked: TrackedMigration, rate: Optional[int]) -> Optional[int]:
        """What a gate that says slow leaves of a rate; also of none: of what the copy makes."""
        verdict = self._monitor.verdict(tracked.migration)
        if verdict.level is not Level.SLOW or tracked.copied_by:
            tracked.full_speed = None
            return rate
        if rate is None:
            tracked.full_speed = tracked.full_speed or self._full_speed(tracked)
            return max(_SLOWEST, int(tracked.full_speed * verdict.factor))
        tracked.full_speed = None
        return max(1, int(rate * verdict.factor)) if rate else rate

    def _full_speed(self, tracked: TrackedMigration) -> float:
        """Bytes per second of a copy without a limit; what it makes under a limit tells nothing.

        One that was not measured is taken to be as fast as such copies were last.
        """
        measured = tracked.throughput.rate if tracked.rate_limit is None else None
        return measured or max(_LEAST_SPEED, self._unlimited or 0.0)


def _sharer(tracked: TrackedMigration) -> CopyShare:
    m = tracked.migration
    return CopyShare(
        ident=m.id,
        source_pool=m.source.pool_id,
        target_pool=m.target.pool_id,
        plan=m.plan,
        weight=weight(m.priority, time.monotonic() - tracked.progressed_at),
        demand=estimate_demand(tracked.rate_limit, tracked.throughput.rate),
    )


def lower(one: Optional[int], other: Optional[int]) -> Optional[int]:
    """The lower of two caps, of which None is none."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
