"""What the loop has to do, kept up to date from what changed since its last round.

A round takes as long as what changed and what is due, however many migrations rest or wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ...control.lifecycle.removable_heap import RemovableHeap
from ..records.tracked import TrackedMigration
from .waiting_list import WaitingList


class Agenda:
    """Migrations by what the loop does with them. For one thread, the loop's.

    ``changes``: where migrations tell that they changed. ``tracks``: whether one is still under
    way. ``busy``: those that an observer, a slot or a command has.
    """

    def __init__(
        self,
        *,
        changes: deque[TrackedMigration],
        tracks: Callable[[TrackedMigration], bool],
        waiting: WaitingList,
    ) -> None:
        self._changes = changes
        self._tracks = tracks
        self.waiting = waiting
        self.busy: set[TrackedMigration] = set()
        self._resting: RemovableHeap[TrackedMigration] = RemovableHeap()
        self._troubled: RemovableHeap[TrackedMigration] = RemovableHeap()

    def update(self) -> None:
        """Take note of what changed."""
        changed: dict[TrackedMigration, None] = {}
        for _ in range(len(self._changes)):  # others may add to it meanwhile
            changed[self._changes.popleft()] = None
        for tracked in changed:
            self._sort_in(tracked)

    def _sort_in(self, tracked: TrackedMigration) -> None:
        gone = not self._tracks(tracked)
        wanted = tracked.wanted
        rests = waits = False
        if gone or not tracked.busy:
            self.busy.discard(tracked)
        else:
            self.busy.add(tracked)
        if not (gone or tracked.busy or tracked.conflict):  # another record is about its image
            waits = wanted is not None and tracked.due >= 0
            rests = not waits
        if waits and wanted is not None:
            self.waiting.add(tracked, wanted)
        else:
            self.waiting.remove(tracked)
        for heap, its in ((self._resting, False), (self._troubled, True)):
            if rests and tracked.troubled is its:
                heap.put(tracked, (tracked.due, tracked.migration.intent is None))
            else:
                heap.remove(tracked)

    def due(self, now: float, most: int, troubled: int) -> list[TrackedMigration]:
        """Up to ``most`` that have to be looked at, of which ``troubled`` may be troubled.

        The most urgent first, those whose act was cut off before others. The caller claims them.
        One that somebody else has is in the agenda again when it is free.
        """
        found: list[TrackedMigration] = []
        for heap, limit in ((self._troubled, min(troubled, most)), (self._resting, most)):
            while len(found) < limit:
                first = heap.first()
                if first is None or first[0][0] > now:
                    break
                found.append(heap.pop())
        return found
