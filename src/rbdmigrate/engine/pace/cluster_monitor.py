"""Watches what is around the copies: the cluster's health, and how long clients' operations take.

A thread of its own reads both from the host; the loop asks for what came of it: the verdict of the
health gates on a migration, and the rate that the latency guard allows for all copies together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Optional

from ...control.pace.gate_metrics import Thresholds, percent
from ...control.pace.health_gates import Gates, Level, Verdict, evaluate, verdict
from ...control.pace.latency_guard import GuardSettings, LatencyGuard, Sample
from ...model.client_ops import ClientOps
from ...model.health import ClusterHealth
from ...model.migration import Migration
from ...model.states import ActKind
from ...model.units import format_size
from ..cluster_view import ClusterView
from ..records.record_index import Condition
from ..records.registry import Registry, TrackedMigration
from ..repeating_thread import RepeatingThread
from ..settings import Settings

log = logging.getLogger(__name__)

_TICK = 1.0
_HEALTH_EVERY = 5.0  # seconds between two looks at the cluster's health
_OWN_LINGER = 60.0  # seconds for which a worker's operations may still come in with a report
_WINDOW = 3  # reports of the OSDs in a median: they come every 5 s


class ClusterMonitor:
    """The gates and the guard as they stand. Thread-safe."""

    def __init__(
        self, around: ClusterView, registry: Registry, settings: Callable[[], Settings]
    ) -> None:
        self._around = around
        self._registry = registry
        self._settings = settings
        self._lock = threading.Lock()
        self._health = ClusterHealth()
        self._gates = Gates()
        self._guard: Optional[LatencyGuard] = None
        self._guarded: tuple[float, frozenset[int]] = (0.0, frozenset())
        self._own: dict[int, float] = {}  # our workers' clients, until when they are left out
        self._reported = 0.0
        self._health_at = 0.0
        self._troubles: dict[str, str] = {}
        self.thread = RepeatingThread(name="watch", step=self._step, first=_TICK)

    def start(self) -> None:
        """Begin to watch; the health is known when this returns."""
        self._tick()
        self.thread.start()

    def troubles(self) -> list[str]:
        """What cannot be read, one sentence each."""
        return list(self._troubles.values())

    # -- what came of it ---------------------------------------------------------------------

    def verdict(self, m: Migration) -> Verdict:
        """What the health gates mean for the copy of ``m``, should it run now."""
        with self._lock:
            targets = (m.target.pool_id, self._data_pool(m))
            return verdict(self._gates, m.source.pool_id, targets)

    def no_room(self, m: Migration) -> str:
        """Why ``m`` must not begin while the other copies run: its bytes would not fit."""
        wait = self._settings().thresholds.space.wait
        with self._lock:
            pool = self._data_pool(m)
            free = self._health.free.get(pool)
            if wait is None or free is None or m.bytes_total is None:
                return ""
            left = max(0, m.bytes_total - m.bytes_copied)
            coming = left + self._to_come(_copying(self._registry.where(Condition.ACTING)))[pool]
            if not left or coming < wait * free:
                return ""
            name = self._health.pool_names.get(pool, pool)
            return (
                f"The pool {name} has {format_size(max(0, free))} free and {format_size(coming)} "
                f"would be to come with this copy, which waits until that is below "
                f"{percent(wait)} of what is free."
            )

    def guard_rate(self) -> Optional[int]:
        """Bytes per second that all copies may make together; None: the guard is off."""
        with self._lock:
            return None if self._guard is None else self._guard.rate(time.monotonic())

    def latency(self) -> Optional[float]:
        """Seconds that clients' operations take now; None: not known, or the guard is off."""
        with self._lock:
            return None if self._guard is None else self._guard.latency

    def guard_message(self) -> str:
        """How the guard stands, in one sentence; empty when it is off."""
        with self._lock:
            return "" if self._guard is None else self._guard.explain(time.monotonic())

    def to_plain(self) -> dict[str, Any]:
        """The gates that are not open and the guard, for front ends."""
        with self._lock:
            names = self._health.pool_names
            gates = [
                {
                    "gate": gate.name,
                    "level": gate.level.name.lower(),
                    "pool": None if gate.pool is None else str(names.get(gate.pool, gate.pool)),
                    "message": gate.message,
                }
                for gate in self._gates.closed
                if gate.level is not Level.OPEN
            ]
            return {"gates": gates, "guard": self._guard_to_plain()}

    def _guard_to_plain(self) -> Optional[dict[str, Any]]:
        if self._guard is None or not self._settings().guard:
            return None
        now = time.monotonic()
        return {
            "factor": self._guarded[0],
            "rate": self._guard.rate(now),
            "latency_ms": _milliseconds(self._guard.latency),
            "baseline_ms": _milliseconds(self._guard.baseline),
            "message": self._guard.explain(now),
        }

    # -- the watching thread -----------------------------------------------------------------

    def _step(self) -> float:
        self._tick()
        return _TICK

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._health_at:
            self._health_at = now + _HEALTH_EVERY
            self._try("the cluster's health", self._look_at_health, now)
        self._try("the clients' latency", self._look_at_clients, now)

    def _try(self, what: str, look: Callable[[float], None], now: float) -> None:
        """Whatever the host raises, copies go on as they were. It is logged once."""
        try:
            look(now)
        except Exception as error:
            trouble = f"{what} cannot be read: {type(error).__name__}: {error}"
            if self._troubles.get(what) != trouble:
                log.exception("%s cannot be read", what)
            self._troubles[what] = trouble
        else:
            self._troubles.pop(what, None)

    def _look_at_health(self, now: float) -> None:
        health = self._around.health()
        copying = _copying(self._registry.where(Condition.ACTING))
        with self._lock:
            before = {(gate.name, gate.pool) for gate in self._gates.closed}
            self._health = health
            thresholds: Thresholds = self._settings().thresholds
            self._gates = evaluate(health, thresholds, self._to_come(copying), self._gates, now)
            for gate in self._gates.closed:
                if (gate.name, gate.pool) not in before:
                    log.warning("health gate %s: %s", gate.name, gate.message)

    def _look_at_clients(self, now: float) -> None:
        factor = self._settings().guard
        every = self._registry.all()
        with self._lock:
            pools = frozenset(p for t in every for p in self._pools(t.migration)) if factor else ()
            if not pools:
                if self._guard is not None:
                    self._around.forget_clients()
                self._guard = None
                return
            period = self._around.report_period()
            if self._guard is None or self._guarded != (factor, pools):
                self._guard = _guard(factor, period)
                self._guarded = (factor, frozenset(pools))
                self._reported = now
        self._note_own(self._registry.where(Condition.ACTING), now)
        counted = self._around.client_ops()
        if not counted and now - self._reported < 2 * period:
            return  # the OSDs did not report since
        self._reported = now
        with self._lock:
            if self._guard is not None:
                self._guard.feed(self._sample(now, counted, frozenset(pools), _copying(every)))

    def _sample(
        self,
        now: float,
        counted: Iterable[ClientOps],
        pools: frozenset[int],
        copying: list[TrackedMigration],
    ) -> Sample:
        clients = [c for c in counted if c.pool in pools and c.client not in self._own]
        ops = sum(c.ops for c in clients)
        seconds = sum(c.seconds for c in clients)
        copied = sum(t.throughput.rate or 0.0 for t in copying) if copying else None
        return Sample(now, seconds / ops if ops else 0.0, ops, copied)

    def _note_own(self, every: Iterable[TrackedMigration], now: float) -> None:
        for tracked in every:
            intent = tracked.migration.intent
            for client in intent.actor.clients if intent is not None else ():
                self._own[client] = now + _OWN_LINGER
        self._own = {client: until for client, until in self._own.items() if until > now}

    # -- with the lock held ------------------------------------------------------------------

    def _to_come(self, copying: Iterable[TrackedMigration]) -> Counter[int]:
        """Bytes that running copies still write, by pool."""
        coming: Counter[int] = Counter()
        for tracked in copying:
            coming[self._data_pool(tracked.migration)] += max(0, tracked.size - tracked.copied)
        return coming

    def _data_pool(self, m: Migration) -> int:
        """The pool that takes the target's data."""
        name = m.layout.data_pool
        known = (pool for pool, known in self._health.pool_names.items() if known == name)
        return next(known, m.target.pool_id) if name else m.target.pool_id

    def _pools(self, m: Migration) -> tuple[int, ...]:
        return (m.source.pool_id, m.target.pool_id, self._data_pool(m))


def _copying(every: Iterable[TrackedMigration]) -> list[TrackedMigration]:
    def runs(tracked: TrackedMigration) -> bool:
        intent = tracked.migration.intent
        return intent is not None and intent.act is ActKind.EXECUTE

    return [tracked for tracked in every if runs(tracked)]


def _guard(factor: float, period: float) -> LatencyGuard:
    return LatencyGuard(
        GuardSettings(
            factor=factor,
            interval=max(3.0, period),
            window=_WINDOW,
            idle_window=4 * _WINDOW,
            blind=6 * period,
        )
    )


def _milliseconds(seconds: Optional[float]) -> Optional[float]:
    return None if seconds is None else round(seconds * 1000, 3)
