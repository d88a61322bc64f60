"""A guest in QEMU moves to other images while it runs: ``--cutover agent``, with a real agent."""

import contextlib
import time
from collections.abc import Iterator
from errno import EACCES
from pathlib import Path
from typing import Any, Callable

import pytest
import rados

from qa.devcluster import Cluster
from qa.guest import AgentProcess, GuestOptions, Machine, RbdDisk
from qa.workload.images import MIB, image_id, names, opened, place, trash
from tests.cluster.commands import Commands, Refused, wait_audited

Pools = "tuple[str, str]"
SIZE = 32 * MIB
HOST = "pve3"
STEPS = ["prepare", "journal", "pause", "close", "ask", "open", "resume", "told"]


class Hypervisor:
    """A host with one guest and an agent."""

    def __init__(self, machine: Machine, agent: AgentProcess) -> None:
        self.machine, self.agent = machine, agent

    def must_be_clean(self, more: int = 50) -> None:
        """The guest writes on, and nothing was ever wrong."""
        self.machine.wait_writes(more)
        found = self.machine.reports()
        assert all(report.clean for report in found.values()), self.machine.complaints()


@pytest.fixture
def hypervisor(
    cluster: Cluster, client: rados.Rados, pools: Pools, tmp_path: Path
) -> "Callable[..., contextlib.AbstractContextManager[Hypervisor]]":
    cluster.ceph("config", "set", "mgr", "mgr/rbd_migration/agent_interval", "1")

    @contextlib.contextmanager
    def started(disks: int = 1, layer: str = "raw", **options: Any) -> Iterator[Hypervisor]:
        import rbd

        made = []
        for number in range(disks):
            spec = f"{pools[0]}/disk{number}"
            with place(client, spec) as ioctx:
                rbd.RBD().create(ioctx, f"disk{number}", SIZE)
            made.append(RbdDisk(pools[0], f"disk{number}", layer=layer))
        mark = str(cluster.layout.root)
        wanted = GuestOptions(tuple(made), name="web-17", **options)
        with (
            Machine(tmp_path, cluster.conf, wanted, env=cluster.env, mark=mark) as machine,
            AgentProcess(cluster, tmp_path, HOST) as agent,
        ):
            try:
                yield Hypervisor(machine, agent)
            finally:
                print(agent.said)  # pytest shows it when the test fails

    return started


def watchers(client: rados.Rados, spec: str) -> int:
    with opened(client, spec) as image:
        return len(list(image.watchers_list()))


def run(migration: Commands, source: str, *args: str) -> None:
    """On a busy machine a round may take longer than the longest pause of the default."""
    cutover = ("--cutover", "agent", "--max-pause", "30s", "--goal", "cut-over")
    migration.text("run", source, *args, *cutover)


def seen(migration: Commands, agent: AgentProcess, disks: int = 1) -> "list[Any]":
    """What the agent has reported, once it has."""
    deadline = time.monotonic() + 60
    while True:
        found: list[Any] = migration.json("clients")
        if len(found) >= disks:
            return found
        assert time.monotonic() < deadline, agent.said
        time.sleep(0.2)


def test_a_running_guest_moves_in_place_and_to_another_pool(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: Pools,
    hypervisor: Any,
    record_property: "Callable[[str, object], None]",
) -> None:
    source, target = f"{pools[0]}/disk0", f"{pools[1]}/moved"
    with hypervisor() as host:
        (disk,) = seen(migration, host.agent)
        assert (disk["image"], disk["host"], disk["guest"]) == (source, HOST, "web-17")
        assert disk["status"] == "running"
        before = image_id(client, source)
        run(migration, source, "--object-size", "1M", "--verify", "full")
        report = migration.wait(source, "cut-over")
        host.must_be_clean()
        assert image_id(client, source) != before
        report = migration.report(source)
        assert 0 < report["rounds"]["pause_seconds"] < 30
        record_property("pause_seconds", round(report["rounds"]["pause_seconds"], 2))
        assert "web-17 on pve3" in report["timeline"][-1]["message"], host.agent.said
        assert watchers(client, source) == 1
        migration.text("commit", source)
        migration.wait(source, "committed")
        run(migration, source, target, "--name-changes")
        migration.wait(target, "cut-over")
        host.must_be_clean()
        wait_audited(
            cluster,
            f"migration {source} -> {target}: 'paused the guest web-17' by 'agent {HOST}'",
        )
        assert watchers(client, target) == 1
        assert names(client, pools[0]) == []
        migration.text("commit", target)
        migration.wait(target, "committed")
        host.must_be_clean()
    assert trash(client, pools[0]) == trash(client, pools[1]) == []


