"""What follows in a slot when the worker of a copy is gone, before the slot does anything else.

A fresh worker completes what the copy left in part, and where that was asked for by force takes the
exclusive lock from the client that copies on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from errno import ETIMEDOUT

import rados

from ...cluster import headers
from ...cluster.fence import Blocklist
from ...cluster.pools import open_by_id
from ...cluster.worker_process import WorkerLost
from ...model.errors import MigrationError, errno_name
from ...model.jobs.acts import Act, ActOn, CompleteObjects, TakeLock
from ...model.jobs.answers import ObjectsCompleted
from ...model.jobs.protocol import Cause, Ending, Failed
from ...model.states import Goal, Method
from ..pace.lock_owner import copy_continues_message, holds_lock
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings
from .worker_jobs import ends_of
from .worker_slot import Slot

log = logging.getLogger(__name__)

_TAKE_LOCK_TIMEOUT = 10.0  # seconds for a holder to release the exclusive lock
_COMPLETE_TIMEOUT = 10.0  # seconds for completing what a copy that ended left in part


class PostCopy:
    """Short acts of a fresh worker. Its methods run in slot threads."""

    def __init__(
        self,
        *,
        client: rados.Rados,
        registry: Registry,
        settings: Callable[[], Settings],
        blocklist: Blocklist,
    ) -> None:
        self._client = client
        self._registry = registry
        self._settings = settings
        self._blocklist = blocklist

    def stop_holder(self, slot: Slot, tracked: TrackedMigration) -> None:
        """A client that holds the exclusive lock copies on without us.

        It drops the copy when it has to give the lock away. But librbd fails its writes (EROFS)
        that copy an object at that moment, so this is done on demand only.
        """
        target = tracked.migration.target
        if tracked.migration.method is Method.WARM:
            return  # the mover copies, not librbd
        with open_by_id(self._client, target.pool_id, target.namespace) as ioctx:
            holder = headers.lock_holder(ioctx, target.image_id)
        if holder is None:
            return
        self._registry.update(tracked, lambda m: replace(m, touched=True))
        if not tracked.may_take_lock:
            tracked.uncontrolled = copy_continues_message(holds_lock(holder), tracked)
            return
        ending = self._aside(slot, tracked, TakeLock(), _TAKE_LOCK_TIMEOUT)
        if isinstance(ending, Failed):
            tracked.uncontrolled = (
                f"It cannot be stopped from here: {holder} holds the exclusive lock of "
                f"{target.spec} and does not release it ({errno_name(ending.errno)}), so "
                "the copy that it was asked for goes on there until it is complete or this "
                "client closes the image."
            )
            log.warning("%s: %s", tracked.migration.id, tracked.uncontrolled)

    def complete_objects(self, slot: Slot, tracked: TrackedMigration) -> None:
        """Complete at once the objects that the copy which ended here may have left in part.

        Where that does not succeed, and for what lies far off, the loop decides on it as a step.
        Without snapshots there are none, and no worker is started to find that out.
        """
        if tracked.migration.method is Method.WARM:
            return  # nobody reads the target before it is whole
        if tracked.migration.goal is Goal.ABORTED:
            return  # the target goes, and what is copied back of it is what clients wrote
        try:
            whole = self._all_whole(tracked) or self._complete(slot, tracked)
        except (WorkerLost, MigrationError, rados.Error) as error:
            log.warning("%s: objects could not be completed: %s", tracked.migration.id, error)
            return
        if whole:
            self._registry.update(tracked, lambda m: replace(m, objects_complete=True))

    def _all_whole(self, tracked: TrackedMigration) -> bool:
        """Whether the target has no snapshots of the source, which is what makes parts."""
        target = tracked.migration.target
        with open_by_id(self._client, target.pool_id, target.namespace) as ioctx:
            header = headers.migration_header(ioctx, target.image_id)
        return header is None or not header.snapshots

    def _complete(self, slot: Slot, tracked: TrackedMigration) -> bool:
        """Have a worker look near the last object that was told of; False: others may be left."""
        act = CompleteObjects(tracked.migration.comparison_snapshot, around=tracked.done)
        ending = self._aside(slot, tracked, act, _COMPLETE_TIMEOUT)
        if isinstance(ending, Failed) or not isinstance(ending.answer, ObjectsCompleted):
            return False
        return ending.answer.whole

    def _aside(self, slot: Slot, tracked: TrackedMigration, act: Act, timeout: float) -> Ending:
        """What a fresh worker answers to a short act during the job; ETIMEDOUT if it is lost."""
        ends = ends_of(tracked.migration, self._settings().import_policy)
        worker = slot.fresh_worker()
        timer = threading.Timer(timeout, worker.kill)
        timer.start()
        try:
            return worker.run(ActOn(ends, act), lambda report: None)
        except WorkerLost:
            slot.discard_worker()
            self._blocklist.fence(self._client, worker.addresses)
            return Failed(ETIMEDOUT, Cause.LIBRBD)
        finally:
            timer.cancel()
