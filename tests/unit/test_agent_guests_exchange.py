"""The exchange of a disk in a fake QEMU, also by agents that are killed at every command."""

import dataclasses
import json
import shutil

import pytest

from rbdmigrate_agent.guests.errors import GuestError, GuestGone, NoAnswer
from rbdmigrate_agent.guests.model import DiskExchange, ImageLocation, Side, Where
from rbdmigrate_agent.guests.plain_qemu import PlainGuests
from tests.unit.qmp_server import MIB, FakeQemu, proc_of

DEVICE = "/machine/peripheral/d0/virtio-backend"
IMAGES = {"hdd/vm": 4 * MIB, "nvme/vm": 4 * MIB, "nvme/small": MIB}
TARGET = ImageLocation("nvme", "", "vm")


class Bench:
    """A fake QEMU with one disk, and the agent's connection to it."""

    def __init__(self, qemu, connection, proc):
        self.qemu, self.connection, self.proc = qemu, connection, proc

    def guest(self):
        found = self.connection.guests()
        assert found.failures == ()
        return found.guests[0]

    def plan(self, target=TARGET):
        guest = self.guest()
        return self.connection.plan(guest, guest.disks[0], target)

    def image(self):
        return self.qemu.used(DEVICE)


@pytest.fixture(params=["", "fmt"], ids=["leaf alone", "node above"])
def bench(request, tmp_path):
    with FakeQemu(tmp_path / "vm.qmp", IMAGES) as qemu:
        words = qemu.add_disk(DEVICE, "disk", "hdd/vm", request.param)
        proc = proc_of(tmp_path / "proc", ["qemu-system-x86_64", *words])
        yield Bench(qemu, PlainGuests(folders=[str(tmp_path)], timeout=10, proc=proc), proc)


def whole(bench, plan, side=Side.TARGET):
    """What an agent does, from wherever it is."""
    connection = bench.connection
    connection.prepare([plan])
    connection.pause(bench.guest())
    if connection.where(plan).where.value != side.value:
        connection.close([plan])
    connection.open(plan, side)
    assert connection.resume([plan])


def test_a_disk_goes_to_another_image_and_back(bench):
    plan = bench.plan()
    assert bench.connection.where(plan).where is Where.SOURCE
    whole(bench, plan)
    assert bench.connection.where(plan).where is Where.TARGET
    assert bench.image() == "nvme/vm"
    assert bench.qemu.open_images() == ["nvme/vm"]
    assert bench.qemu.nodes["disk"]["key-secret"] == "s0"
    assert bench.qemu.nodes["disk"]["discard"] == "unmap"
    whole(bench, plan, Side.SOURCE)
    assert bench.connection.where(plan).where is Where.SOURCE
    bench.connection.tidy([plan])
    assert set(bench.qemu.nodes) <= {"disk", "fmt"}
    assert bench.qemu.opened_while_running == []


def test_a_stored_plan_is_the_same_when_it_is_read(bench):
    plan = bench.plan()
    assert DiskExchange.from_json(plan.to_json()) == plan
    assert "key-secret" in plan.to_json()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        pytest.param({"leaf_options": "no"}, id="options that are not JSON"),
        pytest.param({"leaf_options": "[]"}, id="options that are no object"),
        pytest.param({"pid": "1"}, id="a text as pid"),
        pytest.param({"more": 1}, id="an unknown field"),
        pytest.param({"source": {"pool": "p"}}, id="half an image"),
    ],
)
def test_a_broken_stored_plan_is_refused_with_a_sentence(bench, text):
    if isinstance(text, dict):
        text = json.dumps({**json.loads(bench.plan().to_json()), **text})
    with pytest.raises(GuestError):
        DiskExchange.from_json(text)


MOVES = range(1, 10)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", MOVES)
@pytest.mark.parametrize("end", [Side.TARGET, Side.SOURCE])
@pytest.mark.parametrize("target", [TARGET, ImageLocation("hdd", "", "vm")], ids=str)
def test_an_agent_that_is_killed_at_a_command(bench, number, when, end, target):
    plan = bench.plan(target)
    bench.qemu.die_at = (number, when)
    with pytest.raises(GuestError):
        whole(bench, plan)
    bench.qemu.die_at = None
    if bench.qemu.status == "running":  # never on the placeholder
        assert bench.image() is not None
    place = bench.connection.where(plan)
    assert (place.where is Where.PLACEHOLDER) == (bench.image() is None)
    again = DiskExchange.from_json(plan.to_json())
    whole(bench, again, end)
    assert bench.connection.where(again).where.value == end.value
    assert bench.image() == str(plan.location(end))
    assert bench.qemu.open_images() == [str(plan.location(end))]
    bench.connection.tidy([again])
    assert set(bench.qemu.nodes) <= {"disk", "fmt"}


def test_the_killed_agents_cover_all_commands(bench):
    plan = bench.plan()
    whole(bench, plan)
    bench.connection.tidy([plan])
    assert bench.qemu.changes == [
        "blockdev-add", "stop", _use(bench), "blockdev-del", "blockdev-add", "blockdev-add",
        _use(bench), "blockdev-del", "cont", "blockdev-del",
    ]  # fmt: skip
    assert len(bench.qemu.changes) == len(MOVES) + 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_agent_that_is_killed_while_it_tidies_up(bench, when):
    plan = bench.plan()
    whole(bench, plan)
    bench.qemu.die_at = (1, when)
    with pytest.raises(GuestError):
        bench.connection.tidy([plan])
    bench.connection.tidy([plan])
    assert set(bench.qemu.nodes) <= {"disk", "fmt"}


