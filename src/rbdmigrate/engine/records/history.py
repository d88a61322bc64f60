"""The history: what is kept of ended migrations, in the stores of all pools."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container, Iterable
from typing import NamedTuple

import rados

from ...cluster.pools import namespaces
from ...cluster.store import Store, UnreadableRecord
from ...control.lifecycle.retention import expired
from ...model.errors import PoolMissing
from ...model.migration import Migration
from ..settings import Settings

log = logging.getLogger(__name__)

_SILENCE = 60.0  # seconds for which the history of a pool that did not answer is left out
_TRIM_EVERY = 20  # ends of migrations between two looks at what the history may forget


class EndedMigrations(NamedTuple):
    """Ended migrations, the latest first, and the names of the pools that did not tell theirs."""

    migrations: list[Migration]
    left_out: list[str]


class History:
    """Reads and trims the history. ``store`` gives that of a pool's id and namespace.

    Thread-safe.
    """

    def __init__(
        self,
        client: rados.Rados,
        store: Callable[[int, str], Store],
        settings: Callable[[], Settings],
    ) -> None:
        self._client = client
        self._store = store
        self._settings = settings
        self._lock = threading.Lock()
        self._ends = 0
        self._kept: dict[Store, dict[str, float]] = {}  # by id, when each ended
        self._known: set[Store] = set()  # those of which it has all, as nobody else adds to them
        self._silent: dict[int, float] = {}
        self._garbage: dict[tuple[int, str], list[UnreadableRecord]] = {}

    def read(self, pool_ids: Iterable[int]) -> EndedMigrations:
        """Ended migrations of these pools; what does not answer is left out, and named.

        Raises rados.ConnectionShutdown when we are shut out ourselves.
        """
        ended: list[Migration] = []
        left_out: list[str] = []
        for pool_id in pool_ids:
            try:
                if self._silent.get(pool_id, 0.0) > time.monotonic():
                    left_out.append(self._name(pool_id))
                else:
                    ended += self._of(pool_id)
            except PoolMissing:
                continue  # and its history with it
            except rados.ConnectionShutdown:
                raise
            except rados.Error as error:
                log.warning("pool %s: its history cannot be read: %s", pool_id, error)
                self._silent[pool_id] = time.monotonic() + _SILENCE
                left_out.append(self._name(pool_id))
        ended.sort(key=lambda m: m.ended_at or 0.0, reverse=True)
        return EndedMigrations(ended, left_out)

    def _of(self, pool_id: int) -> list[Migration]:
        ended: list[Migration] = []
        for namespace in namespaces(self._client, pool_id):
            found, garbage = self._store(pool_id, namespace).read(history=True)
            ended += found
            with self._lock:
                self._garbage[pool_id, namespace] = garbage
        return ended

    def _name(self, pool_id: int) -> str:
        return str(self._client.pool_reverse_lookup(pool_id) or pool_id)

    def trim(self, store: Store, ended: Migration) -> None:
        """Forget the oldest of a store's history, now and then; ``ended`` was just written there.

        All of it is read once: decoding a thousand records each time would cost more than moving
        the images.
        """
        with self._lock:
            self._ends += 1
            kept = self._kept.setdefault(store, {})
            kept[ended.id] = ended.ended_at or 0.0
            if self._ends % _TRIM_EVERY:
                return
            known = store in self._known
        found = {} if known else {m.id: m.ended_at or 0.0 for m in store.read(history=True)[0]}
        settings = self._settings()
        with self._lock:
            kept.update(found)
            self._known.add(store)
            old = expired(kept, time.time(), settings.history_days, settings.history_count)
        if not old:
            return
        store.remove(*old, history=True)
        with self._lock:
            for ident in old:
                kept.pop(ident, None)

    @property
    def garbage(self) -> list[UnreadableRecord]:
        """Records that cannot be read, as they were found last."""
        with self._lock:
            return [item for items in self._garbage.values() for item in items]

    def forget_pools(self, there: Container[int]) -> None:
        """Report no records of pools that are not ``there`` any more."""
        with self._lock:
            self._garbage = {p: found for p, found in self._garbage.items() if p[0] in there}
