"""Over the fake cluster: a comparison snapshot never stays behind, wherever a worker is killed."""

import pytest

from rbdmigrate.model.states import Goal
from rbdmigrate.model.verification import Verify
from tests.fakes.images import Spot
from tests.fakes.world import World, spec

CONTENT = {"": {0: b"one", 2: b"two"}, "one": {0: b"one", 2: b"two"}}


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", CONTENT[""])
        with made.client("rbd").open("hdd/a") as image:
            image.create_snap("one")
        yield made


def snapshots(world, image):
    """The names of all snapshots of an image, also of those in the trash."""
    spot = Spot.of(world.client("reader").ioctx(image))
    return [s.name for s in spot.header(spot.resolve(spec(image).image)).snapshots.values()]


@pytest.mark.parametrize("operations", range(0, 150, 6))
def test_it_is_dropped_when_a_killed_worker_s_migration_is_committed(world, operations):
    world.kill_worker_after(operations)
    world.retry(lambda: world.prepare("hdd/a", "nvme/a", goal=Goal.COMMITTED, verify=Verify.FULL))
    assert world.wait_state("nvme/a", "committed")["verification"]["outcome"] == "passed"
    assert world.wait_until_quiet()
    assert snapshots(world, "nvme/a") == ["one"]
    assert world.content("nvme/a") == CONTENT
    assert {oid for _, oid in world.cluster.pool_named("hdd").objects} == {
        "rbd_directory", "rbd_trash",
    }  # fmt: skip


@pytest.mark.parametrize("operations", range(0, 60, 3))
def test_it_is_dropped_when_a_killed_worker_s_prepare_is_given_up(world, operations):
    world.kill_worker_after(operations)
    world.retry(lambda: world.prepare("hdd/a", "nvme/a", verify=Verify.FULL))
    world.retry(lambda: world.do("abort", "nvme/a", force=True))
    world.wait_state("nvme/a", "aborted")
    assert world.wait_until_quiet()
    assert snapshots(world, "hdd/a") == ["one"]
    assert world.content("hdd/a") == CONTENT
    assert world.names("nvme") == []


@pytest.mark.parametrize("stage", ["prepared", "executed"])
def test_it_is_dropped_by_an_abort_at_any_stage(world, stage):
    goal = Goal.PREPARED if stage == "prepared" else Goal.EXECUTED
    world.prepare("hdd/a", "nvme/a", goal=goal, verify=Verify.FULL)
    assert len(snapshots(world, "nvme/a")) == 2
    if stage != "prepared":
        world.wait_state("nvme/a", "executed")
    world.do("abort", "nvme/a")
    world.wait_state("nvme/a", "aborted")
    assert snapshots(world, "hdd/a") == ["one"]
    assert world.content("hdd/a") == CONTENT
