"""The records of this cluster in memory; every change is in the store before anybody sees it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from errno import EAGAIN
from typing import Optional

import rados

from ..cluster.pools import namespaces, open_by_id
from ..cluster.store import Garbage, Owner, Store, StoreFenced
from ..control.history import surplus
from ..control.progress import Throughput
from ..control.situation import Situation
from ..model.errors import MigrationError, PoolMissing
from ..model.migration import Hold, Migration, Op
from ..model.spec import ImageSpec
from .settings import Settings

log = logging.getLogger(__name__)

_SILENCE = 60.0  # seconds for which the history of a pool that did not answer is left out
_TRIM_EVERY = 20  # ends of migrations between two looks at what the history may forget


class Tracked:
    """A migration and what only this process knows of it. Guarded by the registry's lock."""

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        self.write_lock = threading.Lock()  # one writer of this record at a time
        self.busy = False  # an observer or a slot has it
        self.wanted: Optional[Op] = None  # the act it waits for a slot with
        self.seen: Optional[tuple[float, Situation]] = None  # what the last look saw, and when
        self.due = 0.0  # monotonic time at which it is to be looked at again
        self.done = 0  # objects of the running copy
        self.total = 0
        self.copied = migration.bytes_copied  # bytes on the target, as far as they were copied
        self.size = migration.bytes_total or 0  # bytes to be there in the end; 0: not known yet
        self.throughput = Throughput()
        self.compared = 0  # bytes that the running verification has compared
        self.share = 0.0  # of what it has to compare, 0 to 1
        self.rate_limit: Optional[int] = None  # what the throttle gives it, bytes per second
        self.held: Optional[Hold] = None  # why nothing of it may be copied now
        self.full_speed: Optional[float] = None  # what it made before a gate slowed it
        self.slowed: tuple[str, ...] = ()  # why it copies slower than it could
        self.moved_at = time.monotonic()  # when the running copy last got on
        self.wanted_since = 0.0  # monotonic time since when it waits for a slot
        self.note = ""  # why it does not move, where that is no matter for the record
        self.copied_by = ""  # the client that really copies, when it is not our worker
        self.take_lock = False  # to stop its copy, at the price of writes of that client
        self.uncontrolled = ""  # why a copy that was to stop goes on
        self.abandoned = False  # a half-done act of somebody else was left for good
        self.half_since = 0.0  # monotonic time since when somebody else's act looks interrupted
        self.done_op: Optional[Op] = None  # the act that went well last
        self.repeats = 0  # how often the same was decided again after it went well
        self.looking = False  # an observer looks at it, or is about to
        self.peeking = False  # or at its running copy from outside
        self.troubled = False  # its pools did not answer when either was done last
        self.peek_due = 0.0  # monotonic time at which the running copy is to be looked at


