"""Listing: what there is, migrations under way and ended, one or all, and how fast copies go."""

from __future__ import annotations

from collections.abc import Container
from itertools import chain
from typing import Any, Optional

from ...control.query import Query, Row, numbers, page
from ...model.client_warnings import target_changes
from ...model.migration import Migration, State
from ...model.report import Live, iso, report
from ...model.spec import ImageSpec
from ..caller import access
from ..records.registry import TrackedMigration
from .components import Parts
from .report import live_hold, render, row, view

Report = dict[str, Any]
# Within Listing, list is a method.
Reports = list[Report]
Trackeds = list[TrackedMigration]
Migrations = list[Migration]
Strings = list[str]
_EVERY = ImageSpec("", "", "ended migrations")  # what a sentence about all of them names


class Listing(Parts):
    """Requests that change nothing. They show what the caller may see."""

    def list(
        self, *, ended: bool = False, states: Optional[Container[State]] = None
    ) -> list[Report]:
        """All migrations under way, the oldest first; with ``ended`` also those of the history.

        ``states``: only those under way that are in one of these.
        """
        tracked = self._under_way()
        if states is not None:
            tracked = [t for t in tracked if t.migration.state in states]
        reports = [view(t) for t in tracked]
        if ended:
            reports += [report(m, Live()) for m in self._ended()]
        return reports

    def browse(self, query: Query) -> tuple[int, Reports]:
        """How many migrations ``query`` finds, and the page of them that it asks for."""
        ended = self._ended() if query.ended else []
        rows = chain(map(row, self._under_way()), (Row(m, m) for m in ended))
        return page(rows, query, render)

    def summary(self) -> dict[str, Any]:
        """All migrations under way in numbers."""
        return numbers(map(row, self._under_way()), live_hold, render)

    def throughput(self) -> Reports:
        """Bytes per second of all copies over the last hour, and the throttle, the oldest first."""
        return [
            {"at": iso(point.at), "rate": int(point.rate), "limit": point.limit}
            for point in self._throttle.trend()
        ]

    def history(self, *, since: Optional[float] = None) -> Reports:
        """Ended migrations, the latest first. ``since``: only those that ended since this time."""
        ended = self._ended()
        if since is not None:
            ended = [m for m in ended if (m.ended_at or 0.0) >= since]
        return [report(m, Live()) for m in ended]

    def _ended(self) -> Migrations:
        caller = access()
        with self._answers(_EVERY):
            ended = self._registry.history(self._loader.pools()).migrations
        return [m for m in ended if caller.sees(m)]

    def get(self, target: ImageSpec) -> Report:
        """The migration to ``target``, the last ended one when none is under way.

        One that plain ``rbd migration prepare`` made is described, and not taken over.
        MigrationError(ENOENT, EACCES).
        """
        with self._answers(target):
            found = self._lookup.look(target)
            return render(self._lookup.ended(target) if found is None else found)

    def changed_targets(self) -> Strings:
        """What clients did to targets that librbd does not expect: a sentence for each."""
        return [
            f"{m.source.spec} -> {m.target.spec}: {warning.text}"
            for m in (tracked.migration for tracked in self._under_way())
            for warning in target_changes(m)
        ]

    def cluster_rate(self) -> Optional[int]:
        """The cluster's throttle in force now, in bytes per second; None is no limit."""
        return self._throttle.cluster_rate()

    def conditions(self) -> dict[str, Any]:
        """The health gates that are not open, and the latency guard (None: it is off)."""
        return self._monitor.to_plain()

    def _under_way(self) -> Trackeds:
        caller = access()
        return [t for t in self._registry.all() if caller.sees(t.migration)]
