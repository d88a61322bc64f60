"""Places for acts: a worker goes on with its migration, within limits, and ends without work."""

from collections.abc import Iterator
from typing import Any, Callable
from unittest.mock import Mock

import pytest

from rbdmigrate.model.states import ActKind, Goal
from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load
from tests.fakes.world import World
from tests.unit.builders import migration

Settings = load().settings.Settings
Placement = load().module("engine.reconcile.placement").Placement
TrackedMigration = load().module("engine.records.tracked").TrackedMigration
Job = load().module("engine.reconcile.worker_slot").Job


def test_one_worker_does_all_steps_of_a_migration():
    with World() as world:
        world.create_image("hdd/a", {0: b"one"})
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
        world.wait_state("nvme/a", "committed")
        inquiry, worker = world.manager.process.children
        assert inquiry is not worker


def test_workers_without_work_end():
    with World() as world:
        world.create_image("hdd/a", {0: b"one"})
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
        world.wait_state("nvme/a", "committed")
        assert world.workers()
        world.run(150.0)
        assert world.workers() == []
        world.create_image("hdd/b", {0: b"two"})
        world.prepare("hdd/b", "nvme/b", goal=Goal.COMMITTED)
        world.wait_state("nvme/b", "committed")


def test_a_pause_between_two_steps_counts():
    with World() as world:
        world.create_image("hdd/a", {0: b"one"})
        world.set(command_wait=0.0)
        world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED)
        world.do("pause", "nvme/a")
        assert world.wait_until_quiet()
        assert world.record("nvme/a").paused
        assert world.record("nvme/a").executed_at is None
        world.do("resume", "nvme/a")
        world.wait_state("nvme/a", "committed")


class Bench:
    """A placement with one slot, which has just ended an act on ``at``."""

    def __init__(self, **settings: Any) -> None:
        names = ("hold", "step", "shared", "own")
        self.place_free = Mock()
        self.holds = Mock(**{f"{name}.return_value": None for name in names})
        self.placement = Placement(
            registry=Mock(**{"claim.return_value": True}),
            holds=self.holds,
            plans=Mock(**{"limits.return_value": {}}),
            breaker=Mock(**{"rests.return_value": False}),
            settings=lambda: Settings(**settings),
            new_slot=self._slot,
            place_free=self.place_free,
        )
        self.made: list[Any] = []
        self.at = TrackedMigration(migration(id="at"))
        self.assign((self.at, ActKind.PREPARE))
        (self.slot,) = self.made

    def assign(self, *waiting: "tuple[Any, ActKind]") -> None:
        """A round of the loop in which these begin to wait."""
        for tracked, act in waiting:
            tracked.wanted = act
            self.placement.waiting.add(tracked, act)
        self.placement.assign()

    def _slot(self, name: str) -> Any:
        slot = Mock(job=None, armed_until=0.0)
        slot.name = name

        def assign(job: Any) -> bool:
            free = slot.job is None
            slot.job = job if free else slot.job
            return free

        slot.assign.side_effect = assign
        self.made.append(slot)
        return slot

    def following(self, act: ActKind) -> Any:
        return self.placement.following(self.slot, self.slot.job, act)


@pytest.fixture
def made() -> "Iterator[Callable[..., Bench]]":
    with bare_cluster("hdd", "nvme"):
        yield Bench


def test_the_next_act_follows_in_the_same_slot(made):
    bench = made()
    following = bench.following(ActKind.EXECUTE)
    assert (following.tracked, following.act) == (bench.at, ActKind.EXECUTE)
    bench.slot.follow.assert_called_once_with(bench.slot.job, following)


def test_a_slot_that_is_to_end_goes_on_with_nothing(made):
    bench = made()
    bench.slot.follow.return_value = False
    bench.at.wanted = ActKind.EXECUTE
    assert bench.following(ActKind.EXECUTE) is None
    assert bench.at.wanted is ActKind.EXECUTE  # the loop finds it a place


def test_its_own_former_act_does_not_count_but_others_do(made):
    bench = made(max_copies=1)
    assert bench.following(ActKind.EXECUTE) is not None
    other = TrackedMigration(migration(id="other"))
    bench.assign((other, ActKind.EXECUTE))
    assert len(bench.made) == 2
    assert bench.following(ActKind.EXECUTE) is None


def test_the_place_that_an_act_leaves_is_given_to_the_next_at_once(made):
    bench = made(max_steps=1)
    bench.following(ActKind.EXECUTE)
    bench.place_free.assert_not_called()  # nobody waits
    bench.assign((TrackedMigration(migration(id="other")), ActKind.PREPARE))
    bench.following(ActKind.COMMIT)
    bench.place_free.assert_not_called()  # it is of the same kind
    bench.following(ActKind.EXECUTE)
    bench.place_free.assert_called_once_with()


def test_what_is_held_back_waits(made):
    bench = made()
    bench.holds.hold.return_value = "a gate"
    assert bench.following(ActKind.EXECUTE) is None
    assert bench.at.held == "a gate"
    assert bench.following(ActKind.COMMIT) is not None


def waiting_copies(number: int) -> "list[Any]":
    return [(TrackedMigration(migration(id=f"m{n:04}")), ActKind.EXECUTE) for n in range(number)]


