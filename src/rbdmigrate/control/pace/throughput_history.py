"""The throughput of all copies together over the last hour, for a chart. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Optional

STEP = 10.0  # seconds per point
KEPT = 360  # points: an hour


@dataclass(frozen=True)
class Point:
    """From ``at`` (seconds since the epoch) on, copies ran at ``rate`` bytes per second on
    average.

    ``limit``: the cluster's throttle at the end of that time; None: no limit.
    """

    at: float
    rate: float
    limit: Optional[int]


class Trend:
    """Points of the past, the oldest first. Not thread-safe."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=KEPT)
        self._begun: Optional[float] = None
        self._sum = 0.0
        self._count = 0
        self._limit: Optional[int] = None

    def note(self, now: float, rate: float, limit: Optional[int]) -> None:
        """Note the rate at ``now``. A clock that was set back begins a new point."""
        if self._begun is None or not self._begun <= now < self._begun + STEP:
            self._points.extend(self._current())
            self._begun, self._sum, self._count = now, 0.0, 0
        self._sum += rate
        self._count += 1
        self._limit = limit

    def points(self) -> list[Point]:
        """All points, up to the last note."""
        return [*self._points, *self._current()][-KEPT:]

    def _current(self) -> list[Point]:
        if self._begun is None:
            return []
        return [Point(self._begun, self._sum / self._count, self._limit)]
