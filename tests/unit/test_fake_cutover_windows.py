"""Windows and limits of cutovers, over the fake cluster."""

from datetime import datetime, timedelta, timezone
from errno import EAGAIN, EEXIST, EINVAL

import pytest

from rbdmigrate.control.lifecycle.requests import Changes
from rbdmigrate.model.agent_messages import Inventory, OpenDisk, OpenGuest
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method
from rbdmigrate.model.verification import Verify
from tests.fakes.hook_server import HookServer
from tests.fakes.simulation import EPOCH
from tests.fakes.world import World, spec

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest.fixture
def world():
    with World() as made:
        for name in ("a", "b", "c"):
            made.create_image(f"hdd/{name}", {0: b"one"})
        yield made


def window(world, hours):
    """A window of an hour that opens in so many hours, or opened before."""
    begin = datetime.fromtimestamp(EPOCH + world.simulation.now, timezone.utc)
    begin += timedelta(hours=hours) - timedelta(minutes=begin.minute)
    end = begin + timedelta(hours=1)
    return f"{DAYS[begin.weekday()]} {begin:%H:%M}-{end:%H:%M}"


def begin(world, name, mode=CutoverMode.REFUSE, opens=None, goal=Goal.CUT_OVER):
    cutover_window = "" if opens is None else window(world, opens)
    wanted = Policy(
        goal, verify=Verify.NONE, cutover=CutoverPolicy(mode), cutover_window=cutover_window
    )
    world.call(
        lambda: world.engine.new_migrations.prepare(
            spec(f"hdd/{name}"), None, LayoutOptions(), wanted, force=True, method=Method.WARM
        )
    )
    return world.wait_state(f"hdd/{name}", "executed", "cut-over")


def change(world, target, **changes):
    return world.call(lambda: world.engine.migrations.change(spec(target), Changes(**changes)))


@pytest.mark.parametrize("mode", [CutoverMode.REFUSE, CutoverMode.WHEN_CLOSED, CutoverMode.AGENT])
def test_a_cutover_waits_for_its_window(world, mode):
    begin(world, "a", mode, opens=3)
    world.run(20.0)
    report = world.do("get", "hdd/a")
    assert (report["state"], report["hold"]["reason"]) == ("executed", "window")
    assert report["hold"]["message"].startswith("Its cutover window (")
    assert "it opens at" in report["hold"]["message"]
    world.jump_ahead(3 * 3600.0)
    world.wait_state("hdd/a", "cut-over")


def test_a_window_that_is_open_holds_nothing(world):
    begin(world, "a", opens=0)
    world.wait_state("hdd/a", "cut-over")


def test_hooks_are_not_asked_before_the_window_opens(world):
    server = HookServer(world)
    server.add(events=["before_cutover"])
    begin(world, "a", CutoverMode.HOOK, opens=3)
    world.run(20.0)
    assert server.events() == []
    assert world.do("get", "hdd/a")["hold"]["reason"] == "window"
    world.jump_ahead(3 * 3600.0)
    world.wait_state("hdd/a", "cut-over")
    assert server.events() == ["before_cutover"]


def test_no_guest_is_paused_before_the_window_opens(world):
    begin(world, "a", CutoverMode.AGENT, opens=3)
    guest = OpenGuest("web", "uuid", "running", (OpenDisk(spec("hdd/a"), "/vda"),))
    ask = Inventory("1", (guest,))
    assert world.call(lambda: world.engine.agents.answer("pve3", ask)).moves == ()
    world.jump_ahead(3 * 3600.0)
    assert world.call(lambda: world.engine.agents.answer("pve3", ask)).moves != ()


def test_a_cutover_by_hand_outside_of_the_window_is_refused_until_that_is_taken_away(world):
    begin(world, "a", opens=3, goal=Goal.EXECUTED)
    with pytest.raises(MigrationError, match="--cutover-window off") as error:
        world.do("cutover", "hdd/a")
    assert error.value.errno == EAGAIN
    change(world, "hdd/a", cutover_window="")
    assert world.do("cutover", "hdd/a")["state"] == "cut-over"


def test_only_what_has_a_cutover_has_a_window_for_it(world):
    with pytest.raises(MigrationError, match="method warm") as error:
        world.prepare("hdd/a", "nvme/a", cutover_window="Sun 02:00-04:00")
    assert error.value.errno == EINVAL
    world.prepare("hdd/a", "nvme/a")
    with pytest.raises(MigrationError, match="method warm"):
        change(world, "nvme/a", cutover_window="Sun")


def test_the_same_request_with_another_window_is_refused(world):
    options = {"method": Method.WARM, "goal": Goal.EXECUTED, "verify": Verify.NONE}
    world.prepare("hdd/a", "nvme/a", cutover_window="Sun 02:00-04:00", **options)
    with pytest.raises(MigrationError, match="--cutover-window off") as error:
        world.prepare("hdd/a", "nvme/a", cutover_window="Sat 02:00-04:00", **options)
    assert error.value.errno == EEXIST
    report = world.prepare("hdd/a", "nvme/a", **options)
    assert report["cutover"]["window"] == "Sun 02:00-04:00"


def test_no_more_cutovers_at_once_than_the_limit(world):
    server = HookServer(world)
    server.add(events=["before_cutover"])
    server.say = lambda hook, event, body: 202
    world.set(max_cutovers=2)
    for name in ("a", "b", "c"):
        begin(world, name, CutoverMode.HOOK)
    world.run(20.0)
    assert len(server.events()) == 2
    holds = {n: world.do("get", f"hdd/{n}")["hold"]["reason"] for n in ("a", "b", "c")}
    assert sorted(holds.values()) == ["hook", "hook", "limit"]
    server.say = lambda hook, event, body: 200
    for name in ("a", "b", "c"):
        world.wait_state(f"hdd/{name}", "cut-over")


def test_the_limit_holds_for_cutovers_that_follow_by_themselves(world):
    world.set(max_cutovers=1)
    for name in ("a", "b", "c"):
        begin(world, name)
    for name in ("a", "b", "c"):
        world.wait_state(f"hdd/{name}", "cut-over")


def test_the_time_for_which_clients_were_away_is_recorded(world):
    server = HookServer(world)
    server.add(events=["before_cutover"])
    with world.client().open("hdd/a"):
        begin(world, "a", CutoverMode.HOOK)
        world.run(10.0)
        assert server.events() == ["before_cutover"]
    report = world.wait_state("hdd/a", "cut-over")
    assert report["rounds"]["pause_seconds"] > 5.0
    said = next(e["message"] for e in report["timeline"] if e["state"] == "cut-over")
    assert "clients were away for" in said
