"""The loop's agenda: it takes note of what changed, and never goes through all migrations."""

from collections import deque
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from rbdmigrate.model.migration import Intent
from rbdmigrate.model.states import ActKind
from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load
from tests.unit.builders import migration

Agenda = load().module("engine.reconcile.agenda").Agenda
WaitingList = load().module("engine.reconcile.waiting_list").WaitingList
TrackedMigration = load().module("engine.records.tracked").TrackedMigration


class Bench:
    """An agenda with migrations; ``gone`` are no longer under way."""

    def __init__(self) -> None:
        self.changes: deque[Any] = deque()
        self.gone: set[Any] = set()
        holds = Mock(**{"shared.return_value": None, "own.return_value": None})
        breaker = Mock(**{"rests.return_value": False})
        self.agenda = Agenda(
            changes=self.changes,
            tracks=lambda tracked: tracked not in self.gone,
            waiting=WaitingList(holds=holds, breaker=breaker),
        )

    def tracked(self, ident: str = "a", **fields: Any) -> Any:
        made = TrackedMigration(migration(id=ident, **fields))
        made.changes = self.changes
        made.tell()
        return made

    def due(self, now: float = 100.0, most: int = 9, troubled: int = 9) -> "list[Any]":
        self.agenda.update()
        return self.agenda.due(now, most, troubled)


@pytest.fixture
def bench() -> "Iterator[Bench]":
    with bare_cluster("hdd", "nvme"):
        yield Bench()


def test_what_is_due_is_found_once_and_again_after_it_was_busy(bench):
    one, later = bench.tracked(), bench.tracked("later")
    later.due = 200.0
    assert bench.due() == [one]
    one.busy = True
    assert bench.due() == []
    assert bench.agenda.busy == {one}
    one.due = 300.0
    one.busy = False
    assert bench.due() == []
    assert bench.due(now=250.0) == [later]
    assert bench.due(now=300.0) == [one]
    assert bench.agenda.busy == set()


def test_the_most_urgent_are_found_first(bench):
    intent = Intent(ActKind.EXECUTE, 1.0, actor=Mock())
    usual, cut_off, urgent = (
        bench.tracked("usual"), bench.tracked("cut", intent=intent), bench.tracked("urgent"),
    )  # fmt: skip
    urgent.due = -1.0
    assert bench.due(most=1) == [urgent]
    assert bench.due() == [cut_off, usual]


def test_few_of_those_whose_pools_do_not_answer_are_looked_at_at_once(bench):
    silent = [bench.tracked(f"silent-{number}") for number in range(5)]
    for tracked in silent:
        tracked.troubled = True
        tracked.tell()
    well = bench.tracked("well")
    assert bench.due(troubled=2) == [*silent[:2], well]
    assert bench.due(troubled=0) == []
    silent[2].troubled = False
    silent[2].due = 1.0
    assert bench.due(troubled=0) == [silent[2]]


def test_what_waits_for_a_slot_is_not_looked_at_unless_somebody_asks(bench):
    one = bench.tracked()
    one.wanted = ActKind.EXECUTE
    assert bench.due() == []
    assert len(bench.agenda.waiting) == 1
    one.due = -1.0
    assert bench.due() == [one]
    assert len(bench.agenda.waiting) == 0


def test_nothing_is_done_with_doubles_and_with_what_is_gone(bench):
    double, gone = bench.tracked("double"), bench.tracked("gone")
    double.conflict = "another record is about its image"
    bench.gone.add(gone)
    assert bench.due() == []
    double.conflict = ""
    double.tell()
    assert bench.due() == [double]
    gone.wanted, gone.busy = ActKind.EXECUTE, True
    bench.agenda.update()
    assert bench.agenda.busy == set()
    assert len(bench.agenda.waiting) == 0


def test_a_change_while_it_takes_note_counts_in_the_next_round(bench):
    one = bench.tracked()

    def tracks(tracked: Any) -> bool:
        if not bench.changes:
            one.due = 500.0
        return True

    bench.agenda._tracks = tracks
    bench.agenda.update()
    assert bench.changes
    assert bench.due(now=400.0) == []
