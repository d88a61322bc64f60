"""The throttle: divides the rates that are set among the running copies, once a second.

The rates are caps of the cluster (a timetable over the week), of pools and of single migrations.
What each copy may use is told to its worker, which paces itself. A cap of 0 stands still: copies
under it are stopped and held, not left sleeping with the image's lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Optional

from ..control.sharing import Caps, Sharer, divide, estimate_demand, weight
from ..control.timetable import format_rate, rate_at
from ..model.migration import Migration
from .registry import Tracked
from .settings import Settings


class Throttle:
    """Who may copy how fast. Thread-safe."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._copying: list[Tracked] = []

    def cluster_rate(self) -> Optional[int]:
        """The cluster's cap in force now, in bytes per second."""
        timetable = self._settings().timetable
        return None if timetable is None else rate_at(timetable, datetime.now(timezone.utc))

    def share(self, copying: Iterable[Tracked]) -> dict[str, Optional[int]]:
        """The rates of all running copies, by migration id."""
        with self._lock:
            self._copying = list(copying)
            return self._divide(self._copying)

    def first_rate(self, tracked: Tracked) -> Optional[int]:
        """The rate with which one more copy begins."""
        with self._lock:
            others = [t for t in self._copying if t is not tracked]
            return self._divide([*others, tracked])[tracked.migration.id]

    def stands_still(self, m: Migration) -> str:
        """Why no byte of ``m`` may be copied now; empty when some may."""
        if m.rate == 0:
            target = m.target.spec
            return f"Its rate is 0; `ceph rbd migration set {target} --rate off` lets it go on."
        pools = self._settings().pool_rates
        for pool in (m.source.pool, m.target.pool):
            if pools.get(pool) == 0:
                return f"The throttle of the pool {pool} is 0: its copies stand still."
        if self.cluster_rate() == 0:
            return "The cluster's throttle is 0 at this time: all copies stand still."
        return ""

    def _divide(self, copying: list[Tracked]) -> dict[str, Optional[int]]:
        settings = self._settings()
        now = time.monotonic()
        sharers = []
        pools: dict[int, Optional[int]] = {}
        for tracked in copying:
            m = tracked.migration
            for place in (m.source, m.target):
                if place.pool in settings.pool_rates:
                    pools[place.pool_id] = settings.pool_rates[place.pool]
            sharers.append(
                Sharer(
                    ident=m.id,
                    source_pool=m.source.pool_id,
                    target_pool=m.target.pool_id,
                    weight=weight(m.priority, now - tracked.moved_at),
                    demand=estimate_demand(tracked.rate_limit, tracked.throughput.rate),
                )
            )
        images = {t.migration.id: t.migration.rate for t in copying}
        return divide(sharers, Caps(self.cluster_rate(), pools, {}, images))


def describe(rate: Optional[int]) -> str:
    """A rate for people: ``50M/s``, ``off``."""
    text = format_rate(rate)
    return f"{text}/s" if rate else text
