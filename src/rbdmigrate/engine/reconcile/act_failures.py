"""What is recorded of acts that failed: to be tried again, or for the administrator to look at."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from errno import EBUSY, ESTALE

from ...control.lifecycle.aborting import abort_refused
from ...control.lifecycle.cutover import cut_over_refused, prepare_refused
from ...control.lifecycle.decide import failed, retry_later
from ...control.lifecycle.failures import FailureReason, backoff
from ...control.lifecycle.reverse import is_reverse, reverse_failed
from ...model.jobs.protocol import Cause, Failed
from ...model.migration import Migration
from ...model.states import ActKind
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings
from .source_breaker import SourceBreaker
from .worker_events import explained

log = logging.getLogger(__name__)

_QUICK_RETRIES = 3  # attempts without a wait after an act that met a changed image


class ActFailures:
    """Writes failures to the records of migrations. Its methods raise what the registry raises."""

    def __init__(
        self,
        *,
        registry: Registry,
        settings: Callable[[], Settings],
        breaker: SourceBreaker,
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._breaker = breaker
        self._chance = random.Random()

    def of_job(self, tracked: TrackedMigration, act: ActKind, failure: Failed) -> None:
        """The worker says that the act failed."""
        refused = failure.cause is Cause.REFUSED
        if act is ActKind.ABORT and refused and failure.errno == EBUSY:
            self.abort_refused(tracked, EBUSY, failure.message)
            return
        if act is ActKind.CUT_OVER and refused and failure.errno == EBUSY:
            now = time.time()
            self._registry.update(tracked, lambda m: cut_over_refused(m, failure.message, now))
            log.warning("%s: %s", tracked.migration.id, failure.message)
            return
        problem = explained(act, failure, tracked)
        # Nothing else may be done before these.
        if act in (ActKind.REMOVE_COMPARISON_SNAPSHOT, ActKind.COMPLETE_OBJECTS):
            problem = replace(problem, transient=True)
        self.record(tracked, act, failure.errno, problem)

    def abort_refused(self, tracked: TrackedMigration, errno: int, message: str) -> None:
        """The abort is not begun, and the migration is where it was."""
        now = time.time()
        self._registry.update(tracked, lambda m: abort_refused(m, errno, message, now))
        log.warning("%s: %s", tracked.migration.id, message)

    def record(
        self,
        tracked: TrackedMigration,
        act: ActKind,
        errno: int,
        problem: FailureReason,
        *,
        by_source: bool = True,
    ) -> None:
        """Write that ``act`` failed: to be retried, or for the administrator to look at.

        ``by_source``: source or cluster answered so. What goes wrong on this host is no reason to
        leave the source alone.
        """
        now, settings = time.time(), self._settings()
        reverse = is_reverse(tracked.migration, act)
        if by_source and not reverse:
            self._breaker.failed(tracked.migration, errno)

        def change(m: Migration) -> Migration:
            if reverse:
                return reverse_failed(m, problem.message, now)
            if m.release is not None and m.prepared_at is None:
                return prepare_refused(m, problem.message, now)
            if not problem.transient:
                return failed(m, errno, problem.message, now)
            wait = backoff(m.attempts + 1, settings.retry_first, settings.retry_cap, self._chance)
            if errno == ESTALE and m.attempts < _QUICK_RETRIES:
                wait = 0.0  # what it was decided on has changed: look again
            return retry_later(m, errno, problem.message, now, wait)

        self._registry.update(tracked, change)
        tracked.repeats_end()
        log.warning("%s: %s", tracked.migration.id, problem.message)
