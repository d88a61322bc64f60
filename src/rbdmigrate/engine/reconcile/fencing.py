"""Fencing former workers: shutting them out, and freeing the exclusive locks that they held."""

from __future__ import annotations

import logging
from typing import Optional

import rados

from ...cluster import headers, surgery
from ...cluster.fence import Blocklist
from ...cluster.lock_out import lock_out
from ...cluster.observe import ends_of
from ...cluster.pools import open_by_id
from ...cluster.processes import identity_of
from ...control.lifecycle.processes import is_gone
from ...control.lifecycle.reverse import is_reverse
from ...model.errors import MigrationError, PoolMissing
from ...model.migration import Actor, Migration, Place

log = logging.getLogger(__name__)


class Fencing:
    """Fences actors. Thread-safe."""

    def __init__(self, *, client: rados.Rados, blocklist: Blocklist) -> None:
        self._client = client
        self._blocklist = blocklist

    def fence(self, migration: Migration, actor: Actor, *, reaped: bool) -> Optional[int]:
        """Shut ``actor`` out and take the exclusive lock from it, so that clients need not wait.

        A lock that keeps clients out of an image stays where another image has its name, or none:
        what they wrote would be lost. Where a reverse round was cut off it is taken again.
        ``reaped``: its process is known to be gone. Returns the
        version of the target's header by that, None where ``actor`` had no lock on it.
        """
        if reaped or actor_is_gone(actor):
            self._blocklist.fence(self._client, actor.addresses)
        else:
            self._blocklist.fence_unknown(
                self._client, actor.addresses, lambda: actor_is_gone(actor)
            )
        ends = ends_of(self._client, migration)
        versions = {place.image_id: self._release_lock(place, actor) for place in ends}
        reverse = migration.intent is not None and is_reverse(migration, migration.intent.act)
        if reverse and not migration.from_another_cluster:
            self._lock_kept(migration.source)
        return versions.get(migration.target.image_id)

    def _release_lock(self, place: Place, actor: Actor) -> Optional[int]:
        try:
            with open_by_id(self._client, place.pool_id, place.namespace) as ioctx:
                holder = headers.lock_holder(ioctx, place.image_id)
                if holder is not None and holder.client in actor.clients:
                    return surgery.break_lock(ioctx, place.image_id, holder)
        except PoolMissing:
            pass  # the image is gone, and the lock with it
        return None

    def _lock_kept(self, source: Place) -> None:
        """Lock clients out of the kept source, whose lock the worker had that is gone.

        Not of one that somebody has taken out of the trash.
        """
        try:
            with open_by_id(self._client, source.pool_id, source.namespace) as ioctx:
                ident = source.image_id
                named = headers.image_name(ioctx, ident) is not None
                if not named and headers.image_exists(ioctx, ident):
                    lock_out(ioctx, ident)
        except PoolMissing:
            log.debug("the pool of the source %s is gone", source.image_id)
        except MigrationError as error:
            log.warning("the source %s could not be locked: %s", source.image_id, error)


def actor_is_gone(actor: Actor) -> bool:
    """Whether the process of ``actor`` is proven to be gone: only its own host can prove that."""
    found = identity_of(actor.pid)
    return found is not None and is_gone(actor.process, found)
