"""The throughput of copies over the last hour, for charts: of all, of plans, of each one. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

STEP = 10.0  # seconds per point
KEPT = 360  # points: an hour
MOST = 200  # copies and plans whose past is kept


@dataclass(frozen=True)
class Point:
    """From ``at`` (seconds since the epoch) on, copies ran at ``rate`` bytes per second on
    average.

    ``limit``: the throttle at the end of that time; None: no limit. ``latency``: that of clients'
    operations then, in seconds; None: not known.
    """

    at: float
    rate: float
    limit: Optional[int]
    latency: Optional[float] = None


class Trend:
    """Points of the past, the oldest first. Not thread-safe."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=KEPT)
        self._begun: Optional[float] = None
        self._sum = 0.0
        self._count = 0
        self._limit: Optional[int] = None
        self._latency: Optional[float] = None

    def note(
        self, now: float, rate: float, limit: Optional[int], latency: Optional[float] = None
    ) -> None:
        """Note the rate at ``now``. A clock that was set back begins a new point."""
        if self._begun is None or not self._begun <= now < self._begun + STEP:
            self._points.extend(self._current())
            self._begun, self._sum, self._count = now, 0.0, 0
        self._sum += rate
        self._count += 1
        self._limit = limit
        self._latency = latency

    def points(self) -> list[Point]:
        """All points, up to the last note."""
        return [*self._points, *self._current()][-KEPT:]

    def _current(self) -> list[Point]:
        if self._begun is None:
            return []
        return [Point(self._begun, self._sum / self._count, self._limit, self._latency)]


class Trends:
    """The past of several copies or plans, each under a name. Not thread-safe.

    Of those that were noted last at most ``MOST`` are kept.
    """

    def __init__(self) -> None:
        self._trends: OrderedDict[str, Trend] = OrderedDict()

    def note(self, now: float, running: Mapping[str, tuple[float, Optional[int]]]) -> None:
        """Note the rates of those that run, and their throttles, both in bytes per second."""
        for name, (rate, limit) in running.items():
            trend = self._trends.pop(name, None) or Trend()
            trend.note(now, rate, limit)
            self._trends[name] = trend
        while len(self._trends) > MOST:
            self._trends.popitem(last=False)

    def points(self, name: str) -> list[Point]:
        """The points of one, the oldest first; empty when it did not run lately."""
        found = self._trends.get(name)
        return [] if found is None else found.points()
