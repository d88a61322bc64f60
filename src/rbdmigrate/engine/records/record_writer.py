"""Writes of records to their stores, also after writes whose outcome is not known."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

import rados

from ...cluster.store import Store
from ...control.metrics.counting import Sample
from ...model.migration import Migration
from ...trace import span
from ..hooks.queue import NOTHING, HookQueue, NewMessages
from .stores import Stores
from .tracked import TrackedMigration
from .uncertain_writes import UncertainWrites


class RecordWriter:
    """Writes and removes records. Thread-safe; each record has one writer at a time.

    ``get`` returns the tracked migration with an id; ``count`` counts what happens.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        hooks: HookQueue,
        get: Callable[[str], Optional[TrackedMigration]],
        count: Callable[[Sample], None],
    ) -> None:
        self._stores = stores
        self._hooks = hooks
        self._get = get
        self._count = count
        self._unsure = UncertainWrites(self._with_record)

    def write(
        self,
        m: Migration,
        tracked: Optional[TrackedMigration] = None,
        posts: NewMessages = NOTHING,
    ) -> None:
        """Write a record; the caller has the lock of ``tracked``, if that is in memory already.

        Raises what the store raises.
        """
        store = self._stores.of(m)
        self.resolve(store, tracked)
        began = time.monotonic()
        try:
            with span("write", m.id):
                store.write(m, posts=posts.deliveries)
            self._count(Sample("store_write_duration_seconds", (), time.monotonic() - began))
        except rados.Error:
            self._unsure.add(store, m.id)
            self._hooks.outcome_unknown(store, posts)
            raise

    def remove(self, store: Store, ident: str) -> None:
        """Remove a record. Raises what the store raises."""
        try:
            store.remove(ident)
        except rados.Error:
            self._unsure.add(store, ident)
            raise

    def resolve(self, store: Store, tracked: Optional[TrackedMigration] = None) -> None:
        """Write again what is not sure of ``store``; the caller has the lock of ``tracked``."""
        self._unsure.resolve(store, None if tracked is None else tracked.migration.id)

    def resolve_pool(self, pool_id: int) -> None:
        """Write again what is not sure of the stores of a pool. Raises what the store raises."""
        for store in self._stores.of_pool(pool_id):
            self.resolve(store)

    def unsure_pools(self) -> set[int]:
        """The ids of the pools with records whose last write may or may not have been done."""
        return self._stores.pools(self._unsure.stores())

    def _with_record(
        self, ident: str, own: bool, write: Callable[[Migration], None], remove: Callable[[], None]
    ) -> bool:
        """See :class:`.uncertain_writes.UncertainWrites`."""
        tracked = self._get(ident)
        if tracked is None:
            remove()
            return True
        if own:
            write(tracked.migration)
            return True
        if not tracked.write_lock.acquire(blocking=False):
            return False  # who changes it writes it again
        try:
            if self._get(ident) is tracked:
                write(tracked.migration)
            return True
        finally:
            tracked.write_lock.release()
