"""Finding the migration that a request is about, or saying why there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from errno import EAGAIN, EBUSY, EEXIST, EINVAL, ENOENT
from typing import Optional, Union

import rados

from ...cluster.osdmap import wait_for_latest_osdmap
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.request import MigrationRequest
from ...model.spec import ImageSpec
from ..caller import access
from ..records.loader import Loader
from ..records.registry import Registry, TrackedMigration
from ..records.secrets import prefix_of
from .adoption import adoptable
from .errors import TranslatedErrors
from .unreadable import refuse_adoption, refuse_claimed


class Lookup:
    """Looks in the registry, in the images' headers and in the history, in that order."""

    def __init__(
        self,
        *,
        client: rados.Rados,
        registry: Registry,
        loader: Loader,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._client = client
        self._registry = registry
        self._loader = loader
        self._translated = translated
        self.admission = threading.Lock()  # one new record at a time

    def asked_before(self, request: MigrationRequest) -> Optional[TrackedMigration]:
        """The migration under way that was asked for by the same request. Changes nothing.

        Raises MigrationError when another migration has the request's source or target.
        """
        if request.spec is not None:
            refuse_claimed(self._registry, request.target)
        else:
            refuse_claimed(self._registry, request.source, request.target)
        tracked = self._registry.find(request.target)
        if tracked is not None:
            access().require_migration(tracked.migration)
            refuse_taken(tracked.migration, request)
            return tracked
        other = self._registry.find_source(request.source) if request.spec is None else None
        if other is not None:
            raise _migrating(other.migration)
        return None

    def refuse_known(self, m: Migration) -> None:
        """Raise MigrationError(EBUSY) if the image of the new record ``m`` is in another one.

        Names may have changed since it was looked at.
        """
        if m.imported is None:
            known = self._registry.find_source_id(m.source)
            if known is not None:
                raise _migrating(known.migration)
        if m.from_another_cluster:
            for tracked in self._registry.all():
                if _same_image(m, tracked.migration):
                    raise _migrating(tracked.migration)

    def find(self, target: ImageSpec) -> Optional[TrackedMigration]:
        """The migration under way to ``target``; one made by plain ``rbd`` is taken over.

        As stock ``rbd migration`` does, the source's name is taken where it is nobody's target.
        MigrationError(EACCES) when the caller may not touch all of it.
        """
        tracked = self.tracked(target)
        if tracked is not None:
            return tracked
        self.require_read(target)
        refuse_claimed(self._registry, target)
        with self.admission:
            tracked = self._registry.find(target)
            migration = adoptable(self._client, target) if tracked is None else tracked.migration
            if migration is None:
                return None
            access().require_migration(migration)
            if tracked is not None:
                return tracked
            known = self._recorded(migration)
            if known is not None:
                return known
            refuse_adoption(self._registry, migration)
            return self._registry.create(migration, confirmed=True)

    def tracked(self, target: ImageSpec) -> Optional[TrackedMigration]:
        """The recorded migration under way to ``target``, or from it. MigrationError(EACCES)."""
        tracked = self._registry.find(target) or self._registry.find_source(target)
        if tracked is not None:
            access().require_migration(tracked.migration)
        return tracked

    def look(self, target: ImageSpec) -> Union[TrackedMigration, Migration, None]:
        """The same as :meth:`find`, but nothing is written: one made by plain ``rbd`` is described
        as the record that an order about it would make.
        """
        tracked = self.tracked(target)
        if tracked is not None:
            return tracked
        self.require_read(target)
        refuse_claimed(self._registry, target)
        migration = adoptable(self._client, target)
        if migration is None:
            return None
        access().require_migration(migration)
        return self._recorded(migration) or _untaken(migration)

    def _recorded(self, found: Migration) -> Optional[TrackedMigration]:
        """The record of a migration that the images' headers tell of, under other names.

        Raises MigrationError: EBUSY if the source is in another one, EACCES.
        """
        known = self._registry.find_between(found.source, found.target)
        if known is None:
            self.refuse_known(found)
        else:
            access().require_migration(known.migration)
        return known

    def require_read(self, target: ImageSpec) -> None:
        """Only when the pool's records are known can be said that there is none."""
        with self._translated(target):
            wait_for_latest_osdmap(self._client)
            if self._client.pool_exists(target.pool):
                self._loader.require(self._client.pool_lookup(target.pool))

    def require(self, target: ImageSpec) -> TrackedMigration:
        """The migration under way to ``target``; MigrationError says why there is none."""
        with self._translated(target):
            tracked = self.find(target)
            if tracked is None:
                ended = self.ended(target)
                raise MigrationError(
                    EINVAL,
                    f"The migration of {ended.source.spec} to {ended.target.spec} is over, it was "
                    f"{ended.state.value}; there is nothing left to do.",
                )
        return tracked

    def ended(self, target: ImageSpec) -> Migration:
        """The last migration to ``target`` that ended, or else the last from it.

        MigrationError says why there is none.
        """
        ended = self._registry.history(self._loader.pools())
        seen = [m for m in ended.migrations if access().sees(m)]
        to_it = [m for m in seen if m.target.spec == target]
        from_it = [m for m in seen if m.source.spec == target and m.imported is None]
        if to_it or from_it:
            return (to_it or from_it)[0]
        silent = sorted({*ended.left_out, *self._loader.unread()})
        if silent:
            raise MigrationError(
                EAGAIN,
                f"No migration to {target} is known, but not all records can be read: the pool "
                f"{silent[0]} does not answer; look at `ceph health` and try again.",
            )
        raise MigrationError(
            ENOENT,
            f"There is no migration to or from {target}; `ceph rbd migration ls` lists all "
            "migrations.",
        )


def _same_image(m: Migration, other: Migration) -> bool:
    """Whether both migrate the same image of another cluster."""
    if m.imported is None or other.imported is None or other.state.ended:
        return False
    return m.imported.image == other.imported.image


def _untaken(migration: Migration) -> Migration:
    """A migration of plain rbd as a reader sees it: nobody has taken it over yet."""
    message = "begun with plain rbd migration; any command that acts on it takes it over"
    timeline = tuple(replace(entry, message=message) for entry in migration.timeline[:1])
    return replace(migration, id="", adopted=False, timeline=timeline)


def _migrating(m: Migration) -> MigrationError:
    """Its target is named to those who may see it."""
    message = f"The source {m.source.spec} is already migrating"
    if access().sees(m):
        target = m.target.spec
        message += f", to {target}; see `ceph rbd migration status {target}`"
    return MigrationError(EBUSY, f"{message}.")


def _refuse_other_method(m: Migration, request: MigrationRequest) -> None:
    asked = request.asked_method
    if asked is not None and asked is not m.method:
        raise MigrationError(
            EEXIST,
            f"{m.source.spec} is migrating to {m.target.spec} already, by the method "
            f"{m.method.value}; leave out --method, or abort that migration first.",
        )


def refuse_taken(m: Migration, request: MigrationRequest) -> None:
    """MigrationError(EEXIST) unless the record is about the source that is asked for."""
    if request.spec is None:
        same = m.imported is None and m.source.spec == request.source
        _refuse_other_method(m, request)
    else:
        spec, _ = request.spec.with_secrets_at(prefix_of(m.id))
        kept = m.imported
        same = kept is not None and (kept.spec, kept.inline, m.method) == (
            spec.to_json(),
            request.inline,
            request.method,
        )
    if not same:
        raise MigrationError(
            EEXIST,
            f"The target {m.target.spec} is already the target of a migration from "
            f"{m.source.spec}; choose another name or abort that one.",
        )
