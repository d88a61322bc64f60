"""Over the fake cluster: what plain ``rbd`` does to our migrations is noticed."""

import pytest

from rbdmigrate.model.verification import Verify
from tests.fakes.world import World

CONTENT = {"": {0: b"one", 2: b"two"}}
WITHIN = 45.0  # seconds; an idle migration is looked at twice a minute


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
