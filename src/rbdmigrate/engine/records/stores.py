"""The stores of records: one for each target pool and namespace, and what cannot be read there."""

from __future__ import annotations

import threading
from collections.abc import Container

import rados

from ...cluster.pools import open_by_id
from ...cluster.store import Owner, Store, UnreadableRecord
from ...model.errors import PoolMissing
from ...model.migration import Migration

_Place = tuple[int, str]  # a pool's id, and a namespace


class Stores:
    """The stores that were asked for so far. Thread-safe."""

    def __init__(self, client: rados.Rados, owner: Owner) -> None:
        self._client = client
        self._owner = owner
        self._lock = threading.Lock()
        self._stores: dict[_Place, Store] = {}
        self._unreadable: dict[_Place, list[UnreadableRecord]] = {}

    def get(self, pool_id: int, namespace: str) -> Store:
        """The store of a target pool and namespace."""
        place = (pool_id, namespace)
        with self._lock:
            if place not in self._stores:
                name = self._client.pool_reverse_lookup(pool_id) or str(pool_id)
                self._stores[place] = Store(
                    lambda: open_by_id(self._client, pool_id, namespace),
                    f"{name}/{namespace}" if namespace else str(name),
                    self._owner,
                )
            return self._stores[place]

    def of(self, migration: Migration) -> Store:
        """The store that has the record of ``migration``."""
        return self.get(migration.target.pool_id, migration.target.namespace)

    def of_pool(self, pool_id: int) -> list[Store]:
        """The stores of a pool."""
        with self._lock:
            return [store for place, store in self._stores.items() if place[0] == pool_id]

    def pools(self, stores: Container[Store]) -> set[int]:
        """The ids of the pools of these stores."""
        with self._lock:
            return {place[0] for place, store in self._stores.items() if store in stores}

    # -- records that cannot be read ---------------------------------------------------------

    def set_unreadable(self, pool_id: int, namespace: str, found: list[UnreadableRecord]) -> None:
        """Keep what was found when the records of a store were read."""
        with self._lock:
            self._unreadable[pool_id, namespace] = found

    def unreadable(self) -> list[UnreadableRecord]:
        """Records that could not be read, of all stores."""
        with self._lock:
            return [item for items in self._unreadable.values() for item in items]

    def read_unreadable(self) -> list[UnreadableRecord]:
        """The same as it is now, of stores that had any; raises ``rados.Error``."""
        with self._lock:
            stores = [
                (place, s) for place, s in self._stores.items() if self._unreadable.get(place)
            ]
        for (pool_id, namespace), store in stores:
            try:
                _, found = store.read()
            except PoolMissing:
                found = []
            self.set_unreadable(pool_id, namespace, found)
        return self.unreadable()

    def forget_pools(self, there: Container[int]) -> None:
        """Report no records of pools that are not ``there`` any more."""
        with self._lock:
            self._unreadable = {p: kept for p, kept in self._unreadable.items() if p[0] in there}
