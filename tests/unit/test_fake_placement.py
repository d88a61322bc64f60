"""Places for acts: a worker goes on with its migration, within limits, and ends without work."""

from collections.abc import Iterator
from typing import Any, Callable
from unittest.mock import Mock

import pytest

from rbdmigrate.model.states import Goal, Op
from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load
from tests.fakes.simulation import active
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
        assert world.settle()
        assert world.record("nvme/a").paused
        assert world.record("nvme/a").executed_at is None
        world.do("resume", "nvme/a")
        world.wait_state("nvme/a", "committed")


class Bench:
    """A placement with one slot, which has just ended an act on ``at``."""

    def __init__(self, **settings: Any) -> None:
        self.holds = Mock(**{"hold.return_value": None, "step.return_value": None})
        self.placement = Placement(
            registry=Mock(**{"claim.return_value": True}),
            holds=self.holds,
            plans=Mock(**{"limits.return_value": {}}),
            breaker=Mock(**{"rests.return_value": False}),
            settings=lambda: Settings(**settings),
            new_slot=self._slot,
        )
        self.made: list[Any] = []
        self.at = TrackedMigration(migration(id="at"))
        self.placement.assign([(self.at, Op.PREPARE)])
        (self.slot,) = self.made

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

    def following(self, op: Op) -> Any:
        return self.placement.following(self.slot, self.slot.job, op)


@pytest.fixture
def made() -> "Iterator[Callable[..., Bench]]":
    with bare_cluster("hdd", "nvme"):
        yield Bench


def test_the_next_act_follows_in_the_same_slot(made):
    bench = made()
    following = bench.following(Op.EXECUTE)
    assert (following.tracked, following.op) == (bench.at, Op.EXECUTE)
    bench.slot.follow.assert_called_once_with(bench.slot.job, following)


def test_a_slot_that_is_to_end_goes_on_with_nothing(made):
    bench = made()
    bench.slot.follow.return_value = False
    bench.at.wanted = Op.EXECUTE
    assert bench.following(Op.EXECUTE) is None
    assert bench.at.wanted is Op.EXECUTE  # the loop finds it a place


def test_its_own_former_act_does_not_count_but_others_do(made):
    bench = made(max_copies=1)
    assert bench.following(Op.EXECUTE) is not None
    other = TrackedMigration(migration(id="other"))
    bench.placement.assign([(other, Op.EXECUTE)])
    assert len(bench.made) == 2
    assert bench.following(Op.EXECUTE) is None


def test_what_is_held_back_waits(made):
    bench = made()
    bench.holds.hold.return_value = "a gate"
    assert bench.following(Op.EXECUTE) is None
    assert bench.at.held == "a gate"
    assert bench.following(Op.COMMIT) is not None


def test_what_has_no_chance_is_looked_at_now_and_then(made):
    """There may be thousands, and a round begins with each act that ends."""
    bench = made(max_copies=0, max_steps=1)
    waiting = [(TrackedMigration(migration(id=f"m{n}")), Op.EXECUTE) for n in range(3)]
    bench.holds.hold.return_value = "a window"
    for _ in range(10):
        bench.placement.assign(waiting)
    assert bench.holds.hold.call_count == 3
    assert {tracked.held for tracked, _ in waiting} == {"a window"}
    bench.holds.hold.return_value = None
    active().sleep(6.0)
    bench.placement.assign(waiting)
    assert {tracked.held for tracked, _ in waiting} == {None}


def test_what_has_a_chance_is_looked_at_each_time(made):
    bench = made(max_copies=1)
    waiting = TrackedMigration(migration(id="waiting"))
    bench.holds.hold.return_value = "a window"
    bench.placement.assign([(waiting, Op.EXECUTE)])
    assert len(bench.made) == 1
    bench.holds.hold.return_value = None
    bench.placement.assign([(waiting, Op.EXECUTE)])
    assert bench.made[1].job.tracked is waiting


def test_higher_priorities_and_urgent_acts_that_wait_go_first(made):
    bench = made(max_steps=1, max_copies=0)
    first = TrackedMigration(migration(id="first", priority=1))
    bench.placement.assign([(first, Op.COMMIT)])
    assert bench.following(Op.COMMIT) is None
    assert bench.following(Op.ABORT) is None
    bench.placement.assign([(TrackedMigration(migration(id="gone")), Op.ABORT)])
    assert bench.following(Op.COMMIT) is None
    assert bench.following(Op.ABORT) is not None
    bench.placement.assign([])
    assert bench.following(Op.COMMIT) is not None


def test_a_worker_that_has_images_open_gets_no_other_job_while_there_is_room(made):
    bench = made(max_copies=1, max_steps=1, max_verifies=0)
    bench.slot.job, bench.slot.armed_until = None, float("inf")
    second = TrackedMigration(migration(id="second"))
    bench.placement.assign([(second, Op.EXECUTE)])
    assert bench.made[1].job.tracked is second
    third = TrackedMigration(migration(id="third"))
    bench.placement.assign([(third, Op.COMMIT)])
    assert bench.slot.job.tracked is third  # no more than the limits add up to


def test_an_act_of_a_worker_that_is_ready_for_it_is_not_begun_elsewhere(made):
    bench = made()
    bench.at.armed = ("worker-7", float("inf"))
    assert bench.following(Op.CUT_OVER) is None
    bench.at.armed = (bench.slot.name, float("inf"))
    assert bench.following(Op.CUT_OVER) is not None
    assert bench.at.armed is None