def test_a_running_guest_changes_to_the_target_of_a_live_migration(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: Pools,
    hypervisor: Any,
    record_property: "Callable[[str, object], None]",
) -> None:
    """It copies its own disk, in place and to another pool, and its agent is killed once."""
    source, target = f"{pools[0]}/disk0", f"{pools[1]}/moved"
    with hypervisor() as host:
        seen(migration, host.agent)
        cluster.run(["rbd", "snap", "create", "--no-progress", f"{source}@before"])
        migration.text(
            "run", source, "--method", "live", "--object-size", "1M", "--verify", "none",
            "--cutover", "agent", "--max-pause", "30s",
        )  # fmt: skip
        report = migration.wait(source, "committed", timeout=120)
        host.must_be_clean()
        assert 0 < report["cutover"]["pause_seconds"] < 30
        record_property("pause_seconds", round(report["cutover"]["pause_seconds"], 2))
        host.agent.die_at("agent.after", "ask")
        migration.text(
            "run", source, target, "--method", "live", "--verify", "none", "--name-changes",
            "--cutover", "agent", "--max-pause", "30s",
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while host.agent.running:
            assert time.monotonic() < deadline, host.agent.said
            time.sleep(0.1)
        host.agent.start()
        migration.wait(target, "committed", timeout=120)
        host.must_be_clean()
        assert watchers(client, target) == 1
        with opened(client, target) as image:
            assert [snap["name"] for snap in image.list_snaps()] == ["before"]
    assert names(client, pools[0]) == []
    assert trash(client, pools[0]) == trash(client, pools[1]) == []


def test_both_disks_of_a_guest_move_in_one_pause(
    migration: Commands, client: rados.Rados, pools: Pools, hypervisor: Any
) -> None:
    sources = [f"{pools[0]}/disk{number}" for number in range(2)]
    with hypervisor(disks=2, layer="") as host:
        seen(migration, host.agent, 2)
        before = [image_id(client, source) for source in sources]
        for source in sources:
            run(migration, source, "--object-size", "1M", "--rate", "0")
        for source in sources:  # both are known by now
            migration.text("set", source, "--rate", "off")
        for source in sources:
            migration.wait(source, "cut-over")
        host.must_be_clean()
        assert all(image_id(client, s) != was for s, was in zip(sources, before))
        assert host.agent.said.count("goes on after") == 1


def test_a_running_guest_goes_back_with_every_write(
    migration: Commands, client: rados.Rados, pools: Pools, hypervisor: Any
) -> None:
    source, target = f"{pools[0]}/disk0", f"{pools[1]}/moved"
    with hypervisor() as host:
        seen(migration, host.agent)
        before = image_id(client, source)
        run(migration, source, target, "--name-changes")
        migration.wait(target, "cut-over")
        host.must_be_clean()
        migration.text(
            "abort", target, "--cutover", "agent", "--name-changes", "--max-pause", "60s"
        )
        migration.wait(target, "aborted", timeout=90)
        host.must_be_clean()
        assert image_id(client, source) == before
        assert watchers(client, source) == 1
        assert names(client, pools[1]) == []
        assert host.agent.said.count("goes on after") == 2


@pytest.mark.parametrize("step", STEPS)
def test_an_agent_killed_at_any_step_leaves_the_guest_on_one_valid_disk(
    step: str, migration: Commands, client: rados.Rados, pools: Pools, hypervisor: Any
) -> None:
    source = f"{pools[0]}/disk0"
    with hypervisor() as host:
        seen(migration, host.agent)
        host.agent.die_at("agent.after", step)
        run(migration, source, "--object-size", "1M")
        deadline = time.monotonic() + 60
        while host.agent.running:
            assert time.monotonic() < deadline, host.agent.said
            time.sleep(0.1)
        host.agent.start()
        migration.wait(source, "cut-over", timeout=90)
        host.must_be_clean()
        assert watchers(client, source) == 1
        migration.text("commit", source)
        migration.wait(source, "committed")
        host.must_be_clean()


def state(migration: Commands, spec: str) -> str:
    """Its state; empty while no manager answers."""
    with contextlib.suppress(Refused):
        return str(migration.report(spec)["state"])
    return ""


KILLED = [("agent.before", "release"), ("cutover.after", "lock"), ("cutover.after", "publish")]


@pytest.mark.parametrize(("name", "detail"), KILLED, ids=str)
def test_a_manager_or_worker_killed_in_the_pause_leaves_the_guest_on_one_valid_disk(
    name: str,
    detail: str,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: Pools,
    hypervisor: Any,
) -> None:
    source = f"{pools[0]}/disk0"
    armed = cluster.faults / name
    with hypervisor() as host:
        seen(migration, host.agent)
        armed.write_text(f"1 {detail}", encoding="utf-8")
        run(migration, source, "--object-size", "1M")
        try:
            deadline = time.monotonic() + 150
            while "cut-over" not in state(migration, source):
                assert time.monotonic() < deadline, host.agent.said
                time.sleep(0.2)
            host.must_be_clean()
            assert not armed.exists()
        finally:
            armed.unlink(missing_ok=True)
        assert watchers(client, source) == 1
        migration.text("commit", source)
        migration.wait(source, "committed")
        host.must_be_clean()


def test_an_agent_speaks_for_its_own_host_only(
    cluster: Cluster, migration: Commands, tmp_path: Path
) -> None:
    agent = AgentProcess(cluster, tmp_path, HOST)
    agent.create_user()
    conf = str(tmp_path / f"{HOST}.conf")
    message = tmp_path / "message"
    message.write_text('{"Inventory": {"version": "1", "guests": []}}', encoding="utf-8")

    def poll(host: str, *command: str) -> "Any":
        ceph = ["ceph", "-c", conf, "-n", f"client.{HOST}", "rbd", "migration"]
        given = [*ceph, *(command or ("agent", "poll", host, "-i", str(message)))]
        return cluster.run(given, check=False, timeout=60)

    assert poll(HOST).returncode == 0
    done = poll("pve4")
    assert done.returncode == EACCES
    assert "pve4" in done.stderr
    assert poll("", "ls").stdout.strip() == "There are no migrations."
    done = poll("", "cutover", "rbd/some")
    assert done.returncode == EACCES
    done = poll("", "agent", "rm", HOST)
    assert done.returncode == EACCES
    assert HOST in migration.text("agent", "ls")
    assert HOST in migration.text("agent", "rm", HOST)
    assert HOST not in migration.text("agent", "ls")
