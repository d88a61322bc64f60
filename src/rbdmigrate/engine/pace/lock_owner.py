"""Paces copies that a client makes itself, as holder of the exclusive lock, by its configuration.

While such a copy runs the target has the image metadata ``conf_rbd_concurrent_management_ops``.
The record says so (``holder_ops``) before it is set, and until it is taken away again. What users
set there themselves is left alone.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Optional

import rados

from ...cluster import headers, surgery
from ...cluster.headers import HOLDER_OPS_KEY as KEY
from ...cluster.lock_info import LockHolder
from ...cluster.pools import open_by_id
from ...control.objects.partial import in_several_writes
from ...control.pace.lock_owner_rate import ops_for
from ...model.errors import PoolMissing
from ...model.migration import Migration
from ..records.registry import Registry, TrackedMigration


class LockOwnerPace:
    """Sets the number of objects that a lock holder copies at once, and takes it away."""

    def __init__(self, client: rados.Rados, registry: Registry) -> None:
        self._client = client
        self._registry = registry

    def begin(self, tracked: TrackedMigration, own_clients: tuple[int, ...]) -> Optional[int]:
        """Objects at once for the copy that is about to begin.

        None: we copy, or it is left to the client. One where clients could read an object that is
        copied in part, whatever the rate (:mod:`...worker.copy.concurrency`).
        """
        m = tracked.migration
        target = m.target
        if not target.image_id:
            return None
        with open_by_id(self._client, target.pool_id, target.namespace) as ioctx:
            holder = headers.lock_holder(ioctx, target.image_id)
            if holder is None or holder.client in own_clients:
                return None
            if headers.metadata(ioctx, target.image_id, KEY) is not None:
                return None  # a user's own
            header = headers.migration_header(ioctx, target.image_id)
            imported = m.imported is not None
            if in_several_writes(
                header,
                comparison_snapshot=m.comparison_snapshot,
                no_comparison_snapshot=m.no_comparison_snapshot,
                imported=imported,
            ):
                return 1
            if tracked.rate_limit is None:
                return None
            size = headers.object_size(ioctx, target.image_id)
        return ops_for(tracked.rate_limit, size)

    def restore(self, tracked: TrackedMigration) -> None:
        """Take the number away from the target's configuration, then from the record."""
        m = tracked.migration
        if m.holder_ops is None:
            return
        gone = contextlib.suppress(PoolMissing)  # and the target with it
        with gone, open_by_id(self._client, m.target.pool_id, m.target.namespace) as ioctx:
            surgery.drop_metadata(ioctx, m.target.image_id, KEY)
        self._registry.update(tracked, _restored)


def holds_lock(holder: LockHolder) -> str:
    """A lock holder as Reports name it."""
    return f"{holder}, holder of the exclusive lock"


def copy_continues_message(who: str, tracked: TrackedMigration) -> str:
    """One sentence: why a copy that a client makes itself goes on though it should not."""
    target = tracked.migration.target.spec
    return (
        f"{who}, copies it by itself until it is complete or this client closes the image; "
        f"`ceph rbd migration pause {target} --force` takes the lock from it; its writes in "
        "flight fail then."
    )


def _restored(m: Migration) -> Migration:
    return replace(m, holder_ops=None)
