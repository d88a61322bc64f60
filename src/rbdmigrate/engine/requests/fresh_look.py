"""Looking again at migrations when somebody asks for them.

A migration at rest is looked at every ``recheck`` seconds, thousands of them more rarely. Meanwhile
somebody may have acted on it with plain ``rbd migration``. So a command that shows migrations has
the loop look at them first. This changes nothing that the loop would not change by itself later.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Collection

from ..reconcile.scheduler import Scheduler
from ..records.registry import Registry, TrackedMigration

_FRESH = 2.0  # seconds for which a look counts
_PATIENCE = 2.0  # seconds that a command waits for the looks
_MOST = 20  # migrations that are looked at for one command


class FreshLook:
    """Has the loop look at migrations now. Thread-safe."""

    def __init__(self, registry: Registry, scheduler: Scheduler) -> None:
        self._registry = registry
        self._scheduler = scheduler

    def look(self, shown: Collection[TrackedMigration]) -> None:
        """Have those looked at that were not for the longest time, and wait a little for it.

        One that is acted on is left alone, and one whose pool did not answer lately.
        """
        asked = time.monotonic()
        stale = [t for t in shown if _rests(t) and _seen(t) < asked - _FRESH]
        chosen = heapq.nsmallest(_MOST, stale, key=_seen)
        waited = {t: (t.wanted, t.wanted_since) for t in chosen}
        for tracked in chosen:
            self._scheduler.wake(tracked)
        self._registry.wait(lambda: all(_looked(t, asked) for t in chosen), _PATIENCE)
        for tracked, (wanted, since) in waited.items():
            if wanted is not None and tracked.wanted is wanted:
                tracked.wanted_since = since  # it waits for its place all the time


def _rests(tracked: TrackedMigration) -> bool:
    return not (tracked.busy or tracked.conflict or tracked.troubled)


def _seen(tracked: TrackedMigration) -> float:
    return tracked.seen[0] if tracked.seen is not None else 0.0


def _looked(tracked: TrackedMigration, asked: float) -> bool:
    """Whether it was looked at since, or began something, or cannot be looked at."""
    if tracked.migration.intent is not None or tracked.troubled:
        return True
    return not tracked.busy and (_seen(tracked) >= asked or tracked.migration.state.ended)
