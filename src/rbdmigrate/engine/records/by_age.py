"""The migrations under way in the order in which they were created."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from .tracked import TrackedMigration


class ByAge:
    """Migrations, the oldest first. Guarded by the lock of the registry.

    One that comes or goes costs no sorting: each of thousands comes and goes.
    """

    def __init__(self) -> None:
        self._created: list[float] = []  # of each in the list, at the same place
        self._list: list[TrackedMigration] = []

    def add(self, tracked: TrackedMigration) -> None:
        """Add a migration, behind others of the same time."""
        created = tracked.migration.created
        place = bisect_right(self._created, created)
        self._created.insert(place, created)
        self._list.insert(place, tracked)

    def remove(self, tracked: TrackedMigration) -> None:
        """Remove a migration that was added. Raises ValueError if it is not there."""
        created = tracked.migration.created
        first, last = bisect_left(self._created, created), bisect_right(self._created, created)
        place = self._list.index(tracked, first, last)
        del self._created[place], self._list[place]

    def all(self) -> list[TrackedMigration]:
        """All of them, in a new list."""
        return list(self._list)