class Registry:
    """All migrations under way. Thread-safe."""

    def __init__(self, client: rados.Rados, owner: Owner, settings: Callable[[], Settings]) -> None:
        self.changed = threading.Condition()
        self._client = client
        self._settings = settings
        self._ends = 0
        self._owner = owner
        self._tracked: dict[str, Tracked] = {}
        self._ordered: Optional[list[Tracked]] = None  # all of them; None: to be sorted again
        self._stores: dict[tuple[int, str], Store] = {}
        self._silent: dict[int, float] = {}
        self._garbage: dict[str, list[Garbage]] = {}

    # -- the store ---------------------------------------------------------------------------

    def store(self, pool_id: int, namespace: str) -> Store:
        """The store of a target pool and namespace."""
        place = (pool_id, namespace)
        with self.changed:
            if place not in self._stores:
                name = self._client.pool_reverse_lookup(pool_id) or str(pool_id)
                self._stores[place] = Store(
                    lambda: open_by_id(self._client, pool_id, namespace),
                    f"{name}/{namespace}" if namespace else str(name),
                    self._owner,
                )
            return self._stores[place]

    def read(self, pool_id: int, namespace: str) -> None:
        """Take a store over, if there is one, and track its migrations.

        Raises ``rados.Error`` when it does not answer, StoreFenced when it is a later manager's.
        """
        store = self.store(pool_id, namespace)
        if not store.exists():
            return
        store.take()
        migrations, garbage = store.read()
        with self.changed:
            self._garbage[store.label] = garbage
            for migration in migrations:
                self._tracked.setdefault(migration.id, Tracked(migration))
            self._ordered = None
            self.changed.notify_all()
        log.info("%s: %d migrations under way", store.label, len(migrations))

    @property
    def garbage(self) -> list[Garbage]:
        """Records that cannot be read, of every store."""
        with self.changed:
            return [item for items in self._garbage.values() for item in items]

    def idents(self) -> set[str]:
        """The ids of all migrations that there are records of, also of those not to be read."""
        with self.changed:
            return {*self._tracked, *(g.ident for items in self._garbage.values() for g in items)}

    def unreadable(self) -> list[Garbage]:
        """Records of migrations under way that cannot be read, as they are now.

        What was removed by hand is forgotten; where there was none, nothing is read. Raises
        ``rados.Error`` when a store does not answer.
        """
        with self.changed:
            stores = [s for s in self._stores.values() if self._garbage.get(s.label)]
        found: list[Garbage] = []
        for store in stores:
            try:
                _, garbage = store.read()
            except PoolMissing:
                garbage = []
            found += garbage
            with self.changed:
                self._garbage[store.label] = garbage
        return found

    # -- reading -----------------------------------------------------------------------------

    def get(self, ident: str) -> Optional[Tracked]:
        """The tracked migration ``ident``, if it is under way."""
        with self.changed:
            return self._tracked.get(ident)

    def all(self) -> list[Tracked]:
        """All that are under way, the oldest first."""
        with self.changed:
            if self._ordered is None:
                self._ordered = sorted(self._tracked.values(), key=lambda t: t.migration.created)
            return list(self._ordered)

    def find(self, target: ImageSpec) -> Optional[Tracked]:
        """The migration under way to ``target``."""
        return self._first(lambda m: m.target.spec == target)

    def find_ids(self, source_id: str, target_id: str) -> Optional[Tracked]:
        """The migration under way between these images."""
        return self._first(
            lambda m: (
                m.imported is None
                and m.source.image_id == source_id
                and m.target.image_id in ("", target_id)
            )
        )

    def find_source(self, source: ImageSpec) -> Optional[Tracked]:
        """The migration under way from ``source``."""
        return self._first(lambda m: m.source.spec == source and m.imported is None)

    def _first(self, wanted: Callable[[Migration], bool]) -> Optional[Tracked]:
        with self.changed:
            return next((t for t in self._tracked.values() if wanted(t.migration)), None)

    # -- changing ----------------------------------------------------------------------------

    def create(self, migration: Migration) -> Tracked:
        """Store a new record and track it."""
        tracked = Tracked(migration)
        try:
            self._store_of(migration).write(migration)
        except PoolMissing:
            log.warning("%s: the target's pool is gone; there is no record", migration.id)
        with self.changed:
            self._tracked[migration.id] = tracked
            self._ordered = None
            self.changed.notify_all()
        return tracked

    def update(self, tracked: Tracked, change: Callable[[Migration], Migration]) -> Migration:
        """Apply ``change`` to the record, store it, then show it. Raises what the store raises.

        MigrationError when it is over meanwhile: its record is gone, and must not come back.
        """
        with tracked.write_lock:
            before = tracked.migration
            if self.get(before.id) is not tracked:
                raise MigrationError(
                    EAGAIN, f"The migration to {before.target.spec} ended just now; try again."
                )
            after = change(before)
            if after == before:
                return before
            try:
                self._store_of(before).write(after)
            except PoolMissing:
                log.warning("%s: the target's pool is gone, and the record with it", before.id)
            with self.changed:
                tracked.migration = after
                self.changed.notify_all()
        return after

    def end(self, tracked: Tracked) -> None:
        """Move an ended record to the history. Repeatable: first it is there, then gone here."""
        store = self._store_of(tracked.migration)
        with tracked.write_lock:
            try:
                store.write(replace(tracked.migration, step=None, hold=None), history=True)
                store.remove(tracked.migration.id)
                self._trim(store)
            except PoolMissing:
                log.warning("%s: ended without history", tracked.migration.id)
            self._forget(tracked)

    def claim(self, tracked: Tracked, seconds: float = 0.0) -> bool:
        """Make ``tracked`` busy for the caller, once nobody else is at it; False in vain."""

        def free() -> bool:
            if tracked.busy:
                return False
            tracked.busy = True
            return True

        return self.wait(free, seconds)

    def release(self, tracked: Tracked) -> None:
        """The caller is done with it."""
        with self.changed:
            tracked.busy = False
            self.changed.notify_all()

    def drop(self, tracked: Tracked) -> None:
        """Remove a record of which nothing is to be remembered."""
        with tracked.write_lock:
            self._store_of(tracked.migration).remove(tracked.migration.id)
            self._forget(tracked)

    def _forget(self, tracked: Tracked) -> None:
        with self.changed:
            self._tracked.pop(tracked.migration.id, None)
            self._ordered = None
            self.changed.notify_all()

    def _trim(self, store: Store) -> None:
        """Forget the oldest of a store's history, every so many ends: it costs reading it all."""
        self._ends += 1
        if self._ends % _TRIM_EVERY:
            return
        settings = self._settings()
        ended, _ = store.read(history=True)
        days, count = settings.history_days, settings.history_count
        for migration in surplus(ended, time.time(), days, count):
            store.remove(migration.id, history=True)

    def _store_of(self, migration: Migration) -> Store:
        return self.store(migration.target.pool_id, migration.target.namespace)

    def history(self, pool_ids: Iterable[int]) -> list[Migration]:
        """Ended migrations of these pools, the latest first; what does not answer is left out."""
        ended: list[Migration] = []
        now = time.monotonic()
        for pool_id in pool_ids:
            if self._silent.get(pool_id, 0.0) > now:
                continue
            try:
                for namespace in namespaces(self._client, pool_id):
                    store = self.store(pool_id, namespace)
                    found, garbage = store.read(history=True)
                    ended += found
                    with self.changed:
                        self._garbage[f"{store.label} (history)"] = garbage
            except (rados.Error, PoolMissing) as error:
                log.warning("pool %s: its history cannot be read: %s", pool_id, error)
                self._silent[pool_id] = time.monotonic() + _SILENCE
        return sorted(ended, key=lambda m: m.ended_at or 0.0, reverse=True)

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``done()`` holds, checked at every change; False when time ran out."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not done():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(left)
        return True


__all__ = ["Registry", "StoreFenced", "Tracked"]
