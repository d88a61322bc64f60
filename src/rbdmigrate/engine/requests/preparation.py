"""Preparing what is asked for: from the request over preflight to a prepared migration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import rados

from ...cluster.observe import observe
from ...cluster.pools import pool_name
from ...control.lifecycle.cutover import by_prepare, waits_for_clients
from ...control.lifecycle.requests import to_undo_prepare
from ...control.lifecycle.situation import Situation, diagnose
from ...model.errors import MigrationError
from ...model.layout import LayoutOptions
from ...model.migration import Migration
from ...model.policy import Policy
from ...model.request import MigrationRequest
from ...model.source_spec import SourceSpec
from ...model.spec import ImageSpec
from ...model.states import State
from ..reconcile import verification as verifying
from ..reconcile.scheduler import Scheduler
from ..records.registry import Registry, TrackedMigration
from ..records.secrets import Secrets
from .admission import Admission
from .errors import TranslatedErrors
from .lookup import Lookup
from .record_changes import RecordChanges

_PREPARED = frozenset(State) - {State.QUEUED, State.PREPARING}


class Preparation:
    """Makes migrations of requests, and forgets those that were refused."""

    def __init__(
        self,
        *,
        client: rados.Rados,
        registry: Registry,
        scheduler: Scheduler,
        lookup: Lookup,
        admission: Admission,
        secrets: Secrets,
        changes: RecordChanges,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._client = client
        self._registry = registry
        self._scheduler = scheduler
        self._lookup = lookup
        self._admission = admission
        self._secrets = secrets
        self._changes = changes
        self._translated = translated

    def prepare(self, request: MigrationRequest, policy: Policy) -> TrackedMigration:
        """The migration that is asked for, when it is prepared or has waited for long enough.

        The same request twice is one migration. Raises MigrationError for every refusal, having
        changed nothing.
        """
        self._lookup.require_read(request.target)
        with self._translated(request.target):
            tracked = self._admission.take_on(request, policy)
        self._scheduler.wake(tracked)
        tracked.refuse_conflict()
        try:
            self._changes.wait(tracked, _PREPARED, _waits_for_pause, retries=True)
        except MigrationError:
            self._forget_refused(tracked)
            raise
        with self._translated(tracked.migration.target.spec):
            self._registry.confirm(tracked)
        return tracked

    def import_request(
        self, spec: SourceSpec, target: ImageSpec, layout: LayoutOptions
    ) -> MigrationRequest:
        """The request for an import. A native source is named by its place, others by a label."""
        source = spec.name
        if spec.format == "native" and not spec.elsewhere and not source.pool:
            source = replace(source, pool=pool_name(self._client, spec.pool_id or 0))
        return MigrationRequest(source, target, layout, spec)

    def _forget_refused(self, tracked: TrackedMigration) -> None:
        """A prepare that was refused changed nothing, so its record is removed."""
        m = tracked.migration
        with self._translated(m.target.spec):
            situation = diagnose(m, observe(self._client, m))
            half_made = m.imported is not None and situation is Situation.HALF_PREPARED
            if half_made or self._has_left_point(m, situation):
                self._changes.change(tracked, to_undo_prepare)
            elif situation is Situation.UNTOUCHED and self._registry.claim(tracked, 5.0):
                try:
                    self._drop(tracked)
                finally:
                    self._registry.release(tracked)

    def _has_left_point(self, m: Migration, situation: Situation) -> bool:
        """Whether the comparison snapshot of a prepare that was refused is on the source."""
        if (
            m.imported is not None
            or not m.comparison_snapshot
            or situation is not Situation.UNTOUCHED
        ):
            return False
        return verifying.has_point(self._client, m)

    def _drop(self, tracked: TrackedMigration) -> None:
        """Forget a migration that failed, unless somebody asked for it again meanwhile."""

        def unwanted(m: Migration) -> bool:
            if m.state is not State.FAILED or m.prepared_at is not None:
                return False
            self._secrets.forget(m)
            return True

        with self._lookup.admission:
            self._registry.drop(tracked, unwanted)


def _waits_for_pause(m: Migration) -> bool:
    """Whether its prepare waits until its clients have closed the source."""
    return by_prepare(m) and waits_for_clients(m)
