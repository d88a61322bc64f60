"""What a slot does with a job: confirm, write the intent, act, write what came of it."""

from __future__ import annotations

import logging
import os
import random
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Optional

import rados

from ..cluster import headers
from ..cluster.fence import Blocklist, fence
from ..cluster.observe import observe
from ..cluster.worker_process import WorkerLost
from ..control.failures import Explained, backoff, explain, worker_lost
from ..control.lifecycle import ACTING, Act, decide, failed, retry_later
from ..control.situation import diagnose
from ..model.codec import to_plain
from ..model.migration import Actor, Migration, Op, Step
from .registry import Registry, Tracked
from .settings import Settings
from .slots import Job, Slot

log = logging.getLogger(__name__)


class Acts:
    """Acts on migrations. Its methods run in slot threads and observers."""

    def __init__(
        self,
        client: rados.Rados,
        registry: Registry,
        manager: str,
        settings: Callable[[], Settings],
    ) -> None:
        self._client = client
        self._registry = registry
        self._manager = manager
        self._host = socket.gethostname()
        self._settings = settings
        self._chance = random.Random()
        self.blocklist = Blocklist()

    def work(self, slot: Slot, job: Job) -> None:
        """Do ``job``. Raises what RADOS and the store raise; the act's own failures are recorded."""
        tracked = job.tracked
        try:
            worker = slot.worker(job)
        except WorkerLost as error:
            if not job.stop_reason:
                self._record(tracked, job.op, worker_lost(job.op, str(error), _target(tracked)), 5)
            return
        if not self._still_wanted(tracked, job.op):
            return
        actor = Actor(self._manager, self._host, worker.pid, worker.addresses, worker.clients)
        self._registry.update(tracked, lambda m: _intent(m, job.op, actor, time.time()))
        tracked.done = tracked.total = 0
        tracked.moved_at = time.monotonic()
        try:
            event = slot.call(job, self._arguments(tracked.migration), _on_progress(tracked))
        except WorkerLost as error:
            slot.discard_worker()
            self._fence(tracked.migration, actor, reaped=True)
            lost = None if job.stop_reason else worker_lost(job.op, str(error), _target(tracked))
            self._record(tracked, job.op, lost, 5)
            return
        self._record(tracked, job.op, *_outcome(job.op, event, tracked))

    def recover(self, tracked: Tracked) -> None:
        """A step was begun and its outcome is not known: fence its actor, then forget the step."""
        step = tracked.migration.step
        if step is None:
            return
        log.info("%s: fencing the former worker %s", tracked.migration.id, step.actor.addresses)
        self._fence(tracked.migration, step.actor, reaped=False)
        self._registry.update(tracked, lambda m: replace(m, step=None))

    def _still_wanted(self, tracked: Tracked, op: Op) -> bool:
        """Look once more: the job may have waited long for its slot."""
        migration = tracked.migration
        situation = diagnose(migration, observe(self._client, migration))
        return decide(migration, situation, time.time()) == Act(op)

    def _arguments(self, m: Migration) -> dict[str, Any]:
        return {
            "source": to_plain(m.source),
            "target": to_plain(m.target),
            "layout": to_plain(m.layout),
            "force": m.force_commit,
        }

    def _fence(self, migration: Migration, actor: Actor, *, reaped: bool) -> None:
        """Shut ``actor`` out and take the exclusive lock from it, so that clients need not wait."""
        fence(self._client, actor.addresses)
        if reaped or (actor.host == self._host and not os.path.exists(f"/proc/{actor.pid}")):
            self.blocklist.add(actor.addresses)
        for place in (migration.target, migration.source):
            self._release_lock(place.pool_id, place.namespace, place.image_id, actor)

    def _release_lock(self, pool_id: int, namespace: str, image_id: str, actor: Actor) -> None:
        if not image_id:
            return
        try:
            with self._client.open_ioctx2(pool_id) as ioctx:
                ioctx.set_namespace(namespace)
                holder = headers.lock_holder(ioctx, image_id)
                if holder is not None and holder.client in actor.clients:
                    headers.break_lock(ioctx, image_id, holder)
        except rados.ObjectNotFound:
            return  # the pool or the image is gone, and the lock with it

    def _record(
        self, tracked: Tracked, op: Op, problem: Optional[Explained], errno: int
    ) -> None:
        """Write what came of a step; ``problem`` is None when it went well or was stopped."""
        now, settings = time.time(), self._settings()

        def change(m: Migration) -> Migration:
            if problem is None:
                return replace(m, step=None, hold=None, failure=None, attempts=0)
            if not problem.transient:
                return failed(m, errno, problem.message, now)
            wait = backoff(m.attempts + 1, settings.retry_first, settings.retry_cap, self._chance)
            return retry_later(m, errno, problem.message, now, wait)

        self._registry.update(tracked, change)
        if problem is not None:
            log.warning("%s: %s", tracked.migration.id, problem.message)


def _target(tracked: Tracked) -> Any:
    return tracked.migration.target.spec


def _intent(m: Migration, op: Op, actor: Actor, now: float) -> Migration:
    acting = m.enter(ACTING[op], now)
    return replace(acting, step=Step(op, now, actor), hold=None)


def _on_progress(tracked: Tracked) -> Callable[[dict[str, Any]], None]:
    def on_event(event: dict[str, Any]) -> None:
        tracked.done, tracked.total = int(event["done"]), int(event["total"])
        tracked.moved_at = time.monotonic()

    return on_event


def _outcome(op: Op, event: dict[str, Any], tracked: Tracked) -> tuple[Optional[Explained], int]:
    if event["event"] == "done":
        return None, 0
    errno = int(event["errno"])
    if event["cause"] == "refused":
        return Explained(str(event["message"]), False), errno
    if event["cause"] == "bug":
        log.error("the worker failed at %s:\n%s", op.value, event["message"])
        text = "An error in the module stopped it; the manager's log has the details."
        return Explained(text, False), errno
    return explain(op, errno, _target(tracked)), errno



