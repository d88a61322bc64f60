"""The request that an import which was copied goes on to a later snapshot of its source."""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL

from ...control.lifecycle.later_snapshot import guard_later, require_later_possible, to_later
from ...model.errors import MigrationError
from ...model.import_source import Import, LaterSnapshot
from ...model.inspection import Inspection
from ...model.jobs.questions import InspectSource
from ...model.migration import Migration
from ...model.references import own_keys
from ...model.source_spec import parse_source_spec
from ...model.states import Method
from ..reconcile.abort_guard import GUARDED
from ..records.registry import TrackedMigration
from ..settings import Settings
from .librbd_query import Ask
from .preflight import INSPECTION_TIME
from .target_query import TargetQuery


class LaterSnapshots:
    """Looks at the source and at the target before a record is changed."""

    def __init__(
        self, *, ask: Ask, settings: Callable[[], Settings], target_query: TargetQuery
    ) -> None:
        self._ask = ask
        self._settings = settings
        self._target_query = target_query

    def permitted(
        self, tracked: TrackedMigration, snapshot: str, *, force: bool
    ) -> Callable[[Migration, float], Migration]:
        """What changes the record, and when: refused requests change nothing.

        ``force``: also where clients may have written to the target. Raises MigrationError.
        """
        imported = require_later_possible(tracked.migration)
        later = LaterSnapshot(imported.at_snapshot(snapshot), force)
        m, situation = self._target_query.observed(tracked.migration)
        if later.spec != imported.spec:
            self._require_later(m, imported, later)
            if situation in GUARDED:
                guard_later(m, situation, self._target_query.found(m, situation), force=force)
        return lambda m, now: to_later(m, later, situation, now)

    def _require_later(self, m: Migration, imported: Import, later: LaterSnapshot) -> None:
        """Refuse a snapshot that is not there, or older than the one that was copied."""
        name = parse_source_spec(later.spec).snap_name
        found = self._inspected(m, imported, later.spec)
        for finding in found.errors:
            raise MigrationError(finding.errno, finding.sentence)
        names = {snapshot.name for snapshot in found.snapshots}
        if imported.snapshots and imported.snapshots[-1] in names:
            return
        if not self._inspected(m, imported, imported.spec).errors:
            raise MigrationError(
                EINVAL,
                f"The snapshot {name!r} is older than {imported.source.label()}, which "
                f"{m.target.spec} holds; choose one that was taken after it.",
            )

    def _inspected(self, m: Migration, imported: Import, spec: str) -> Inspection:
        question = InspectSource(
            spec=spec,
            policy=self._settings().import_policy,
            seconds=INSPECTION_TIME,
            method=Method.COPY,
            own_keys=tuple(own_keys(m.id, imported.secrets)),
        )
        return self._ask(question, Inspection, INSPECTION_TIME + 5, order=True)
