"""The migrations under way in memory: by id, by images, by age, and by conditions."""

from __future__ import annotations

from typing import Optional

from ...control.lifecycle.duplicates import duplicates
from ...model.migration import Migration, Place
from ...model.spec import ImageSpec
from .by_age import ByAge
from .name_index import NameIndex
from .record_index import Condition, RecordIndex
from .tracked import TrackedMigration


class MigrationsUnderWay:
    """All migrations under way. Guarded by the lock of the registry."""

    def __init__(self) -> None:
        self._by_id: dict[str, TrackedMigration] = {}
        self._by_age = ByAge()
        self._index = RecordIndex()
        self._names = NameIndex()

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, ident: str) -> bool:
        return ident in self._by_id

    def add(self, tracked: TrackedMigration) -> None:
        """Add a migration."""
        self._by_id[tracked.migration.id] = tracked
        self._names.add(tracked)
        self._by_age.add(tracked)
        self._index.note(tracked)

    def changed(self, before: Migration, tracked: TrackedMigration) -> None:
        """A migration has another record than ``before``."""
        self._names.renamed(before, tracked)
        self._index.note(tracked)

    def remove(self, tracked: TrackedMigration) -> None:
        """Remove a migration, if it is there."""
        if self._by_id.pop(tracked.migration.id, None) is not None:
            self._names.remove(tracked.migration)
            self._by_age.remove(tracked)
            self._index.remove(tracked)

    def get(self, ident: str) -> Optional[TrackedMigration]:
        """The migration with this id."""
        return self._by_id.get(ident)

    def idents(self) -> set[str]:
        """The ids of all."""
        return set(self._by_id)

    def all(self) -> list[TrackedMigration]:
        """All, the oldest first."""
        return self._by_age.all()

    def where(self, condition: Condition) -> list[TrackedMigration]:
        """Those whose record satisfies the condition, the oldest first."""
        return self._index.where(condition)

    def to(self, target: ImageSpec) -> Optional[TrackedMigration]:
        """The first migration to ``target``."""
        return self._names.to(target)

    def out_of(self, source: ImageSpec) -> Optional[TrackedMigration]:
        """The first migration of the image ``source``; imports from outside have none."""
        return self._names.out_of(source)

    def out_of_id(self, source: Place) -> Optional[TrackedMigration]:
        """The first migration of the image with the id of ``source``, whatever its name."""
        return self._names.out_of_id(source)

    def between(self, source: Place, target: Place) -> Optional[TrackedMigration]:
        """The migration between these images, whatever their names.

        One whose target's id is not known yet is that between them if the target has its name.
        """
        return next(
            (t for t in self._by_id.values() if _is_between(t.migration, source, target)), None
        )

    def mark_conflicts(self) -> None:
        """Have records about the same image wait, all but one."""
        found = duplicates(tracked.migration for tracked in self._by_id.values())
        for ident, tracked in self._by_id.items():
            before, tracked.conflict = tracked.conflict, found.get(ident, "")
            if tracked.conflict != before:
                tracked.tell()

    def conflicts(self) -> list[str]:
        """A sentence for each record that is not acted on since another is about its image."""
        return [tracked.conflict for tracked in self._by_id.values() if tracked.conflict]


def _is_between(m: Migration, source: Place, target: Place) -> bool:
    if m.imported is not None or m.source.image_id != source.image_id:
        return False
    if m.target.image_id:
        return m.target.image_id == target.image_id
    return m.target.spec == target.spec
