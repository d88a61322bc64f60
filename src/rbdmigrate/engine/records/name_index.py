"""The migrations under way by their images: thousands look for theirs."""

from __future__ import annotations

from collections import defaultdict
from typing import Optional

from ...model.migration import Migration, Place
from ...model.spec import ImageSpec
from .tracked import TrackedMigration

_Names = defaultdict[ImageSpec, dict[str, TrackedMigration]]  # by the id of the migration
_ImageId = tuple[int, str, str]  # id of the pool, namespace, id of the image


class NameIndex:
    """Sources and targets by name, sources also by id. Guarded by the lock of the registry."""

    def __init__(self) -> None:
        self._sources: _Names = defaultdict(dict)
        self._targets: _Names = defaultdict(dict)
        self._source_ids: dict[_ImageId, TrackedMigration] = {}

    def add(self, tracked: TrackedMigration) -> None:
        """Enter a migration with the names in its record."""
        m = tracked.migration
        self._targets[m.target.spec][m.id] = tracked
        if m.imported is None:
            self._sources[m.source.spec][m.id] = tracked
            self._source_ids.setdefault(_image_id(m.source), tracked)

    def remove(self, m: Migration) -> None:
        """Take out the names that are in the record ``m``, as they were entered."""
        for names, spec in ((self._targets, m.target.spec), (self._sources, m.source.spec)):
            found = names.get(spec, {})
            found.pop(m.id, None)
            if not found:
                names.pop(spec, None)
        one = self._source_ids.get(_image_id(m.source))
        if one is not None and one.migration.id == m.id:
            del self._source_ids[_image_id(m.source)]

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

    def out_of_id(self, source: Place) -> Optional[TrackedMigration]:
        """The first migration of the image with the id of ``source``, whatever its name.

        None where that id is not known.
        """
        return self._source_ids.get(_image_id(source)) if source.image_id else None


def _image_id(place: Place) -> _ImageId:
    return place.pool_id, place.namespace, place.image_id
