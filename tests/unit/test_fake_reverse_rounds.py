"""Reverse rounds over the fake cluster: the kept source is refreshed until the commit."""

from errno import EINVAL

import pytest

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.states import Method
from rbdmigrate.model.verification import Verify
from tests.fakes import rbd_module
from tests.fakes.cluster import BLOCK
from tests.fakes.images import Spot
from tests.fakes.world import World, block

TARGET = "nvme/a"
HOUR = 3600.0


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", {0: b"one", 2: b"two"})
        yield made


def cut_over(world, **policy):
    world.prepare("hdd/a", TARGET, method=Method.WARM, **{"verify": Verify.NONE, **policy})
    world.do("execute", TARGET)
    world.wait_state(TARGET, "executed")
    return world.do("cutover", TARGET)


def write(world, *texts):
    """Write each text to an object of its own of the target."""
    with world.client("writer").open(TARGET) as image:
        for number, text in enumerate(texts):
            image.write(block(text), number * BLOCK)


def source_of(world):
    """Where the kept source is, and its id."""
    return Spot.of(world.client("reader").ioctx("hdd/a")), world.record(TARGET).source.image_id


def kept(world):
    """The head of the kept source, by object."""
    spot, ident = source_of(world)
    header = spot.header(ident)
    assert header.locked_out
    return {n: bytes(data).rstrip(b".") for n, data in header.blocks.items()}


def rounds(world):
    return world.do("get", TARGET)["reverse_rounds"]


def refresh(world):
    """Ask for a round and let it end."""
    world.do("execute", TARGET)
    world.run(5.0)


def test_none_is_copied_unless_that_is_asked_for(world):
    cut_over(world)
    write(world, b"new")
    world.jump_ahead(24 * HOUR)
    assert rounds(world) is None
    assert kept(world)[0] == b"one"


def test_one_that_is_asked_for_brings_the_source_up_to_date_while_clients_write(world):
    report = cut_over(world)
    write(world, b"new")
    with world.client().open(TARGET):
        refresh(world)
        found = world.do("get", TARGET)
        assert (found["state"], found["clients"], found["hold"]) == ("cut-over", "target", None)
    told = found["reverse_rounds"]
    assert (told["count"], told["bytes"], told["every_seconds"]) == (1, BLOCK, None)
    assert told["age_seconds"] < 10
    assert kept(world)[0] == b"new"
    assert found["timeline"][len(report["timeline"]) :][-1]["message"] == "execute"
    write(world, b"new", b"later")
    assert world.do("abort", TARGET)["state"] == "aborted"
    assert world.content("hdd/a") == {"": {0: b"new", 1: b"later", 2: b"two"}}
    assert world.wait_until_quiet()
    assert world.records() == {}


def test_they_follow_as_often_as_was_set_and_none_takes_a_snapshot_where_nothing_was_written(world):
    cut_over(world)
    spot, ident = source_of(world)
    world.do("change", TARGET, changes=Changes(refresh_source=HOUR))
    write(world, b"new")
    world.jump_ahead(HOUR + 60)
    assert rounds(world)["count"] == 1
    assert kept(world)[0] == b"new"
    snapshots = set(spot.header(ident).snapshots)
    world.jump_ahead(3 * HOUR)
    assert (rounds(world)["count"], rounds(world)["bytes"]) == (2, 0)
    assert set(spot.header(ident).snapshots) == snapshots
    write(world, b"newer")
    world.jump_ahead(5 * HOUR)
    assert kept(world)[0] == b"newer"
    world.do("change", TARGET, changes=Changes(refresh_source=0.0))
    write(world, b"newest")
    world.jump_ahead(48 * HOUR)
    assert kept(world)[0] == b"newer"


def test_a_paused_one_is_not_refreshed_and_goes_on_when_it_is_resumed(world):
    cut_over(world)
    world.do("change", TARGET, changes=Changes(refresh_source=HOUR))
    world.do("pause", TARGET)
    write(world, b"new")
    world.jump_ahead(3 * HOUR)
    assert kept(world)[0] == b"one"
    world.do("resume", TARGET)
    world.run(60.0)
    assert kept(world)[0] == b"new"


def test_the_comparison_before_the_commit_is_that_of_the_cutover(world):
    cut_over(world, verify=Verify.FULL)
    write(world, b"new")
    refresh(world)
    assert world.do("commit", TARGET)["verification"]["outcome"] == "passed"
    assert world.content(TARGET) == {"": {0: b"new", 2: b"two"}}
    assert world.wait_until_quiet()
    assert world.records() == {}


@pytest.mark.parametrize("after", range(26))
@pytest.mark.parametrize("killed", ["worker", "manager"])
def test_a_round_that_is_cut_off_leaves_a_source_to_which_an_abort_goes_back(world, killed, after):
    cut_over(world)
    write(world, b"new", b"newer", b"newest")
    world.do("execute", TARGET)
    getattr(world, f"kill_{killed}_after")(after)
    world.run(5.0)
    world.forget_kills()
    if not world.manager.process.alive:
        world.failover()
    world.run(30.0)
    write(world, b"later")
    wanted = {"": {0: b"later", 1: b"newer", 2: b"newest"}}
    assert world.content(TARGET) == wanted
    kept(world)  # and clients are locked out of it
    world.retry(lambda: world.do("abort", TARGET))
    world.wait_state(TARGET, "aborted")
    assert world.content("hdd/a") == wanted
    assert world.wait_until_quiet()


@pytest.mark.parametrize("request_", ["abort", "commit"])
@pytest.mark.parametrize("after", range(0, 26, 3))
def test_one_that_runs_is_ended_by_what_is_asked_for(world, request_, after):
    cut_over(world)
    write(world, b"new", b"newer", b"newest")
    world.do("execute", TARGET)
    seen = []

    def count(client, oid, write):
        if client.process in world.workers():
            seen.append(oid)

    world.cluster.before.append(count)
    for _ in range(200):
        if len(seen) > after:
            break
        world.run(0.01)
    world.do(request_, TARGET)
    left = "hdd/a" if request_ == "abort" else TARGET
    assert world.content(left) == {"": {0: b"new", 1: b"newer", 2: b"newest"}}
    assert world.wait_until_quiet()
    assert world.records() == {}


def test_a_round_that_fails_is_told_of_and_tried_again_and_the_clients_go_on(world):
    cut_over(world)
    refresh_failed(world)
    found = world.do("get", TARGET)
    assert (found["state"], found["failure"], found["hold"]) == ("cut-over", None, None)
    assert "open for writing" in found["reverse_rounds"]["problem"]
    world.jump_ahead(HOUR)
    world.run(10.0)
    assert world.do("get", TARGET)["reverse_rounds"]["problem"] is None
    assert kept(world)[0] == b"new"


def refresh_failed(world):
    """A round that meets a client of the kept source."""
    _, ident = source_of(world)
    write(world, b"new")
    ioctx = world.client("stray").ioctx("hdd/a")
    with rbd_module.Image(ioctx, image_id=ident):
        refresh(world)


def test_only_a_kept_source_can_be_refreshed(world):
    world.prepare("hdd/a", TARGET)
    with pytest.raises(MigrationError) as error:
        world.do("change", TARGET, changes=Changes(refresh_source=HOUR))
    assert error.value.errno == EINVAL
    assert "method live" in str(error.value)
