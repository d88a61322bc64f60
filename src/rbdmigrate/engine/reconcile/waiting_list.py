"""Migrations that wait for a slot, in groups that the same things hold back.

Thousands may wait, and a round of the loop begins with each act that ends. So a round asks once for
each group what holds it back, and beyond that looks at those that begin, and at a few of those that
something holds back that concerns them alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Optional

from ...control.lifecycle.cutover import undecided
from ...control.lifecycle.removable_heap import RemovableHeap
from ...control.lifecycle.schedule import Selection, Waiting, kind_of, order, precedence
from ...model.migration import Migration
from ...model.states import ActKind
from ..pace.holds import Holds
from ..records.tracked import TrackedMigration, WaitingTogether
from .source_breaker import SourceBreaker

_ASKED_AGAIN = 64  # of those held back alone, in each round

_Head = tuple[tuple[int, bool, float, str], TrackedMigration]


class _Group(WaitingTogether):
    """Migrations that wait for the same act with the same pools, source host, plan and window."""

    __slots__ = ("able", "act", "held_alone", "key")

    def __init__(self, key: tuple[object, ...], act: ActKind) -> None:
        super().__init__()
        self.key = key
        self.act = act
        self.able: RemovableHeap[TrackedMigration] = RemovableHeap()
        self.held_alone = 0  # how many of it wait for something that concerns them alone


class WaitingList:
    """Who waits. For one thread. ``first``: the best precedence that waits, by kind of act."""

    def __init__(self, *, holds: Holds, breaker: SourceBreaker) -> None:
        self._holds = holds
        self._breaker = breaker
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._group_of: dict[TrackedMigration, _Group] = {}
        self._held_alone: dict[TrackedMigration, _Group] = {}  # the longest not asked first
        self.first: dict[str, tuple[int, bool]] = {}

    def __len__(self) -> int:
        return len(self._group_of)

    def add(self, tracked: TrackedMigration, act: ActKind) -> None:
        """It waits for a slot with ``act``."""
        self.remove(tracked)
        key = _alike(tracked.migration, act)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(key, act)
        self._group_of[tracked] = group
        tracked.group = group
        self._enter(tracked, group)

    def remove(self, tracked: TrackedMigration) -> None:
        """It waits no more, if it did; what held it back is known until it waits again."""
        group = self._group_of.pop(tracked, None)
        if group is None:
            return
        group.able.remove(tracked)
        if self._held_alone.pop(tracked, None) is not None:
            group.held_alone -= 1
        if not group.able and not group.held_alone:
            del self._groups[group.key]

    def choose(
        self, selection: Selection, trying: set[str]
    ) -> Iterator[tuple[TrackedMigration, ActKind]]:
        """Yield those that may begin now, the first first; they are not in the list any more.

        ``trying``: the sources at which somebody is at work; it is added to.
        """
        self._ask_again()
        self.first = {}
        heads = [
            (head[0], number, group)
            for number, group in enumerate(list(self._groups.values()))
            if (head := self._free_head(group, trying)) is not None
        ]
        heapq.heapify(heads)
        while heads:
            _, number, group = heapq.heappop(heads)
            head = self._head(group)
            if head is None:
                continue
            key, tracked = head
            if not selection.any_for(group.act):
                self._note_first(tracked, group.act)
            elif self._source_rests(tracked, group, trying):
                if not group.rests:  # others of it have other sources
                    heapq.heappush(heads, (key, number, group))
            elif not selection.take(as_waiting(tracked.migration, group.act)):
                self._note_first(tracked, group.act)
            else:
                self.remove(tracked)
                tracked.held = tracked.group = None
                tracked.source_rests = False
                yield tracked, group.act
                following = self._head(group)
                if following is not None:
                    heapq.heappush(heads, (following[0], number, group))

    def _free_head(self, group: _Group, trying: set[str]) -> Optional[_Head]:
        """The first of a group, unless something holds back all of it."""
        group.rests = False
        head = self._head(group)
        if head is None:
            return None
        group.held = self._holds.shared(head[1].migration, group.act)
        if group.held is not None:
            return None
        if self._source_rests(head[1], group, set(trying)):
            return None if group.rests else self._head(group)
        return head

    def _head(self, group: _Group) -> Optional[_Head]:
        """The first of a group that nothing holds back that concerns it alone."""
        while (head := group.able.first()) is not None:
            tracked = head[1]
            tracked.held = self._holds.own(tracked.migration, group.act)
            if tracked.held is None:
                return head
            self._set_aside(tracked, group)
        return None

    def _source_rests(self, tracked: TrackedMigration, group: _Group, trying: set[str]) -> bool:
        """Whether its source is left alone; if all of the group share that, note it there."""
        m = tracked.migration
        rests = self._breaker.rests(m, group.act, trying)
        if rests and _source_is_shared(m):
            group.rests = True
        elif rests:
            tracked.source_rests = True
            self._set_aside(tracked, group)
        return rests

    def _note_first(self, tracked: TrackedMigration, act: ActKind) -> None:
        kind, rank = kind_of(act), precedence(tracked.migration.priority, act)
        self.first[kind] = min(self.first.get(kind, rank), rank)

    def _enter(self, tracked: TrackedMigration, group: _Group) -> None:
        """Put one into the group, or aside if something holds it back that concerns it alone."""
        m = tracked.migration
        tracked.held = self._holds.own(m, group.act)
        tracked.source_rests = not _source_is_shared(m) and self._breaker.rests(m, group.act, set())
        if tracked.held is not None or tracked.source_rests:
            self._set_aside(tracked, group)
        else:
            group.able.put(tracked, order(as_waiting(m, group.act)))

    def _set_aside(self, tracked: TrackedMigration, group: _Group) -> None:
        group.able.remove(tracked)
        self._held_alone[tracked] = group
        group.held_alone += 1

    def _ask_again(self) -> None:
        """Ask some of those that were set aside: all have their turn, round by round."""
        for _ in range(min(_ASKED_AGAIN, len(self._held_alone))):
            tracked = next(iter(self._held_alone))
            group = self._held_alone.pop(tracked)
            group.held_alone -= 1
            self._enter(tracked, group)


def _alike(m: Migration, act: ActKind) -> tuple[object, ...]:
    """What migrations have in common when the same things hold them back."""
    places = (m.source.pool, m.source.pool_id, m.target.pool, m.target.pool_id, m.layout.data_pool)
    begun = act is ActKind.CUT_OVER and undecided(m)
    return (act, *places, host_of(m), _source_is_shared(m), m.plan, m.window, begun)


def _source_is_shared(m: Migration) -> bool:
    """Whether its source is a pool or a host, from which others may read too."""
    return m.imported is None or not m.imported.outside or bool(m.imported.host)


def host_of(m: Migration) -> str:
    """The external host that a migration reads from; empty without one."""
    return m.imported.host if m.imported is not None else ""


def as_waiting(m: Migration, act: ActKind) -> Waiting:
    """A migration as one that could act."""
    return Waiting(
        m.id,
        act,
        m.priority,
        m.created,
        m.source.pool,
        m.target.pool,
        host_of(m),
        m.plan,
        undecided(m),
    )
