"""The migrations under way whose records satisfy a condition.

What is looked at every second must not take longer the more migrations rest.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from ...control.hooks.questions import commit_is_next, is_awaited
from ...control.lifecycle.cutover import in_cutover
from ...control.lifecycle.warm import may_go_back
from ...model.client_warnings import target_changes
from ...model.migration import Migration
from .tracked import TrackedMigration


class Condition(Enum):
    """Conditions of records. They depend on nothing else, not on the time either."""

    ACTING = "an act is under way"
    AWAITED = "it waits for clients, or for an answer of hooks"
    COMMIT_NEXT = "it goes on with its commit"
    IN_CUTOVER = "its clients are being stopped, or wait"
    TOUCHED = "clients did to its target what librbd does not expect"
    WAY_BACK = "an abort would copy back what clients wrote to the target"


_CONDITIONS: dict[Condition, Callable[[Migration], bool]] = {
    Condition.ACTING: lambda m: m.intent is not None,
    Condition.AWAITED: is_awaited,
    Condition.COMMIT_NEXT: commit_is_next,
    Condition.IN_CUTOVER: in_cutover,
    Condition.TOUCHED: lambda m: any(target_changes(m)),
    Condition.WAY_BACK: may_go_back,
}


class RecordIndex:
    """Migrations by the conditions that their records satisfy. Guarded by the registry's lock."""

    def __init__(self) -> None:
        self._found: dict[Condition, dict[str, TrackedMigration]] = {c: {} for c in Condition}

    def note(self, tracked: TrackedMigration) -> None:
        """Its record may have changed."""
        for condition, found in self._found.items():
            if _CONDITIONS[condition](tracked.migration):
                found[tracked.migration.id] = tracked
            else:
                found.pop(tracked.migration.id, None)

    def remove(self, tracked: TrackedMigration) -> None:
        """It is not under way any more."""
        for found in self._found.values():
            found.pop(tracked.migration.id, None)

    def where(self, condition: Condition) -> list[TrackedMigration]:
        """Those that satisfy the condition, the oldest first."""
        found = self._found[condition].values()
        return sorted(found, key=lambda tracked: tracked.migration.created)
