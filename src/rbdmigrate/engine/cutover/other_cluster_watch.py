"""Watches for the moment when the last client closes a source in another cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Optional

import rados

from ...cluster.store import StoreFenced
from ...control.hooks.questions import mode_when_closed
from ...control.lifecycle.cutover import in_another_cluster, released
from ...model.cutover import Release
from ...model.errors import MigrationError
from ...model.jobs.answers import ClosedImages
from ...model.jobs.questions import FindClosedSources
from ..reconcile.scheduler import Scheduler
from ..reconcile.worker_jobs import import_ends_of
from ..records.record_index import Condition
from ..records.registry import Registry, TrackedMigration
from ..repeating_thread import RepeatingThread
from ..requests.librbd_query import Ask
from ..settings import Settings

log = logging.getLogger(__name__)

_PAUSE = 2.0  # seconds between two looks, each of which connects to the other cluster
_TROUBLE = 10.0  # seconds after a look that failed
_PATIENCE = 60.0  # seconds for an answer
_MOST = 50  # images that are looked at together


class OtherClusterWatch:
    """Looks every few seconds; ``thread`` does that.

    It is not done by :class:`.close_watch.CloseWatch`: a cluster that does not answer would keep
    images of this one waiting.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        scheduler: Scheduler,
        ask: Ask,
        settings: Callable[[], Settings],
        on_fenced: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._scheduler = scheduler
        self._ask = ask
        self._settings = settings
        self._on_fenced = on_fenced
        self._next = 0
        self._crashed = ""
        self.thread = RepeatingThread(name="other-cluster-watch", step=self._step)

    def problems(self) -> list[str]:
        """Why the thread does not watch, in sentences."""
        return [self._crashed] if self._crashed else []

    def _step(self) -> Optional[float]:
        wait = _TROUBLE
        try:
            self.look()
            self._crashed = ""
            wait = _PAUSE
        except StoreFenced as error:
            self._on_fenced(str(error))
            return None
        except (rados.Error, MigrationError) as error:
            log.warning("images of other clusters cannot be looked at: %s", error)
        except Exception as error:
            self._crashed = f"the watch for other clusters: {type(error).__name__}: {error}"
            log.exception("the watch for other clusters failed; it goes on")
        return wait

    def look(self) -> None:
        """Look once, if a cutover waits for an image of another cluster to be closed."""
        now = time.time()
        waiting = [
            tracked
            for tracked in self._registry.where(Condition.AWAITED)
            if in_another_cluster(tracked.migration)
            and tracked.cutover_held is None
            and mode_when_closed(tracked.migration, now) is not None
        ]
        if not waiting:
            return
        some = [waiting[(self._next + n) % len(waiting)] for n in range(min(_MOST, len(waiting)))]
        self._next += len(some)
        policy = self._settings().import_policy
        sources = (import_ends_of(tracked.migration, policy) for tracked in some)
        question = FindClosedSources(tuple(source for source in sources if source is not None))
        answer = self._ask(question, ClosedImages, _PATIENCE, order=True)
        closed, now = frozenset(answer.idents), time.time()
        for tracked in some:
            if tracked.migration.source.image_id in closed:
                self._release(tracked, now)

    def _release(self, tracked: TrackedMigration, now: float) -> None:
        mode = mode_when_closed(tracked.migration, now)
        if mode is None or tracked.busy:
            return
        self._registry.update(tracked, lambda m: released(m, Release(now), mode))
        self._scheduler.wake(tracked)
