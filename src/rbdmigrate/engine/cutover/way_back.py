"""Measures what an abort would copy back: what clients wrote to targets since their cutovers."""

from __future__ import annotations

import logging
import time

import rados

from ...control.lifecycle.reverse import common_snapshot
from ...control.lifecycle.warm import way_back
from ...model.errors import MigrationError
from ...model.jobs.answers import WrittenSince
from ...model.jobs.questions import MeasureWritten
from ..records.record_index import Condition
from ..records.registry import Registry, TrackedMigration
from ..repeating_thread import RepeatingThread
from ..requests.librbd_query import Ask

log = logging.getLogger(__name__)

_LOOK = 2.0  # seconds between two looks for what has to be measured
_EVERY = 60.0  # seconds between two measurements of one migration
_REST = 20  # times as long as a measurement took, nothing is measured after it


class WayBackWatch:
    """Measures each migration between its cutover and its end, about once a minute.

    ``thread`` does that. Only this process keeps the results: they are what ``status`` shows.
    """

    def __init__(self, *, registry: Registry, ask: Ask) -> None:
        self._registry = registry
        self._ask = ask
        self._crashed = ""
        self.thread = RepeatingThread(name="way-back", step=self._step, first=_LOOK)

    def problems(self) -> list[str]:
        """Why the thread does not measure, in sentences."""
        return [self._crashed] if self._crashed else []

    def _step(self) -> float:
        begun = time.monotonic()
        try:
            measured = self.look()
            self._crashed = ""
        except Exception as error:
            measured = False
            self._crashed = f"the measurement of ways back: {type(error).__name__}: {error}"
            log.exception("the measurement of ways back failed; it goes on")
        took = time.monotonic() - begun
        return max(_LOOK, _REST * took) if measured else _LOOK

    def look(self) -> bool:
        """Measure the one that was measured longest ago, if that is due; whether one was."""
        due = [t for t in self._registry.where(Condition.WAY_BACK) if _age(t) >= _EVERY]
        if not due:
            return False
        self._measure(max(due, key=_age))
        return True

    def _measure(self, tracked: TrackedMigration) -> None:
        m = tracked.migration
        tracked.measured_at = time.monotonic()
        question = MeasureWritten(m.target, common_snapshot(m))
        try:
            written = self._ask(question, WrittenSince, 0.0, order=False).bytes
        except (rados.Error, MigrationError) as error:
            tracked.way_back = None
            log.debug("%s: what an abort would copy back is not known: %s", m.id, error)
            return
        tracked.way_back = way_back(m, written, time.time())


def _age(tracked: TrackedMigration) -> float:
    """Seconds since it was measured last, or was tried to be."""
    return time.monotonic() - tracked.measured_at
