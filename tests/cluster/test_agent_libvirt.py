"""A domain of libvirt moves to other images while it runs; its definition follows."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import rados

from qa.devcluster import Cluster
from qa.guest import AgentProcess, GuestOptions, RbdDisk
from qa.guest.libvirt_host import LibvirtHost
from qa.guest.libvirt_machine import Access, LibvirtMachine
from qa.workload.images import MIB, image_id, names, opened, place
from tests.cluster.commands import Commands

Pools = "tuple[str, str]"
SIZE = 32 * MIB
HOST = "pve3"
USER = "libvirt"
IOPS = 1000


class Hypervisor:
    """A host with libvirt, one domain and an agent."""

    def __init__(self, libvirt: LibvirtHost, machine: LibvirtMachine, agent: AgentProcess) -> None:
        self.libvirt, self.machine, self.agent = libvirt, machine, agent

    def must_be_clean(self, more: int = 50) -> None:
        """The guest writes on, and nothing was ever wrong."""
        self.machine.wait_writes(more)
        found = self.machine.reports()
        assert all(report.clean for report in found.values()), self.machine.complaints()

    def said(self, text: str) -> None:
        """Wait until the agent has logged it."""
        wait(lambda: text in self.agent.said, lambda: self.agent.said)


@pytest.fixture
def hypervisor(
    cluster: Cluster, client: rados.Rados, pools: Pools, tmp_path: Path
) -> "Iterator[Hypervisor]":
    import rbd

    cluster.ceph("config", "set", "mgr", "mgr/rbd_migration/agent_interval", "1")
    with place(client, f"{pools[0]}/disk") as ioctx:
        rbd.RBD().create(ioctx, "disk", SIZE)
    caps = ("mon", "profile rbd", "osd", "profile rbd")
    key = cluster.ceph("auth", "get-or-create-key", f"client.{USER}", *caps).strip()
    port = next(iter(cluster.blueprint.mons.values()))[1]
    mark = str(cluster.layout.root)
    wanted = GuestOptions((RbdDisk(pools[0], "disk"),), name="web-17")
    with contextlib.ExitStack() as stack:
        libvirt = stack.enter_context(LibvirtHost(env=cluster.env, mark=mark))
        access = Access(USER, libvirt.add_secret(key), port)
        machine = LibvirtMachine(libvirt, wanted, access, env=cluster.env, mark=mark, iops=IOPS)
        stack.enter_context(machine)
        agent = stack.enter_context(AgentProcess(cluster, tmp_path, HOST, libvirt.uri))
        yield Hypervisor(libvirt, machine, agent)


def wait(over: "Callable[[], bool]", said: "Callable[[], object]") -> None:
    deadline = time.monotonic() + 60
    while not over():
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)


def watchers(client: rados.Rados, spec: str) -> int:
    with opened(client, spec) as image:
        return len(list(image.watchers_list()))


def run(migration: Commands, source: str, *args: str) -> None:
    migration.text("run", source, *args, "--cutover", "agent", "--goal", "cut-over")


def messages(migration: Commands, spec: str) -> str:
    return "\n".join(entry["message"] for entry in migration.report(spec)["timeline"])


def seen(migration: Commands, host: Hypervisor) -> "list[Any]":
    wait(lambda: bool(migration.json("clients")), lambda: host.agent.said)
    found: list[Any] = migration.json("clients")
    return found


def test_a_domain_moves_and_its_next_start_opens_the_right_image(
    migration: Commands,
    client: rados.Rados,
    pools: Pools,
    hypervisor: Hypervisor,
    record_property: "Callable[[str, object], None]",
) -> None:
    host, machine = hypervisor, hypervisor.machine
    source, target = f"{pools[0]}/disk", f"{pools[1]}/moved"
    (disk,) = seen(migration, host)
    assert (disk["image"], disk["guest"], disk["status"]) == (source, "web-17", "running")
    before = image_id(client, source)
    limits = machine.ask("blockIoTune", "vda")
    assert limits["total_iops_sec"] == IOPS
    run(migration, source, "--object-size", "1M", "--verify", "full")
    migration.wait(source, "cut-over")
    host.must_be_clean()
    assert image_id(client, source) != before
    assert machine.defined() == machine.shown() == [source]
    assert "virsh" not in messages(migration, source)
    migration.text("commit", source)
    migration.wait(source, "committed")
    run(migration, source, target)
    migration.wait(target, "cut-over")
    host.must_be_clean()
    pause = migration.report(target)["rounds"]["pause_seconds"]
    record_property("pause_seconds", round(pause, 2))
    assert watchers(client, target) == 1
    assert names(client, pools[0]) == []
    assert machine.defined() == [target]
    assert "virsh migrate" in messages(migration, target)
    assert machine.ask("blockStats", "vda")[3] > 0
    assert machine.ask("blockInfo", "vda")[0] == SIZE
    assert machine.ask("blockIoTune", "vda") == limits
    migration.text("commit", target)
    migration.wait(target, "committed")
    host.must_be_clean()
    machine.stop()
    machine.start()
    host.must_be_clean()
    assert all(report.found > 0 for report in machine.reports().values())
    assert machine.shown() == [target]


def test_libvirtd_is_restarted_while_the_guest_is_paused(
    migration: Commands, client: rados.Rados, pools: Pools, hypervisor: Hypervisor
) -> None:
    host, source, target = hypervisor, f"{pools[0]}/disk", f"{pools[1]}/moved"
    seen(migration, host)
    with host.agent.held_at("agent.after", "ask") as agent:
        run(migration, source, target, "--max-pause", "60s")
        wait(agent.waits, lambda: host.agent.said)
        host.libvirt.stop()
    host.said("waits: libvirt")
    host.libvirt.start()
    migration.wait(target, "cut-over")
    host.must_be_clean()
    assert host.machine.defined() == [target]
    assert host.machine.ask("isActive")
    assert watchers(client, target) == 1