def test_a_round_asks_once_for_those_that_are_alike(made):
    """There may be thousands, and a round begins with each act that ends."""
    bench = made(max_copies=3)
    waiting = waiting_copies(500)
    bench.holds.shared.return_value = "a window"
    bench.assign(*waiting)
    bench.holds.reset_mock()
    for _ in range(10):
        bench.assign()
    assert bench.holds.shared.call_count == bench.holds.own.call_count == 10
    assert {tracked.held_back() for tracked, _ in waiting} == {"a window"}
    bench.holds.shared.return_value = None
    bench.assign()
    assert bench.holds.own.call_count <= 10 + 2 * 5  # before and when they begin, and the next
    assert [slot.job.tracked for slot in bench.made[1:]] == [tracked for tracked, _ in waiting[:3]]
    assert {tracked.held_back() for tracked, _ in waiting} == {None}
    assert len(bench.placement.waiting) == 497


def test_one_that_is_held_back_alone_does_not_hold_back_others(made):
    bench = made(max_copies=1)
    (big, act), small = waiting_copies(2)
    bench.holds.own.side_effect = lambda m, act: "no room" if m.id == big.migration.id else None
    bench.assign((big, act), small)
    assert bench.made[1].job.tracked is small[0]
    assert (big.held_back(), small[0].held_back()) == ("no room", None)
    bench.made[1].job = None
    bench.holds.own.side_effect = None
    bench.assign()
    assert bench.made[1].job.tracked is big


def test_those_held_back_alone_all_have_their_turn(made):
    bench = made(max_copies=1)
    waiting = waiting_copies(500)
    bench.holds.own.return_value = "no room"
    bench.assign(*waiting)
    bench.holds.reset_mock()
    last = waiting[-1][0]
    bench.holds.own.side_effect = lambda m, act: None if m.id == last.migration.id else "no room"
    rounds = 0
    while len(bench.made) == 1:
        before, rounds = bench.holds.own.call_count, rounds + 1
        bench.assign()
        assert bench.holds.own.call_count - before < 100
    assert bench.made[1].job.tracked is last
    assert rounds < 10


def test_one_migration_at_a_time_tries_a_source_that_did_not_answer(made):
    bench = made(max_copies=3)
    waiting = waiting_copies(3)

    def rests(m: Any, act: ActKind, trying: "set[str]") -> bool:
        known = m.source.pool in trying
        trying.add(m.source.pool)
        return known

    bench.placement.waiting._breaker.rests.side_effect = rests
    bench.slot.job = None
    bench.assign(*waiting)
    assert [slot.job.tracked for slot in bench.made] == [waiting[0][0]]
    assert [tracked.rests() for tracked, _ in waiting] == [False, True, True]


def test_what_a_command_took_is_not_begun(made):
    bench = made(max_copies=2)
    (taken, act), other = waiting_copies(2)
    for tracked in (taken, other[0]):
        tracked.wanted = act
        bench.placement.waiting.add(tracked, act)
    taken.wanted = None
    bench.placement.assign()
    assert [slot.job.tracked for slot in bench.made[1:]] == [other[0]]


def test_what_has_a_chance_is_looked_at_each_time(made):
    bench = made(max_copies=1)
    waiting = TrackedMigration(migration(id="waiting"))
    bench.holds.own.return_value = "a question"
    bench.assign((waiting, ActKind.EXECUTE))
    assert len(bench.made) == 1
    bench.holds.own.return_value = None
    bench.assign()
    assert bench.made[1].job.tracked is waiting


def test_higher_priorities_and_urgent_acts_that_wait_go_first(made):
    bench = made(max_steps=1, max_copies=0)
    first = TrackedMigration(migration(id="first", priority=1))
    bench.assign((first, ActKind.COMMIT))
    assert bench.following(ActKind.COMMIT) is None
    assert bench.following(ActKind.ABORT) is None
    bench.placement.waiting.remove(first)
    gone = TrackedMigration(migration(id="gone"))
    bench.assign((gone, ActKind.ABORT))
    assert bench.following(ActKind.COMMIT) is None
    assert bench.following(ActKind.ABORT) is not None
    bench.placement.waiting.remove(gone)
    bench.assign()
    assert bench.following(ActKind.COMMIT) is not None


def test_a_worker_that_has_images_open_gets_no_other_job_while_there_is_room(made):
    bench = made(max_copies=1, max_steps=1, max_verifies=0)
    bench.slot.job, bench.slot.armed_until = None, float("inf")
    second = TrackedMigration(migration(id="second"))
    bench.assign((second, ActKind.EXECUTE))
    assert bench.made[1].job.tracked is second
    third = TrackedMigration(migration(id="third"))
    bench.assign((third, ActKind.COMMIT))
    assert bench.slot.job.tracked is third  # no more than the limits add up to


def test_an_act_of_a_worker_that_is_ready_for_it_is_not_begun_elsewhere(made):
    bench = made()
    bench.at.armed = ("worker-7", float("inf"))
    assert bench.following(ActKind.CUT_OVER) is None
    bench.at.armed = (bench.slot.name, float("inf"))
    assert bench.following(ActKind.CUT_OVER) is not None
    assert bench.at.armed is None
