"""Cutovers that wait for clients, over the fake cluster: an agent's pause, and closed images."""

import json
from errno import EAGAIN, EINVAL, ENOENT

import pytest

from rbdmigrate.control.lifecycle.cutover import released
from rbdmigrate.model.agent_messages import (
    Declined,
    Go,
    OpenDisk,
    OpenGuest,
    Outcome,
    Ready,
    Released,
    Resumed,
    Withdraw,
    decode_answer,
    decode_request,
)
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy, Release
from rbdmigrate.model.errors import MigrationError, RecordError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify
from tests.fakes import warm
from tests.fakes.cluster import BLOCK
from tests.fakes.world import World, block, spec
from tests.unit.agent_requests import ask, guest, orders, wait_decided

CONTENT = {"": {0: b"one", 2: b"two"}}
LATER = {"": {0: b"one", 1: b"later", 2: b"two"}}
AGENT, WHEN_CLOSED = CutoverMode.AGENT, CutoverMode.WHEN_CLOSED


@pytest.fixture
def world():
    with World() as made:
        made.create_image("hdd/a", CONTENT[""])
        yield made


def begin(world, mode, goal=Goal.CUT_OVER, source="hdd/a", **policy):
    """A warm migration in place, which waits for its clients when it is executed."""
    wanted = Policy(goal, verify=Verify.NONE, cutover=CutoverPolicy(mode, **policy))
    return world.call(
        lambda: world.engine.new_migrations.prepare(
            spec(source), None, LayoutOptions(), wanted, force=True, method=Method.WARM
        )
    )


def waiting(world, *images, **policy):
    """The ids of migrations of the images of a guest, ordered to be paused."""
    for image in images:
        begin(world, AGENT, source=image, **policy)
        world.wait_state(image, "executed")
    found = orders(world, guest(*images))
    assert found.interval < 5
    (move,) = found.moves
    return tuple(disk.migration for disk in move.disks)


def until_ready(world, idents):
    """Ask until the copy is fresh: once, or again when another round was copied."""
    token = f"for {idents[0]}"
    answer = ask(world, Ready(token, "web-17", idents))
    if not answer.go:
        assert answer.again > 0
        world.run(2.0)
        answer = ask(world, Ready(token, "web-17", idents))
    assert answer == Go(True)


def write_later(world, image="hdd/a"):
    with world.client("writer").open(image) as opened:
        opened.write(block(b"later"), BLOCK)


def test_an_agent_moves_a_guest_with_every_write(world):
    with world.client().open("hdd/a") as disk:
        idents = waiting(world, "hdd/a")
        disk.write(block(b"later"), BLOCK)
        until_ready(world, idents)
    answer = ask(world, Released("t", "web-17", idents))
    assert answer.decided
    assert [(d.image, d.moved) for d in answer.disks] == [(spec("hdd/a"), True)]
    assert ask(world, Outcome("t", idents)) == answer
    ask(world, Resumed("t", "web-17", idents, 0.25, ("Change what starts it.",)))
    report = world.do("get", "hdd/a")
    assert (report["state"], report["clients"]) == ("cut-over", "target")
    assert report["rounds"]["pause_seconds"] == 0.25
    said = report["timeline"][-1]["message"]
    assert "web-17 on pve3" in said
    assert said.endswith(" after a pause of 0.25 s. Change what starts it.")
    assert world.content("hdd/a") == LATER
    assert orders(world, guest("hdd/a")).moves == ()


def test_a_client_that_is_still_there_keeps_the_guest_on_its_source(world):
    idents = waiting(world, "hdd/a")
    with world.client().open("hdd/a"):
        answer = ask(world, Released("t", "web-17", idents))
        assert [(d.image, d.moved) for d in answer.disks] == [(spec("hdd/a"), False)]
        assert "open for writing" in answer.message
        assert orders(world, guest("hdd/a")).moves == ()
        report = world.do("get", "hdd/a")
        assert (report["state"], report["goal"]) == ("executed", "cut-over")
        assert report["hold"]["reason"] == "retry"
    world.run(31.0)
    assert orders(world, guest("hdd/a")).moves != ()
    assert ask(world, Released("u", "web-17", idents)).disks[0].moved


