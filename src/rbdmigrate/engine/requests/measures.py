"""Measures of the running engine for Prometheus: gauges of now, and what was counted."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import rados

from ...control.metrics.counting import Sample
from ...control.metrics.gauges import Gauges
from ...model.errors import MigrationError
from ...model.host_report import HostReport
from ...model.migration import Migration
from ...model.states import HoldReason, State
from ..records.metrics_recorder import MetricsRecorder
from ..records.registry import Registry
from ..records.tracked import TrackedMigration
from .health import HealthWarnings
from .report import live_hold

log = logging.getLogger(__name__)

_EVERY = 5.0  # seconds between two looks at what waits
_LONGEST = 30.0  # seconds that one look counts for at most: the manager may have been stopped
_WAITS = (State.QUEUED, State.PREPARED)
_UNSAVED = 60.0  # seconds held that a record may lack, or a twentieth of what it has
_SAVES = 20  # records written at one look, only for how long they were held
_TROUBLE = 60.0  # seconds until records are written again after a pool did not answer


class Measures:
    """Counts how long migrations wait, has the counters stored, and answers for all of it.

    ``tick`` is for one thread, the rest for any. ``plans``: the states of all plans. ``hooks``: for
    each hook, whether it fails.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        recorder: MetricsRecorder,
        health: HealthWarnings,
        hosts: Callable[[], list[HostReport]],
        plans: Callable[[], Iterable[str]],
        hooks: Callable[[], Iterable[bool]],
    ) -> None:
        self._registry = registry
        self._recorder = recorder
        self._health = health
        self._hosts = hosts
        self._plans = plans
        self._hooks = hooks
        self._looked = time.monotonic()
        self._oldest = 0.0
        self._save_again = 0.0  # monotonic time

    def tick(self) -> None:
        """Call it about once a second. Raises StoreFenced."""
        passed = time.monotonic() - self._looked
        if passed >= _EVERY:
            self._looked = time.monotonic()
            self._look(min(passed, _LONGEST))
        self._recorder.keep()

    def _look(self, passed: float) -> None:
        held: Counter[HoldReason] = Counter()
        oldest = now = time.time()
        for tracked in self._registry.all():
            hold = live_hold(tracked)
            if hold is None:
                continue
            held[hold.reason] += 1
            with self._registry.changed:
                tracked.add_held(hold.reason.value, passed)
            if tracked.migration.state in _WAITS:
                oldest = min(oldest, tracked.migration.created)
        self._oldest = now - oldest
        self._recorder.add(
            *(
                Sample("held_seconds_total", (reason.value,), number * passed)
                for reason, number in held.items()
            )
        )

        self._save_holds()

    def _save_holds(self) -> None:
        """Write how long migrations were held, where their records lack the most of it.

        Every other write of a record has it too, so these are those that only wait.
        """
        if time.monotonic() < self._save_again:
            return
        lacking = ((_lacks(tracked), tracked) for tracked in self._registry.all())
        due = [(seconds, tracked) for seconds, tracked in lacking if seconds > 0.0]
        due.sort(key=lambda one: one[0], reverse=True)
        for _, tracked in due[:_SAVES]:
            try:
                self._registry.update(tracked, partial(_with_holds, tracked))
            except MigrationError as error:  # it ended just now, or two records are about its image
                log.debug("%s: how long it was held is not stored: %s", tracked.migration.id, error)
            except rados.Error as error:
                log.warning("how long migrations were held cannot be stored: %s", error)
                self._save_again = time.monotonic() + _TROUBLE
                return

    def count(self, *samples: Sample) -> None:
        """Count what a front end saw."""
        self._recorder.add(*samples)

    def gauges(self) -> Gauges:
        """Return the numbers of now."""
        failing = list(self._hooks())
        lost = sum(report.lost for report in self._hosts())
        return Gauges(
            plans=Counter(self._plans()),
            warnings=self._health.numbers(),
            agents={"reporting": len(self._hosts()) - lost, "lost": lost},
            hooks={"working": failing.count(False), "failing": failing.count(True)},
            oldest_waiting=self._oldest,
        )

    def ready(self) -> bool:
        """Whether the counters of former managers are known, and so may be shown."""
        return self._recorder.ready()

    def counters(self) -> str:
        """Return the text of all counters and histograms."""
        return self._recorder.exposition()


def _with_holds(tracked: TrackedMigration, m: Migration) -> Migration:
    return replace(m, held=tracked.held_times())


def _lacks(tracked: TrackedMigration) -> float:
    """Seconds held that its record lacks, if they are worth a write; else 0."""
    m = tracked.migration
    unsaved = sum(tracked.unsaved_holds.values())
    saved = sum(one.seconds for one in m.held)
    worth = unsaved >= max(_UNSAVED, saved / 20) and not tracked.troubled
    return unsaved if worth and m.confirmed else 0.0  # a write would confirm it
