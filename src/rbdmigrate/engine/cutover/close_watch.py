"""Watches for the moment when the last client closes an image whose cutover waits for that."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Optional

import rados

from ...cluster.store import StoreFenced
from ...control.hooks.questions import mode_when_closed
from ...control.lifecycle.cutover import (
    image_in_use,
    in_another_cluster,
    may_be_released,
    released,
    waits_for_clients,
)
from ...model.cutover import CutoverMode, Release
from ...model.errors import MigrationError
from ...model.jobs.answers import ClosedImages
from ...model.jobs.questions import FindClosed
from ...model.migration import Migration
from ..reconcile.scheduler import Scheduler
from ..records.record_index import Condition
from ..records.registry import Registry, TrackedMigration
from ..repeating_thread import RepeatingThread
from ..requests.librbd_query import Ask
from .hook_gate import HookGate
from .inventory import Inventories

log = logging.getLogger(__name__)

_PAUSE = 0.1  # seconds between two looks while something waits
_IDLE = 1.0  # seconds between two looks while nothing does
_TROUBLE = 5.0  # seconds after a look that failed
_MOST = 50  # images that are looked at together
_SHUT_OFF = 10.0  # seconds for which an image is closed whose guest is said to be shut off


class CloseWatch:
    """Looks, several times a second, which of the awaited images are closed; ``thread`` does that.

    An image whose cutover waits for an agent is released too when no agent reports a guest that has
    it open and it stays closed: that guest is shut off; and one whose clients hooks said were
    stopped.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        scheduler: Scheduler,
        ask: Ask,
        fenced: Callable[[], tuple[str, ...]],
        inventories: Inventories,
        gate: HookGate,
        on_fenced: Callable[[str], None],
    ) -> None:
        self._gate = gate
        self._registry = registry
        self._scheduler = scheduler
        self._ask = ask
        self._fenced = fenced
        self._inventories = inventories
        self._on_fenced = on_fenced
        self._closed_since: dict[str, float] = {}  # by migration, on the monotonic clock
        self._next = 0
        self._crashed = ""
        self.thread = RepeatingThread(name="close-watch", step=self._step)

    def problems(self) -> list[str]:
        """Why the thread does not watch, in sentences."""
        return [self._crashed] if self._crashed else []

    def _step(self) -> Optional[float]:
        try:
            wait = _PAUSE if self.look() else _IDLE
            self._crashed = ""
        except StoreFenced as error:
            self._on_fenced(str(error))
            return None
        except (rados.Error, MigrationError) as error:
            wait = _TROUBLE
            log.warning("images that are to be closed cannot be looked at: %s", error)
        except Exception as error:
            wait = _TROUBLE
            self._crashed = f"the watch for closed images: {type(error).__name__}: {error}"
            log.exception("the watch for closed images failed; it goes on")
        return wait

    def look(self) -> bool:
        """Look once; False when no cutover waits for an image to be closed."""
        awaited = self._registry.where(Condition.AWAITED)
        self._gate.look(awaited)
        for tracked in awaited:
            self._explain(tracked)
        waiting = [
            t
            for t in awaited
            if t.cutover_held is None
            and not in_another_cluster(t.migration)
            and self._mode(t.migration)
        ]
        if not waiting:
            self._closed_since.clear()
            return False
        some = [waiting[(self._next + n) % len(waiting)] for n in range(min(_MOST, len(waiting)))]
        self._next += len(some)
        question = FindClosed(tuple(image_in_use(t.migration) for t in some), self._fenced())
        closed = set(self._ask(question, ClosedImages, 0.0, order=True).idents)
        for tracked in some:
            if image_in_use(tracked.migration).image_id in closed:
                self._release(tracked)
            else:
                self._closed_since.pop(tracked.migration.id, None)
        return True

    def _mode(self, m: Migration) -> Optional[CutoverMode]:
        """The mode by which an image that is closed is released; None: it is not."""
        now = time.time()
        mode = mode_when_closed(m, now)
        if mode is not None:
            return mode
        known = m.in_place or m.cutover.name_changes
        if (
            known
            and may_be_released(m, CutoverMode.AGENT, now)
            and not self._inventories.users(image_in_use(m).spec)
        ):
            return CutoverMode.AGENT
        return None

    def _explain(self, tracked: TrackedMigration) -> None:
        """Say what a cutover by an agent waits for that has not reported since it was asked for."""
        m = tracked.migration
        if m.cutover.mode is not CutoverMode.AGENT or tracked.waits_for or not waits_for_clients(m):
            return
        names = self._inventories.names(image_in_use(m).spec)
        if names:
            tracked.waits_for = f"The next report of its agent begins the pause of {names[0]}."

    def _release(self, tracked: TrackedMigration) -> None:
        mode = self._mode(tracked.migration)
        since = self._closed_since.setdefault(tracked.migration.id, time.monotonic())
        if mode is None or tracked.busy:
            return
        if mode is CutoverMode.AGENT and time.monotonic() - since < _SHUT_OFF:
            return
        self._closed_since.pop(tracked.migration.id, None)
        release = Release(time.time())
        self._registry.update(tracked, lambda m: released(m, release, mode))
        self._scheduler.wake(tracked)