def test_an_agent_that_withdraws_before_the_cutover_began_gets_its_source(world):
    idents = waiting(world, "hdd/a")
    release = Release(1e9, "t", "pve3", "web-17")
    tracked = world.engine._registry.get(idents[0])
    world.call(
        lambda: world.engine._registry.update(tracked, lambda m: released(m, release, AGENT))
    )
    answer = ask(world, Withdraw("t", idents))
    assert [(d.image, d.moved) for d in answer.disks] == [(spec("hdd/a"), False)]
    assert world.do("get", "hdd/a")["state"] == "executed"


@pytest.mark.parametrize("after", range(1, 60, 7))
def test_a_worker_killed_in_the_pause_leaves_a_valid_image(world, after):
    idents = waiting(world, "hdd/a")
    write_later(world)
    world.kill_worker_after(after)
    answer = ask(world, Released("t", "web-17", idents))
    wait_decided(world, "t", idents, answer)
    world.forget_kills()
    assert world.content("hdd/a") == LATER


def test_a_guest_goes_on_when_the_target_has_its_name(world, monkeypatch):
    """Also when the worker is killed before it has brought the directory in line."""
    idents = waiting(world, "hdd/a")
    write_later(world)
    state = []

    def kill(*_):
        state.append(world.do("get", "hdd/a")["state"])
        world.simulation.kill(world.simulation.current())

    monkeypatch.setattr(warm.Exchange, "_complete", kill)
    answer = ask(world, Released("t", "web-17", idents))
    world.run(0.1)
    monkeypatch.undo()
    assert state == ["cutting-over"]
    assert [(d.image, d.moved) for d in answer.disks] == [(spec("hdd/a"), True)]
    assert world.content("hdd/a") == LATER
    ask(world, Resumed("t", "web-17", idents, 0.25))
    world.wait_state("hdd/a", "cut-over")
    assert ask(world, Outcome("t", idents)) == answer


def test_the_answer_to_ready_comes_when_the_round_ends(world):
    idents = waiting(world, "hdd/a")
    world.run(60)  # so that the last round is too old for a pause
    asked = world.simulation.now
    assert ask(world, Ready("t", "web-17", idents)) == Go(True)
    assert world.simulation.now - asked < 1.0


def test_nobody_waits_for_an_outcome_while_a_guest_is_about_to_stand_still(world):
    """Commands are carried out one after another, and the agent's next one is urgent."""
    world.create_image("hdd/other", CONTENT[""])
    idents = waiting(world, "hdd/a")
    until_ready(world, idents)
    assert world.prepare("hdd/other", "nvme/other")["state"] != "prepared"
    answer = ask(world, Released("t", "web-17", idents))
    wait_decided(world, "t", idents, answer)
    ask(world, Resumed("t", "web-17", idents, 0.25))
    world.wait_state("nvme/other", "prepared")


def test_two_guests_that_stand_still_do_not_wait_for_each_other(world):
    world.create_image("hdd/b", CONTENT[""])
    first, second = waiting(world, "hdd/a"), waiting(world, "hdd/b")
    until_ready(world, first)
    until_ready(world, second)
    world.kill_worker_after(5)  # so that the outcome takes its time
    asked = world.simulation.now
    ask(world, Released("u", "web-18", second))
    assert world.simulation.now - asked < 0.5
    world.forget_kills()


def test_a_failover_while_the_guest_waits_does_not_lose_it(world):
    idents = waiting(world, "hdd/a")
    write_later(world)
    world.kill_worker_after(5)
    world.call(lambda: world.engine.agents.answer("pve3", Released("t", "web-17", idents)))
    world.failover()
    answer = ask(world, Outcome("t", idents))
    wait_decided(world, "t", idents, answer)
    assert world.content("hdd/a") == LATER


