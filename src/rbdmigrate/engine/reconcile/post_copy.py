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
from typing import Any

import rados

from ...cluster import headers
from ...cluster.fence import Blocklist
from ...cluster.pools import open_by_id
from ...cluster.worker_process import WorkerLost
from ...model.codec import to_plain
from ...model.errors import MigrationError, errno_name
from ...model.import_policy import ImportPolicy
from ...model.migration import Goal, Migration, Op
from ..pace.lock_owner import copies_on, holds_lock
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings
from .worker_slot import Slot

log = logging.getLogger(__name__)

_TAKE_LOCK_TIMEOUT = 10.0  # seconds for a holder to let go of the exclusive lock
_SETTLE_TIMEOUT = 10.0  # seconds for completing what a copy that ended left in part


class PostCopy:
    """Short acts of a fresh worker. Its methods run in slot threads."""

    def __init__(
        self,
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
        with open_by_id(self._client, target.pool_id, target.namespace) as ioctx:
            holder = headers.lock_holder(ioctx, target.image_id)
        if holder is None:
            return
        self._registry.update(tracked, lambda m: replace(m, touched=True))
        if not tracked.take_lock:
            tracked.uncontrolled = copies_on(holds_lock(holder), tracked)
            return
        args = arguments(tracked.migration, self._settings().reach)
        event = self._aside(slot, "take_lock", args, _TAKE_LOCK_TIMEOUT)
        if event["event"] == "failed":
            tracked.uncontrolled = (
                f"It cannot be stopped from here: {holder} holds the exclusive lock of "
                f"{target.spec} and does not let go of it ({errno_name(int(event['errno']))}), so "
                "the copy that it was asked for goes on there until it is complete or this "
                "client closes the image."
            )
            log.warning("%s: %s", tracked.migration.id, tracked.uncontrolled)

    def settle(self, slot: Slot, tracked: TrackedMigration) -> None:
        """Complete at once the objects that the copy which ended here may have left in part.

        Where that does not succeed, and for what lies far off, the loop decides on it as a step.
        Without snapshots there are none, and no worker is started to find that out.
        """
        if tracked.migration.goal is Goal.ABORTED:
            return  # the target goes, and what is copied back of it is what clients wrote
        try:
            whole = self._all_whole(tracked) or self._complete(slot, tracked)
        except (WorkerLost, MigrationError, rados.Error) as error:
            log.warning("%s: objects could not be completed: %s", tracked.migration.id, error)
            return
        if whole:
            self._registry.update(tracked, lambda m: replace(m, settled=True))

    def _all_whole(self, tracked: TrackedMigration) -> bool:
        """Whether the target has no snapshots of the source, which is what makes parts."""
        target = tracked.migration.target
        with open_by_id(self._client, target.pool_id, target.namespace) as ioctx:
            header = headers.migration_header(ioctx, target.image_id)
        return header is None or not header.snapshots

    def _complete(self, slot: Slot, tracked: TrackedMigration) -> bool:
        """Have a worker look near the last object that was told of; False: others may be left."""
        args = {
            **arguments(tracked.migration, self._settings().reach),
            "point": tracked.migration.point,
            "around": tracked.done,
        }
        event = self._aside(slot, Op.SETTLE.value, args, _SETTLE_TIMEOUT)
        return event["event"] == "done" and bool(event["result"]["whole"])

    def _aside(self, slot: Slot, op: str, args: dict[str, Any], timeout: float) -> dict[str, Any]:
        """What a fresh worker answers to a short act beside the job; ETIMEDOUT if it is lost."""
        worker = slot.fresh_worker()
        timer = threading.Timer(timeout, worker.kill)
        timer.start()
        try:
            return worker.run({"job": 0, "op": op, "args": args}, lambda event: None)
        except WorkerLost:
            slot.discard_worker()
            self._blocklist.fence(self._client, worker.addresses)
            return {"event": "failed", "errno": ETIMEDOUT}
        finally:
            timer.cancel()


def arguments(m: Migration, reach: ImportPolicy) -> dict[str, Any]:
    """What a worker needs to know of a migration to act on it; ``reach`` is what it may reach."""
    return {
        "id": m.id,
        "reach": to_plain(reach),
        "import": None if m.imported is None else to_plain(m.imported),
        "source": to_plain(m.source),
        "target": to_plain(m.target),
        "layout": to_plain(m.layout),
        "force": m.force_commit,
        "group": m.group,
        "mirror_mode": m.mirror_mode,
    }
