"""Guests of libvirt: their inventory, the exchange of a disk, and their definitions."""

import os
import sys

import pytest

from rbdmigrate.model import agent_messages as messages
from rbdmigrate_agent.agent import Agent
from rbdmigrate_agent.connections import RENAMES, connections
from rbdmigrate_agent.guests import command_line, libvirt_definition
from rbdmigrate_agent.guests.errors import GuestError, NoAnswer
from rbdmigrate_agent.guests.libvirt_guests import LibvirtGuests
from rbdmigrate_agent.guests.model import ImageLocation, Side, Where
from rbdmigrate_agent.guests.plain_qemu import PlainGuests
from rbdmigrate_agent.journal import Journal
from rbdmigrate_agent.settings import read
from tests.unit.libvirt_double import FakeDomain, FakeLibvirt
from tests.unit.qmp_server import MIB, FakeQemu, proc_of

URI = "qemu:///system"
DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"
SOURCE, TARGET = ImageLocation("hdd", "", "vm"), ImageLocation("nvme", "ns", "v&m")
XML = """<?xml version='1.0'?>
<domain type='kvm'>
  <name>web-17</name><description>hdd/vm, ü</description>
  <metadata>%s<a:disk xmlns:a='urn:a'><source protocol='rbd' name='hdd/vm'/></a:disk></metadata>
  <devices>
    <disk type='network' device='disk'>
      <auth username='vm'><secret type='ceph' uuid='u'/></auth>
      <source protocol='rbd' name='hdd/vm'><host name='mon1' port='6789'/></source>
      <target dev='vda' bus='virtio'/><iotune><total_iops_sec>5</total_iops_sec></iotune>
    </disk>
    <disk type='network' device='disk'>
      <source name='hdd/vm2' protocol='rbd'/><target dev='vdb' bus='virtio'/>
    </disk>
    <disk type='file'><source file='hdd/vm'/></disk>
    <graphics type='vnc' passwd='secret'/>
  </devices>
</domain>
"""


class Bench:
    """A fake libvirt with one domain, whose disk has the nodes that libvirt gives it."""

    def __init__(self, folder, monkeypatch):
        self.qemu = FakeQemu(folder / "none", {"hdd/vm": 4 * MIB, "nvme/v&m": 4 * MIB})
        words = self.qemu.add_disk(DEVICE, "libvirt-1-storage", "hdd/vm", "libvirt-1-format")
        self.domain = FakeDomain(self.qemu, XML % "")
        self.libvirt = FakeLibvirt(self.domain)
        self.libvirt.install(monkeypatch)
        started = ["/usr/bin/qemu-system-x86_64", "-uuid", self.qemu.uuid, *words]
        self.proc = proc_of(folder / "proc", started)
        self.connection = LibvirtGuests(uri=URI, timeout=10, proc=self.proc)

    def guest(self):
        found = self.connection.guests()
        assert found.failures == ()
        return found.guests[0]

    def plan(self, target=TARGET):
        guest = self.guest()
        return self.connection.plan(guest, guest.disks[0], target)

    def ends(self):
        """QEMU ends, and libvirt notices."""
        (self.proc / str(os.getpid()) / "stat").unlink()
        self.libvirt.there = False


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


def test_a_domain_and_its_disk(bench):
    guest = bench.guest()
    assert (guest.name, guest.uuid, guest.status) == ("web-17", bench.qemu.uuid, "running")
    assert (guest.pid, guest.connection, guest.defined_by) == (os.getpid(), URI, "")
    (disk,) = guest.disks
    assert (disk.leaf, disk.above) == ("libvirt-1-storage", "libvirt-1-format")
    assert (disk.location, disk.fixed) == (SOURCE, "")
    assert bench.connection.obstacles(guest, [disk]) == []


def test_a_disk_goes_to_another_image_and_back(bench):
    plan = bench.plan()
    for side in (Side.TARGET, Side.SOURCE):
        bench.connection.prepare([plan])
        assert bench.connection.pause(bench.guest()) == "running"
        bench.connection.close([plan])
        assert bench.qemu.open_images() == []
        bench.connection.open(plan, side)
        assert bench.connection.resume([plan])
        assert bench.connection.where(plan).where.value == side.value
        assert bench.qemu.nodes["libvirt-1-storage"]["key-secret"] == "s0"
    bench.connection.tidy([plan])
    assert set(bench.qemu.nodes) == {"libvirt-1-storage", "libvirt-1-format"}
    assert bench.domain.calls == ["suspend", "resume"] * 2
    assert bench.qemu.opened_while_running == []


def test_a_domain_whose_qemu_has_ended(bench):
    plan, guest = bench.plan(), bench.guest()
    bench.ends()
    assert bench.connection.where(plan).where is Where.GONE
    with pytest.raises(GuestError, match="has ended"):
        bench.connection.pause(guest)


def test_libvirt_that_does_not_run(bench):
    plan = bench.plan()
    bench.libvirt.down = True
    (failure,) = bench.connection.guests().failures
    assert failure.connection == URI
    assert "could not connect: Failed to connect socket." in failure.reason
    with pytest.raises(GuestError, match="could not connect"):
        bench.connection.where(plan)
    bench.libvirt.down = False
    assert bench.connection.where(plan).where is Where.SOURCE