def test_all_disks_of_a_guest_move_in_one_pause(world):
    world.create_image("hdd/b", CONTENT[""])
    begin(world, AGENT)
    world.wait_state("hdd/a", "executed")
    begin(world, AGENT, source="hdd/b", goal=Goal.COMMITTED)
    world.wait_state("hdd/b", "executed")
    (move,) = orders(world, guest("hdd/a", "hdd/b", "hdd/other")).moves
    idents = tuple(disk.migration for disk in move.disks)
    assert len(idents) == 2
    answer = ask(world, Released("t", "web-17", idents))
    assert [d.moved for d in answer.disks] == [True, True]
    world.wait_state("hdd/b", "committed")
    assert [d.moved for d in ask(world, Outcome("t", idents)).disks] == [True, True]


REASONS = [
    ({"reason": "a block job runs"}, "a block job runs"),
    ({"status": "io-error"}, "io-error"),
]


@pytest.mark.parametrize(("traits", "said"), REASONS)
def test_a_guest_that_cannot_be_moved_is_left_alone_and_it_is_said_why(world, traits, said):
    begin(world, AGENT)
    world.wait_state("hdd/a", "executed")
    assert "No agent" in world.do("get", "hdd/a")["hold"]["message"]
    assert orders(world, guest("hdd/a", **traits)).moves == ()
    hold = world.do("get", "hdd/a")["hold"]
    assert hold["reason"] == "clients"
    assert said in hold["message"]


def test_a_guest_whose_definition_nobody_changes_is_not_moved_to_another_name(world):
    wanted = Policy(Goal.CUT_OVER, verify=Verify.NONE, cutover=CutoverPolicy(AGENT))
    world.prepare("hdd/a", "nvme/a", method=Method.WARM, goal=Goal.CUT_OVER, verify=Verify.NONE,
                  cutover=wanted.cutover)  # fmt: skip
    world.wait_state("nvme/a", "executed")
    assert orders(world, guest("hdd/a")).moves == ()
    assert "--name-changes" in world.do("get", "nvme/a")["hold"]["message"]
    (move,) = orders(world, guest("hdd/a", renames=True)).moves
    assert (move.disks[0].source, move.disks[0].target) == (spec("hdd/a"), spec("nvme/a"))


def test_two_guests_that_share_a_disk_are_left_alone(world):
    begin(world, AGENT)
    world.wait_state("hdd/a", "executed")
    other = OpenGuest("web-18", "uuid-18", "running", (OpenDisk(spec("hdd/a")),))
    assert orders(world, guest("hdd/a"), other).moves == ()
    assert "shares" in world.do("get", "hdd/a")["hold"]["message"]


def test_an_agent_that_declines_is_asked_again_later(world):
    idents = waiting(world, "hdd/a")
    ask(world, Declined("web-17", idents, "a backup runs."))
    assert orders(world, guest("hdd/a")).moves == ()
    assert "a backup runs." in world.do("get", "hdd/a")["hold"]["message"]
    world.run(31.0)
    assert orders(world, guest("hdd/a")).moves != ()


def test_a_guest_that_is_shut_off_needs_no_agent(world):
    begin(world, AGENT)
    world.wait_state("hdd/a", "cut-over", seconds=60.0)


def test_it_cuts_over_when_the_last_client_closes_the_image(world):
    with world.client().open("hdd/a") as disk:
        begin(world, WHEN_CLOSED)
        world.wait_state("hdd/a", "executed")
        world.run(5.0)
        report = world.do("get", "hdd/a")
        assert (report["state"], report["hold"]["reason"]) == ("executed", "clients")
        disk.write(block(b"later"), BLOCK)
    world.wait_state("hdd/a", "cut-over")
    assert world.content("hdd/a") == LATER


def test_when_closed_needs_a_name_that_clients_know(world):
    with pytest.raises(MigrationError, match="--name-changes") as error:
        world.prepare("hdd/a", "nvme/a", method=Method.WARM, cutover=CutoverPolicy(WHEN_CLOSED))
    assert error.value.errno == EINVAL
    assert world.records() == {}


