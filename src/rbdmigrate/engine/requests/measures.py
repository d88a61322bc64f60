"""Measures of the running engine for Prometheus: gauges of now, and what the meter counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from ...control.metrics.counting import Sample
from ...control.metrics.gauges import Gauges
from ...model.host_report import HostReport
from ...model.migration import HoldReason, State
from ..records.meter import Meter
from ..records.registry import Registry
from .health import HealthWarnings
from .report import live_hold

_EVERY = 5.0  # seconds between two looks at what waits
_LONGEST = 30.0  # seconds that one look counts for at most: the manager may have stood still
_WAITS = (State.QUEUED, State.PREPARED)


class Measures:
    """Counts how long migrations wait, has the meter kept, and answers for all of it.

    ``tick`` is for one thread, the rest for any. ``plans``: the states of all plans.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        meter: Meter,
        health: HealthWarnings,
        hosts: Callable[[], list[HostReport]],
        plans: Callable[[], Iterable[str]],
    ) -> None:
        self._registry = registry
        self._meter = meter
        self._health = health
        self._hosts = hosts
        self._plans = plans
        self._looked = time.monotonic()
        self._oldest = 0.0

    def tick(self) -> None:
        """Call it about once a second. Raises StoreFenced."""
        passed = time.monotonic() - self._looked
        if passed >= _EVERY:
            self._looked = time.monotonic()
            self._look(min(passed, _LONGEST))
        self._meter.keep()

    def _look(self, passed: float) -> None:
        held: Counter[HoldReason] = Counter()
        oldest = now = time.time()
        for tracked in self._registry.all():
            hold = live_hold(tracked)
            if hold is None:
                continue
            held[hold.reason] += 1
            if tracked.migration.state in _WAITS:
                oldest = min(oldest, tracked.migration.created)
        self._oldest = now - oldest
        self._meter.add(
            *(
                Sample("held_seconds_total", (reason.value,), number * passed)
                for reason, number in held.items()
            )
        )

    def count(self, *samples: Sample) -> None:
        """Count what a front end saw."""
        self._meter.add(*samples)

    def gauges(self) -> Gauges:
        """Return the numbers of now."""
        lost = sum(report.lost for report in self._hosts())
        return Gauges(
            plans=Counter(self._plans()),
            warnings=self._health.numbers(),
            agents={"reporting": len(self._hosts()) - lost, "lost": lost},
            oldest_waiting=self._oldest,
        )

    def ready(self) -> bool:
        """Whether the counters of former managers are known, and so may be shown."""
        return self._meter.ready()

    def counters(self) -> str:
        """Return the text of all counters and histograms."""
        return self._meter.exposition()
