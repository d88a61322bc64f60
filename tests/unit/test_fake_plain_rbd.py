"""Over the fake cluster: what plain ``rbd`` does to our migrations is noticed."""

import pytest

from rbdmigrate.control.query import Query
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.states import Goal
from rbdmigrate.model.verification import Verify
from tests.fakes.cluster import Fault
from tests.fakes.errors import timed_out
from tests.fakes.world import World

CONTENT = {"": {0: b"one", 2: b"two"}}
WITHIN = 45.0  # seconds; an idle migration is looked at twice a minute
CLOSED = "Sat 00:00-01:00"  # the simulated time begins on a Tuesday


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", CONTENT[""])
        yield made


@pytest.mark.parametrize(
    ("commands", "state"),
    [(["abort"], "aborted"), (["execute"], "executed"), (["execute", "commit"], "committed")],
)
def test_what_was_done_behind_our_back_is_recorded_as_what_it_is(world, commands, state):
    world.prepare("hdd/a", "nvme/a")
    for command in commands:
        world.client("rbd").rbd(command, "nvme/a")
    report = world.wait_state("nvme/a", state, seconds=WITHIN)
    assert report["failure"] is None
    if state != "executed":
        assert any("somebody else" in entry["message"] for entry in report["timeline"])
        assert world.records() == {}
    assert world.content("hdd/a" if state == "aborted" else "nvme/a") == CONTENT


@pytest.mark.parametrize("command", ["commit", "abort"])
def test_the_comparison_snapshot_is_dropped_also_then(world, command):
    world.prepare("hdd/a", "nvme/a", verify=Verify.FULL)
    world.do("execute", "nvme/a")
    world.wait_state("nvme/a", "executed")
    world.client("rbd").rbd(command, "nvme/a")
    world.wait_state("nvme/a", "committed" if command == "commit" else "aborted", seconds=WITHIN)
    end = "nvme/a" if command == "commit" else "hdd/a"
    with world.client("reader").open(end) as image:
        assert [s["name"] for s in image.list_snaps()] == []


def at_rest(world, **policy):
    """hdd/a is prepared, and was looked at before plain rbd comes."""
    world.prepare("hdd/a", "nvme/a", **policy)
    world.run(5.0)


@pytest.mark.parametrize("shown", ["get", "list"])
def test_what_plain_rbd_did_is_seen_when_somebody_asks(world, shown):
    at_rest(world)
    for command in ("execute", "commit"):
        world.client("rbd").rbd(command, "nvme/a")
    if shown == "list":
        assert list(world.call(lambda: world.engine.listing.find(Query(), refresh=True))) == []
    report = world.do("get", "nvme/a")
    assert (report["state"], report["failure"]) == ("committed", None)


def test_what_waits_for_its_window_is_looked_at_too(world):
    """And says on that it waits, and since when."""
    at_rest(world, goal=Goal.EXECUTED, window=CLOSED)
    assert world.do("get", "nvme/a")["hold"]["reason"] == "window"
    world.run(60.0)
    assert world.do("get", "nvme/a")["hold"]["reason"] == "window"
    for command in ("execute", "commit"):
        world.client("rbd").rbd(command, "nvme/a")
    world.run(5.0)
    assert world.do("get", "nvme/a")["state"] == "committed"


def test_a_look_that_was_just_made_counts(world):
    at_rest(world)
    world.do("get", "nvme/a")
    before = world.cluster.operations
    for _ in range(5):
        world.do("get", "nvme/a")
    assert world.cluster.operations == before


def test_a_pool_that_does_not_answer_leaves_what_is_known(world):
    at_rest(world)
    silent = Fault(
        lambda client, pool, oid, write: pool.name == "nvme", timed_out, 1 << 30, delay=15.0
    )
    world.cluster.faults.append(silent)
    begun = world.simulation.now
    assert world.do("get", "nvme/a")["state"] == "prepared"
    assert world.simulation.now - begun < 5.0
    world.cluster.faults.remove(silent)


@pytest.mark.parametrize("command", ["get", "execute", "abort"])
def test_a_migration_that_plain_rbd_began_is_not_taken_for_one_that_waits(world, command):
    """Both are of the same source: a command about the one does nothing to the other."""
    world.set(max_steps=0)
    world.prepare("hdd/a", "nvme/a")
    world.client("rbd").rbd("prepare", "hdd/a", "nvme/b")
    with pytest.raises(MigrationError, match="hdd/a is already migrating, to nvme/a"):
        world.do(command, "nvme/b")
    listed = world.call(lambda: list(world.engine.listing.find(Query())))
    assert [m["goal"] for m in listed] == ["prepared"]