def test_a_release_of_what_does_not_wait_is_refused(world):
    world.prepare("hdd/a", "nvme/a", method=Method.WARM, verify=Verify.NONE)
    (ident,) = world.records()
    with pytest.raises(MigrationError) as error:
        ask(world, Released("t", "web-17", (ident,)))
    assert error.value.errno == EAGAIN
    with pytest.raises(MigrationError) as error:
        ask(world, Outcome("t", ("nothing",)))
    assert error.value.errno == ENOENT


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Ready": {}}', "[" * 5000, '{"x": 1, "y": 2}'])
def test_a_message_that_cannot_be_read_is_refused_in_a_sentence(text):
    with pytest.raises(MigrationError, match="same version"):
        decode_request(text)
    with pytest.raises(RecordError):
        decode_answer(text)


def test_a_message_that_is_too_long_is_refused():
    with pytest.raises(MigrationError, match="bytes"):
        decode_request(json.dumps("x" * (5 << 20)))


def abort_by_agent(world, target="hdd/a", **policy):
    wanted = CutoverPolicy(AGENT, **policy)
    return world.call(lambda: world.engine.migrations.abort(spec(target), policy=wanted))


@pytest.mark.parametrize("target", ["hdd/a", "nvme/a"])
def test_an_agent_takes_a_running_guest_back_with_every_write(world, target):
    if target == "hdd/a":
        begin(world, AGENT)
    else:
        world.prepare(
            "hdd/a", target, method=Method.WARM, goal=Goal.CUT_OVER, verify=Verify.NONE,
            cutover=CutoverPolicy(AGENT, name_changes=True),
        )  # fmt: skip
    world.wait_state(target, "executed")
    (move,) = orders(world, guest("hdd/a")).moves
    idents = (move.disks[0].migration,)
    ask(world, Released("t", "web-17", idents))
    write_later(world, target)
    report = abort_by_agent(world, target, name_changes=True)
    assert (report["state"], report["goal"]) == ("cut-over", "aborted")
    with world.client().open(target):
        world.run(5.0)
        assert world.do("get", target)["state"] == "cut-over"
    (move,) = orders(world, guest(target)).moves
    assert (move.disks[0].source, move.disks[0].target) == (spec(target), spec("hdd/a"))
    assert move.disks[0].back
    assert ask(world, Ready("u", "web-17", idents)) == Go(True)
    answer = ask(world, Released("u", "web-17", idents))
    assert [(d.image, d.moved) for d in answer.disks] == [(spec("hdd/a"), False)]
    ask(world, Resumed("u", "web-17", idents, 0.3))
    assert world.wait_until_quiet()
    assert ask(world, Outcome("u", idents)) == answer
    assert world.content("hdd/a") == LATER


def test_a_way_back_on_which_a_client_has_the_target_open_leaves_the_guest_there(world):
    idents = waiting(world, "hdd/a")
    ask(world, Released("t", "web-17", idents))
    abort_by_agent(world)
    with world.client().open("hdd/a"):
        answer = ask(world, Released("u", "web-17", idents))
        assert [(d.image, d.moved) for d in answer.disks] == [(spec("hdd/a"), True)]
    report = world.do("get", "hdd/a")
    assert (report["state"], report["paused"]) == ("cut-over", True)


def test_an_abort_that_waits_for_clients_to_close_is_refused(world):
    idents = waiting(world, "hdd/a")
    ask(world, Released("t", "web-17", idents))
    with pytest.raises(MigrationError, match="--cutover agent") as error:
        world.call(
            lambda: world.engine.migrations.abort(spec("hdd/a"), policy=CutoverPolicy(WHEN_CLOSED))
        )
    assert error.value.errno == EINVAL


@pytest.mark.parametrize("after", range(1, 50, 7))
def test_a_worker_killed_on_the_way_back_and_an_agent_that_withdraws(world, after):
    idents = waiting(world, "hdd/a")
    ask(world, Released("t", "web-17", idents))
    write_later(world)
    abort_by_agent(world)
    orders(world, guest("hdd/a"))
    world.kill_worker_after(after)
    answer = ask(world, Released("u", "web-17", idents))
    world.forget_kills()
    if not answer.decided:
        answer = ask(world, Withdraw("u", idents))
    wait_decided(world, "u", idents, answer)
    assert world.content("hdd/a") == LATER