def _use(bench):
    return "blockdev-reopen" if "fmt" in bench.qemu.nodes else "qom-set"


def test_a_target_that_does_not_open_leaves_the_placeholder_and_the_source_opens_again(bench):
    plan = bench.plan(ImageLocation("nvme", "", "none"))
    with pytest.raises(GuestError, match="refused blockdev-add"):
        whole(bench, plan)
    assert bench.connection.where(plan).where is Where.PLACEHOLDER
    with pytest.raises(GuestError, match="not continued"):
        bench.connection.resume([plan])
    assert bench.qemu.status == "paused"
    bench.connection.open(plan, Side.SOURCE)
    assert bench.connection.resume([plan])
    assert bench.image() == "hdd/vm"


def test_a_target_of_another_size_is_not_given_to_the_guest(bench):
    plan = bench.plan(ImageLocation("nvme", "", "small"))
    with pytest.raises(GuestError, match="has 1048576 bytes"):
        whole(bench, plan)
    assert bench.connection.where(plan) == bench.connection.where(plan)
    assert bench.qemu.open_images() == []


def test_a_source_with_another_name_meanwhile(bench):
    plan = bench.plan()
    bench.connection.pause(bench.guest())
    bench.connection.close([plan])
    bench.qemu.images["hdd/vm.recovered"] = 4 * MIB
    bench.connection.open(plan, Side.SOURCE, ImageLocation("hdd", "", "vm.recovered"))
    assert bench.connection.where(plan).where is Where.SOURCE
    assert bench.connection.resume([plan])


def test_nothing_is_closed_or_opened_while_the_guest_runs(bench):
    plan = bench.plan()
    bench.connection.prepare([plan])
    with pytest.raises(GuestError, match="runs; pause it first"):
        bench.connection.close([plan])
    bench.connection.pause(bench.guest())
    bench.connection.close([plan])
    bench.qemu.status = "running"  # somebody continued it
    with pytest.raises(GuestError, match="runs; pause it first"):
        bench.connection.open(plan, Side.TARGET)


def test_a_guest_that_was_paused_before_is_not_continued(bench):
    bench.qemu.status = "paused"
    plan = bench.plan()
    assert bench.connection.pause(bench.guest()) == "paused"
    bench.connection.close([plan])
    bench.connection.open(plan, Side.TARGET)
    assert not bench.connection.resume([plan])
    assert bench.qemu.status == "paused"


def test_a_guest_in_trouble_is_not_paused(bench):
    bench.qemu.status = "io-error"
    with pytest.raises(GuestError, match="neither running nor paused but io-error"):
        bench.connection.pause(bench.guest())


def test_what_somebody_else_put_in_place_is_left_alone(bench):
    plan = bench.plan()
    other = bench.qemu.leaf("other", "nvme/vm")
    bench.qemu.nodes["other"] = other
    if plan.above:
        bench.qemu.nodes["fmt"]["file"] = "other"
    else:
        bench.qemu.devices[DEVICE] = "other"
    bench.connection.pause(bench.guest())
    before = dict(bench.qemu.nodes)
    assert bench.connection.where(plan).where is Where.ELSEWHERE
    for act in (lambda: bench.connection.close([plan]), lambda: bench.connection.resume([plan])):
        with pytest.raises(GuestError):
            act()
    assert {name: bench.qemu.nodes[name] for name in before} == before
    assert bench.qemu.status == "paused"


def test_a_disk_that_was_unplugged(bench):
    plan = bench.plan()
    del bench.qemu.devices[DEVICE]
    with pytest.raises(GuestError, match="unplugged"):
        bench.connection.where(plan)


def test_a_qemu_that_ended_is_gone_and_another_one_in_its_place_is_not_touched(bench):
    plan = bench.plan()
    later = dataclasses.replace(plan, started=plan.started + 1)
    assert bench.connection.where(later).where is Where.GONE
    with pytest.raises(GuestGone):
        bench.connection.close([later])
    shutil.rmtree(bench.proc)
    assert bench.connection.where(plan).where is Where.GONE


def test_a_socket_that_is_gone_while_qemu_lives_says_nothing_of_the_disk(bench):
    plan = bench.plan()
    bench.qemu.path.unlink()
    with pytest.raises(GuestError, match="runs, but cannot be reached"):
        bench.connection.where(plan)


def test_a_command_that_hangs_is_told_apart(bench, tmp_path):
    plan = bench.plan()
    bench.connection.pause(bench.guest())
    bench.qemu.silent = ("blockdev-del",)
    hasty = PlainGuests(folders=[str(tmp_path)], timeout=0.3, proc=bench.proc)
    with pytest.raises(NoAnswer, match="did not answer within"):
        hasty.close([plan])
    bench.qemu.silent = ()
    bench.connection.close([plan])
    bench.connection.open(plan, Side.TARGET)
    assert bench.image() == "nvme/vm"


def test_the_definition_of_a_plain_guest_is_left_to_its_owner(bench):
    plan = bench.plan()
    assert bench.connection.redefine(plan, plan.source) == ""
    assert "Change hdd/vm to nvme/vm" in bench.connection.redefine(plan, TARGET)
