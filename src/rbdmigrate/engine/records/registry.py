"""The records of this cluster in memory; every change is in the store before anybody sees it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from errno import EAGAIN
from typing import Optional

import rados

from ...cluster.store import Owner, Store, StoreFenced, UnreadableRecord
from ...control.audit import migration_lines
from ...control.metrics.counting import begun, changed
from ...model.errors import MigrationError, PoolMissing
from ...model.migration import Migration, Place
from ...model.spec import ImageSpec
from ...trace import span
from ..caller import internal, who
from ..hooks.definitions import HookRegistry
from ..hooks.queue import HookQueue
from ..settings import Settings
from .history import EndedMigrations, History
from .record_index import Condition
from .record_writer import RecordWriter
from .stores import Stores
from .tracked import TrackedMigration
from .under_way import MigrationsUnderWay

log = logging.getLogger(__name__)

Count = Callable[..., None]


class Registry:
    """All migrations under way. Thread-safe."""

    def __init__(
        self,
        *,
        client: rados.Rados,
        owner: Owner,
        settings: Callable[[], Settings],
        hooks: Optional[HookQueue] = None,
    ) -> None:
        self._hooks = hooks or HookQueue(HookRegistry(client))
        self.changed = threading.Condition()
        self._under_way = MigrationsUnderWay()
        self.changes: deque[TrackedMigration] = deque()  # those that changed since the last round
        self._stores = Stores(client, owner)
        self.writer = RecordWriter(
            stores=self._stores,
            hooks=self._hooks,
            get=self.get,
            count=lambda sample: self.count(sample),  # noqa: PLW0108 - it is set later
        )
        self._history = History(client, self.store, settings)
        self.count: Count = lambda *samples: None  # what counts what happens
        self.audit: Callable[[str], None] = lambda line: None  # takes lines of the audit log

    # -- the store ---------------------------------------------------------------------------

    def store(self, pool_id: int, namespace: str) -> Store:
        """The store of a target pool and namespace."""
        return self._stores.get(pool_id, namespace)

    def read(self, pool_id: int, namespace: str) -> None:
        """Take a store over, if there is one, and track its migrations.

        Raises ``rados.Error`` when it does not answer, StoreFenced when it is a later manager's.
        """
        store = self.store(pool_id, namespace)
        if not store.exists():
            return
        store.take()
        found, garbage = store.read()
        self._stores.set_unreadable(pool_id, namespace, garbage)
        migrations = []
        for m in found:
            if m.confirmed or self.get(m.id) is not None:
                migrations.append(m)
            else:
                log.warning("%s: %s was never confirmed, it is removed", store.label, m.id)
                store.remove(m.id)
        with self.changed:
            for migration in migrations:
                if migration.id not in self._under_way:
                    self._track(TrackedMigration(migration))
            self._under_way.mark_conflicts()
            self.changed.notify_all()
        self._hooks.loaded(store, store.read_deliveries())
        log.info("%s: %d migrations under way", store.label, len(migrations))

    def conflicts(self) -> list[str]:
        """A sentence for each record that is not acted on since another is about its image."""
        with self.changed:
            return self._under_way.conflicts()

    def forget_pools(self, there: Container[int]) -> None:
        """Report no records of pools that are not ``there`` any more."""
        self._history.forget_pools(there)
        self._stores.forget_pools(there)

    @property
    def garbage(self) -> list[UnreadableRecord]:
        """Records that cannot be read, of every store."""
        return [*self._stores.unreadable(), *self._history.garbage]

    def idents(self) -> set[str]:
        """The ids of all migrations that there are records of, also of those not to be read."""
        with self.changed:
            known = self._under_way.idents()
        return known | {garbage.ident for garbage in self.garbage}

    def unreadable(self) -> list[UnreadableRecord]:
        """Records of migrations under way that cannot be read, as they are now.

        What was removed by hand is forgotten; where there was none, nothing is read. Raises
        ``rados.Error`` when a store does not answer.
        """
        return self._stores.read_unreadable()

    # -- reading -----------------------------------------------------------------------------

    def get(self, ident: str) -> Optional[TrackedMigration]:
        """The migration ``ident``, if it is tracked: under way, or it ended a moment ago."""
        with self.changed:
            return self._under_way.get(ident)

    def under_way(self, idents: Iterable[str]) -> list[TrackedMigration]:
        """Those of ``idents`` that are tracked."""
        found = (self.get(ident) for ident in idents)
        return [one for one in found if one is not None]

    def all(self) -> list[TrackedMigration]:
        """All that are tracked, the oldest first: under way, or they ended a moment ago."""
        with self.changed:
            return self._under_way.all()

    def where(self, condition: Condition) -> list[TrackedMigration]:
        """Those whose record satisfies the condition, the oldest first."""
        with self.changed:
            return self._under_way.where(condition)

    def tracks(self, tracked: TrackedMigration) -> bool:
        """Whether it is still tracked."""
        return self.get(tracked.migration.id) is tracked

    def __len__(self) -> int:
        return len(self._under_way)

    def find(self, target: ImageSpec) -> Optional[TrackedMigration]:
        """The migration under way to ``target``."""
        with self.changed:
            return self._under_way.to(target)

    def find_between(self, source: Place, target: Place) -> Optional[TrackedMigration]:
        """The migration under way between these images, whatever their names.

        One whose target's id is not known yet is that between them if the target has its name.
        """
        with self.changed:
            return self._under_way.between(source, target)

    def find_source(self, source: ImageSpec) -> Optional[TrackedMigration]:
        """The migration under way from ``source``."""
        with self.changed:
            return self._under_way.out_of(source)

    def find_source_id(self, source: Place) -> Optional[TrackedMigration]:
        """The migration under way of the image with the id of ``source``, whatever its name."""
        with self.changed:
            return self._under_way.out_of_id(source)

    # -- changing ----------------------------------------------------------------------------

    def create(self, migration: Migration, *, confirmed: bool = False) -> TrackedMigration:
        """Store a new record and track it. Raises what the store raises.

        It counts for the next manager when it was changed since, as before every act, or
        confirmed (:meth:`confirm`): a request that was answered with an error, since the write
        took too long, never counts later. ``confirmed``: it counts at once, for there is
        no harm in that.
        """
        migration = replace(migration.with_author(None, who()), confirmed=confirmed)
        tracked = TrackedMigration(migration)
        self.count(begun(migration))
        try:
            self.writer.write(migration)
        except PoolMissing:
            log.warning("%s: the target's pool is gone; there is no record", migration.id)
        with self.changed:
            self._track(tracked)
            self.changed.notify_all()
        self._audit(None, migration)
        return tracked

    def confirm(self, tracked: TrackedMigration) -> None:
        """Make a new record count, before the request for it is answered with success.

        Mostly it was changed since it was created, and this does nothing. When it fails the
        migration is forgotten. Raises what the store raises.
        """
        with tracked.write_lock:
            m = tracked.migration
            if m.confirmed or self.get(m.id) is not tracked:
                return
            confirmed = replace(m, confirmed=True)
            try:
                self.writer.write(confirmed)
            except PoolMissing:
                log.warning("%s: the target's pool is gone, and the record with it", m.id)
            except rados.Error:
                self._forget(tracked)
                raise
            with self.changed:
                tracked.migration = confirmed

    def update(
        self, tracked: TrackedMigration, change: Callable[[Migration], Migration]
    ) -> Migration:
        """Apply ``change`` to the record, store it, then show it. Raises what the store raises.

        What ``change`` raises is passed on, and nothing is changed then: refusals belong there.
        MigrationError when it is over meanwhile: its record is gone, and must not come back.
        """
        with tracked.write_lock:
            before = tracked.migration
            if self.get(before.id) is not tracked:
                raise MigrationError(
                    EAGAIN, f"The migration to {before.target.spec} ended just now; try again."
                )
            if not tracked.busy:  # what is being done is left to end
                tracked.refuse_conflict()
            after = change(before)
            if after == before:
                return before
            held = tracked.held_times()
            after = replace(after.with_author(before, who()), confirmed=True, held=held)
            after, posts = self._hooks.of_change(before, after)
            try:
                self.writer.write(after, tracked, posts)
            except PoolMissing:
                log.warning("%s: the target's pool is gone, and the record with it", before.id)
            with self.changed:
                tracked.show(after)
                self._under_way.changed(before, tracked)
                self.changed.notify_all()
            self._hooks.posted(self._stores.of(after), posts)
        self.count(*changed(before, after))
        self._audit(before, after)
        return after

    def _audit(self, before: Optional[Migration], after: Migration) -> None:
        if internal():
            for line in migration_lines(before, after, who()):
                self.audit(line)

    def end(self, tracked: TrackedMigration) -> None:
        """Move an ended record to the history. Repeatable: first it is there, then gone here."""
        with tracked.write_lock:
            m = tracked.migration
            store = self._stores.of(m)
            try:
                self.writer.resolve(store, tracked)
                ended = replace(m, intent=None, hold=None, held=tracked.held_times())
                with span("end", m.id):
                    store.write(ended, history=True)
                    self.writer.remove(store, m.id)
                    self._history.trim(store, ended)
            except PoolMissing:
                log.warning("%s: ended without history", m.id)
            self._forget(tracked)

    def claim(self, tracked: TrackedMigration, seconds: float = 0.0) -> bool:
        """Make ``tracked`` busy for the caller, once it is not; False when time ran out."""

        def free() -> bool:
            if tracked.busy:
                return False
            tracked.busy = True
            return True

        return self.wait(free, seconds)

    def release(self, tracked: TrackedMigration) -> None:
        """The caller is done with it."""
        with self.changed:
            tracked.busy = False
            self.changed.notify_all()

    def drop(
        self, tracked: TrackedMigration, unwanted: Callable[[Migration], bool] = lambda m: True
    ) -> None:
        """Remove a record that does not get into the history, if it is ``unwanted``.

        ``unwanted`` is called while nobody else can change the record.
        """
        with tracked.write_lock:
            m = tracked.migration
            if not unwanted(m):
                return
            store = self._stores.of(m)
            self.writer.resolve(store, tracked)
            self.writer.remove(store, m.id)
            self._forget(tracked)

    def _track(self, tracked: TrackedMigration) -> None:
        """Track a migration; call it with the lock."""
        self._under_way.add(tracked)
        tracked.changes = self.changes
        tracked.tell()

    def _forget(self, tracked: TrackedMigration) -> None:
        with self.changed:
            self._under_way.remove(tracked)
            tracked.tell()
            self.changed.notify_all()

    def history(self, pool_ids: Iterable[int]) -> EndedMigrations:
        """Ended migrations of these pools; see :meth:`.history.History.read`."""
        return self._history.read(pool_ids)

    def wake(self) -> None:
        """Have all that wait look again, for a change that is not of a record."""
        with self.changed:
            self.changed.notify_all()

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


__all__ = ["Registry", "StoreFenced", "TrackedMigration"]