def test_a_call_that_hangs_is_not_waited_for(bench):
    plan = bench.plan()
    bench.libvirt.hanging = True
    connection = LibvirtGuests(uri=URI, timeout=0.2, proc=bench.proc)
    with pytest.raises(NoAnswer, match=r"within 0\.2 s"):
        connection.where(plan)
    bench.libvirt.hangs.set()


def test_a_process_that_cannot_be_told_is_a_failure(bench):
    bench.qemu.uuid = "22222222-2222-3333-4444-555555555555"
    (failure,) = bench.connection.guests().failures
    assert failure.connection == f"{URI} web-17"
    assert "no process of QEMU" in failure.reason


def test_processes_are_found_by_their_uuid(tmp_path):
    words = {"7": "/usr/bin/qemu-kvm|-uuid|ABC", "8": "timeout|qemu|-uuid|abc", "9": "qemu|-S"}
    for pid, line in words.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(line.replace("|", "\0").encode() + b"\0")
    (tmp_path / "10").mkdir()
    assert command_line.by_uuid(tmp_path) == {"abc": (7,)}


# -- definitions


def test_only_the_name_of_that_image_is_changed_in_the_definition(bench):
    left = bench.connection.redefine(bench.plan(), TARGET)
    changed = XML.replace(
        "<source protocol='rbd' name='hdd/vm'><host",
        "<source protocol='rbd' name='nvme/ns/v&amp;m'><host",
    )
    assert bench.libvirt.defined == [changed % ""]
    assert "virsh migrate" in left
    assert "still shows hdd/vm" in left
    bench.connection.redefine(bench.plan(), TARGET)
    assert len(bench.libvirt.defined) == 1


def test_in_place_nothing_is_defined(bench):
    assert bench.connection.redefine(bench.plan(), SOURCE) == ""
    assert bench.libvirt.defined == []


def test_the_definition_of_a_domain_that_has_ended_is_changed_too(bench):
    plan = bench.plan()
    bench.ends()
    bench.libvirt.there = True
    bench.connection.redefine(plan, TARGET)
    assert "name='nvme/ns/v&amp;m'" in bench.domain.xml


def test_a_transient_domain_is_left_to_what_made_it(bench):
    bench.domain.persistent = False
    assert bench.guest().defined_by
    plan = bench.plan()
    assert "Change hdd/vm to nvme/ns/v&m in whatever" in bench.connection.redefine(plan, TARGET)
    bench.ends()
    assert "Change hdd/vm" in bench.connection.redefine(plan, TARGET)
    assert bench.libvirt.defined == []


def test_a_domain_of_other_software_is_changed_and_its_owner_is_named(bench):
    nova = "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'/>"
    bench.domain.xml = XML % nova
    assert bench.guest().defined_by == "OpenStack Nova"
    assert "in OpenStack Nova for guest web-17" in bench.connection.redefine(bench.plan(), TARGET)
    assert "nvme/ns/v&amp;m" in bench.domain.xml


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (XML.replace("name='hdd/vm'>", "name='a/b'>"), "no disk"),
        (XML.replace("hdd/vm2", "hdd/vm"), "more than one"),
        (XML.replace("</domain>", ""), "not XML"),
    ],
)
def test_a_definition_that_does_not_fit_is_not_changed(bench, xml, said):
    plan = bench.plan()
    bench.domain.xml = xml % ""
    with pytest.raises(GuestError, match=said):
        bench.connection.redefine(plan, TARGET)
    assert bench.libvirt.defined == []


def test_a_definition_that_libvirt_stored_otherwise_is_reported(bench):
    old = bench.domain.xml
    bench.libvirt.stores = lambda xml: old
    with pytest.raises(GuestError, match="another definition"):
        bench.connection.redefine(bench.plan(), TARGET)


def test_names_may_be_written_in_either_quotes():
    xml = '<domain><devices><disk><source protocol="rbd" name="a/b"/></disk></devices></domain>'
    assert libvirt_definition.renamed(xml, "a/b", "c/d") == xml.replace("a/b", "c/d")


# -- the agent


def test_a_missing_library_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(GuestError, match="install the package python3-libvirt"):
        connections(read(["--libvirt", URI]))


def test_a_guest_that_is_reached_both_ways_is_libvirts(bench, tmp_path):
    reached = connections(read(["--libvirt", URI, "--qmp", str(tmp_path)]))
    assert list(reached) == ["qmp", "libvirt"]
    with FakeQemu(tmp_path / "vm.qmp", bench.qemu.images) as other:
        other.nodes, other.devices = bench.qemu.nodes, bench.qemu.devices
        reached["qmp"] = PlainGuests(folders=[str(tmp_path)], proc=bench.proc)
        reached["libvirt"] = bench.connection
        manager = Manager()
        agent = Agent(
            manager=manager,
            journal=Journal(tmp_path / "state"),
            connections=reached,
            renames=RENAMES,
        )
        agent.round()
        bench.domain.persistent = False
        agent.round()
    first, second = manager.asked
    assert [(guest.name, guest.renames) for guest in first.guests] == [("web-17", True)]
    assert [(guest.name, guest.renames) for guest in second.guests] == [("web-17", False)]


class Manager:
    """A manager that has nothing to do."""

    def __init__(self):
        self.asked = []

    def ask(self, request, seconds):
        self.asked.append(request)
        return messages.Orders(30.0)
