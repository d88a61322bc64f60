"""The migrations under way by the names of their images, which each of thousands asks for."""

from __future__ import annotations

from collections import defaultdict
from typing import Optional

from ...model.migration import Migration
from ...model.spec import ImageSpec
from .tracked import TrackedMigration

_Names = defaultdict[ImageSpec, dict[str, TrackedMigration]]  # by the id of the migration


class NameIndex:
    """Sources and targets by name. Guarded by the registry's lock."""

    def __init__(self) -> None:
        self._sources: _Names = defaultdict(dict)
        self._targets: _Names = defaultdict(dict)

    def add(self, tracked: TrackedMigration) -> None:
        """Enter a migration with the names in its record."""
        m = tracked.migration
        self._targets[m.target.spec][m.id] = tracked
        if m.imported is None:
            self._sources[m.source.spec][m.id] = tracked

    def remove(self, m: Migration) -> None:
        """Take out the names that are in the record ``m``, as they were entered."""
        for names, spec in ((self._targets, m.target.spec), (self._sources, m.source.spec)):
            found = names.get(spec, {})
            found.pop(m.id, None)
            if not found:
                names.pop(spec, None)

    def renamed(self, before: Migration, tracked: TrackedMigration) -> None:
        """A migration has another record than ``before``, maybe with other names."""
        m = tracked.migration
        if (m.source, m.target) != (before.source, before.target):
            self.remove(before)
            self.add(tracked)

    def to(self, target: ImageSpec) -> Optional[TrackedMigration]:
        """The first migration to ``target``."""
        return next(iter(self._targets.get(target, {}).values()), None)

    def out_of(self, source: ImageSpec) -> Optional[TrackedMigration]:
        """The first migration of the image ``source``; imports from outside have none."""
        return next(iter(self._sources.get(source, {}).values()), None)
