"""Lists of migrations, as their caller may see them. Thread-safe; returns plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Union

from ...control.query import ListResult, Query, Row, page, totals
from ...model.client_warnings import target_changes
from ...model.migration import Migration
from ...model.spec import ImageSpec
from ..caller import access
from ..records.loader import Loader
from ..records.record_index import Condition
from ..records.registry import Registry, TrackedMigration
from .errors import TranslatedErrors
from .fresh_look import FreshLook
from .report import brief, render, row
from .report_text import report_texts

Report = dict[str, Any]
Item = Union[TrackedMigration, Migration]
_EVERY = ImageSpec("", "", "ended migrations")  # what a sentence about all of them names


class Listing:
    """All migrations under way, and those of the history. Without those a caller may not see."""

    def __init__(
        self,
        *,
        registry: Registry,
        loader: Loader,
        fresh_look: FreshLook,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._registry = registry
        self._loader = loader
        self._fresh_look = fresh_look
        self._translated = translated

    def find(self, query: Query, *, refresh: bool = False) -> ListResult:
        """All that ``query`` finds: the oldest first, then those of the history.

        Its order and offset do not count, nor does a limit of 0. ``refresh``: look at all under
        way first.
        """
        if refresh:
            self._fresh_look.look(self._under_way())
        items: list[Item] = [t for t in self._under_way() if query.wants(t.migration)]
        if query.ended:
            items += [m for m in self._ended() if query.wants(m)]
        found = items[: query.limit] if query.limit else items
        return ListResult(found, render=render, brief=brief, texts=report_texts)

    def browse(self, query: Query) -> tuple[int, list[Report]]:
        """How many migrations ``query`` finds, and the page of them that it asks for."""
        ended = self._ended() if query.ended else []
        rows = chain(map(row, self._under_way()), (Row(m, m) for m in ended))
        return page(rows, query, render)

    def summary(self) -> dict[str, Any]:
        """All migrations under way in numbers."""
        return totals(map(row, self._under_way()), render)

    def history(self, query: Query) -> tuple[int, list[Report]]:
        """How many ended migrations ``query`` finds, and the page of them that it asks for."""
        return page((Row(m, m) for m in self._ended()), query, render)

    def changed_targets(self) -> list[str]:
        """What clients did to targets that librbd does not expect: a sentence for each."""
        return [
            f"{m.source.spec} -> {m.target.spec}: {warning.text}"
            for m in (
                tracked.migration for tracked in self._seen(self._registry.where(Condition.TOUCHED))
            )
            for warning in target_changes(m)
        ]

    def _under_way(self) -> list[TrackedMigration]:
        return self._seen(self._registry.all())

    @staticmethod
    def _seen(found: Iterable[TrackedMigration]) -> list[TrackedMigration]:
        caller = access()
        return [t for t in found if not t.migration.state.ended and caller.sees(t.migration)]

    def _ended(self) -> list[Migration]:
        """Those of the history, after those that have ended and are not in it yet."""
        caller = access()
        ended = [t.migration for t in self._registry.all() if t.migration.state.ended]
        with self._translated(_EVERY):
            history = self._registry.history(self._loader.pools()).migrations
        known = {m.id for m in history}
        ended = [m for m in ended if m.id not in known]
        return [m for m in (*ended, *history) if caller.sees(m)]
