"""Fencing former workers: shutting them out, and freeing the exclusive locks that they held."""

from __future__ import annotations

from typing import Optional

import rados

from ...cluster import headers, surgery
from ...cluster.fence import Blocklist
from ...cluster.observe import ends_of
from ...cluster.pools import open_by_id
from ...cluster.processes import identity_of
from ...control.lifecycle.processes import is_gone
from ...model.errors import PoolMissing
from ...model.migration import Actor, Migration, Place


class Fencing:
    """Fences actors. Thread-safe."""

    def __init__(self, *, client: rados.Rados, blocklist: Blocklist) -> None:
        self._client = client
        self._blocklist = blocklist

    def fence(self, migration: Migration, actor: Actor, *, reaped: bool) -> Optional[int]:
        """Shut ``actor`` out and take the exclusive lock from it, so that clients need not wait.

        A lock that keeps clients out of an image stays where another image has its name, or none:
        what they wrote would be lost. ``reaped``: its process is known to be gone. Returns the
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


def actor_is_gone(actor: Actor) -> bool:
    """Whether the process of ``actor`` is proven to be gone: only its own host can prove that."""
    found = identity_of(actor.pid)
    return found is not None and is_gone(actor.process, found)
