"""Guests that change to the target of a live migration at its prepare, over the fake cluster."""

import contextlib
from errno import EINVAL

import pytest

from rbdmigrate.model.agent_messages import Go, Outcome, Ready, Released, Resumed, Withdraw
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify
from tests.fakes.cluster import BLOCK
from tests.fakes.world import ManagerLost, World, block, spec
from tests.unit.agent_requests import ask, guest, orders, wait_decided

CONTENT = {"": {0: b"one", 2: b"two"}}
AGENT = CutoverMode.AGENT


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", CONTENT[""])
        yield made


def begin(world, goal=Goal.COMMITTED, target="hdd/a", **policy):
    """A live migration, whose prepare waits for the pause of a guest."""
    wanted = Policy(goal, verify=Verify.NONE, cutover=CutoverPolicy(AGENT, **policy))
    place = None if target == "hdd/a" else spec(target)
    return world.call(
        lambda: world.engine.new_migrations.prepare(
            spec("hdd/a"), place, LayoutOptions(), wanted, force=True, method=Method.LIVE
        )
    )


def released(world, disk, target="hdd/a"):
    """The id of the migration, and the answer to the guest that has just closed its image."""
    (move,) = orders(world, guest("hdd/a", renames=True)).moves
    (ordered,) = move.disks
    assert (ordered.source, ordered.target, ordered.copy) == (spec("hdd/a"), spec(target), None)
    idents = (ordered.migration,)
    assert ask(world, Ready("t", "web-17", idents)) == Go(True)
    disk.close()
    return idents, ask(world, Released("t", "web-17", idents))


@pytest.mark.parametrize("target", ["hdd/a", "nvme/a"])
def test_a_guest_changes_to_the_target_when_it_is_prepared(world, target):
    disk = world.client().open("hdd/a")
    report = begin(world, target=target)
    assert (report["state"], report["hold"]["reason"]) == ("queued", "clients")
    assert world.simulation.now < 3.0  # the command did not wait for a pause
    world.run(40.0)
    assert world.do("get", target)["state"] == "queued"
    disk.write(block(b"later"), BLOCK)
    idents, answer = released(world, disk, target)
    wait_decided(world, "t", idents, answer)
    (outcome,) = ask(world, Outcome("t", idents)).disks
    assert (outcome.image, outcome.moved) == (spec(target), True)
    ask(world, Resumed("t", "web-17", idents, 0.4))
    report = world.wait_state(target, "committed")
    assert report["cutover"]["pause_seconds"] == 0.4
    assert "web-17 on pve3" in " ".join(entry["message"] for entry in report["timeline"])
    assert world.content(target) == {"": {0: b"one", 1: b"later", 2: b"two"}}


def test_a_client_that_is_still_there_keeps_the_guest_on_its_source(world):
    disk = world.client().open("hdd/a")
    begin(world)
    with world.client("other").open("hdd/a"):
        idents, answer = released(world, disk)
        wait_decided(world, "t", idents, answer)
        (outcome,) = ask(world, Outcome("t", idents)).disks
        assert (outcome.image, outcome.moved) == (spec("hdd/a"), False)
        report = world.do("get", "hdd/a")
        assert (report["state"], report["hold"]["reason"]) == ("queued", "retry")
        assert orders(world, guest("hdd/a")).moves == ()
    world.run(31.0)
    assert orders(world, guest("hdd/a")).moves != ()


@pytest.mark.parametrize("after", range(1, 40, 3))
def test_a_worker_killed_in_the_pause_leaves_a_valid_image(world, after):
    disk = world.client().open("hdd/a")
    begin(world, Goal.PREPARED)
    world.kill_worker_after(after)
    idents, answer = released(world, disk)
    wait_decided(world, "t", idents, answer)
    world.forget_kills()
    (outcome,) = ask(world, Outcome("t", idents)).disks
    state = world.do("get", "hdd/a")["state"]
    assert outcome.moved == (state == "prepared")
    with world.client().open("hdd/a") as again:
        again.write(block(b"later"), BLOCK)
    world.wait_until_quiet()
    assert world.do("get", "hdd/a")["state"] == state
    assert world.content("hdd/a") == {"": {0: b"one", 1: b"later", 2: b"two"}}


@pytest.mark.parametrize("after", range(1, 40, 3))
def test_a_guest_that_cannot_wait_gets_a_valid_image(world, after):
    disk = world.client().open("hdd/a")
    begin(world, Goal.PREPARED)
    world.kill_worker_after(after)
    idents, _ = released(world, disk)
    answer = ask(world, Withdraw("t", idents))
    wait_decided(world, "t", idents, answer)
    world.forget_kills()
    (outcome,) = ask(world, Outcome("t", idents)).disks
    report = world.do("get", "hdd/a")
    assert outcome.moved == (report["state"] == "prepared")
    assert outcome.moved or report["hold"]["reason"] == "retry"


@pytest.mark.parametrize("after", range(1, 30, 4))
def test_a_manager_lost_in_the_pause_does_not_lose_the_guest(world, after):
    disk = world.client().open("hdd/a")
    begin(world, Goal.PREPARED)
    (move,) = orders(world, guest("hdd/a")).moves
    idents = (move.disks[0].migration,)
    disk.close()
    world.kill_manager_after(after)
    with contextlib.suppress(ManagerLost):
        ask(world, Released("t", "web-17", idents))
    world.forget_kills()
    world.failover()
    wait_decided(world, "t", idents, ask(world, Outcome("t", idents)))
    (outcome,) = ask(world, Outcome("t", idents)).disks
    assert outcome.moved == (world.do("get", "hdd/a")["state"] == "prepared")


def test_a_target_that_the_guest_cannot_open_is_aborted_and_it_gets_its_source(world):
    disk = world.client().open("hdd/a")
    begin(world, Goal.PREPARED)
    idents, answer = released(world, disk)
    wait_decided(world, "t", idents, answer)
    world.do("abort", "hdd/a")
    world.wait_state("hdd/a", "aborted")
    (outcome,) = ask(world, Outcome("t", idents)).disks
    assert (outcome.image, outcome.moved) == (spec("hdd/a"), False)


def test_it_is_aborted_while_it_waits(world):
    with world.client().open("hdd/a"):
        begin(world)
        world.do("abort", "hdd/a")
        world.wait_state("hdd/a", "aborted")


def test_a_running_guest_does_not_go_back(world):
    disk = world.client().open("hdd/a")
    begin(world, Goal.PREPARED)
    released(world, disk)
    world.wait_state("hdd/a", "prepared")
    with pytest.raises(MigrationError, match="stop the clients") as error:
        world.call(
            lambda: world.engine.migrations.abort(spec("hdd/a"), policy=CutoverPolicy(AGENT))
        )
    assert error.value.errno == EINVAL


def test_a_cutover_when_the_image_is_closed_is_for_the_method_warm(world):
    with pytest.raises(MigrationError, match="method warm") as error:
        world.prepare("hdd/a", "nvme/a", method=Method.LIVE, cutover=CutoverPolicy(
            CutoverMode.WHEN_CLOSED, name_changes=True))  # fmt: skip
    assert error.value.errno == EINVAL
