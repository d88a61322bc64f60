"""The demo with a virtual machine: its disk moves to another pool while it runs."""

import time
from pathlib import Path
from typing import Any

import rbd

from qa.demo.connection import connect
from qa.demo.console import Console
from qa.demo.errors import DemoError
from qa.demo.migration import Migration
from qa.demo.settings import Settings
from qa.demo.sizes import size_text
from qa.devcluster import Cluster
from qa.guest import AgentProcess, DiskReport, GuestError, GuestOptions, Machine, RbdDisk

_HOST, _GUEST = "host1", "vm1"
_AFTER = 200  # writes after the end
_PATIENCE = 60.0  # seconds until the agent has reported the guest


def run(cluster: Cluster, settings: Settings, console: Console, folder: Path) -> int:
    """Show it; 0 if the guest noticed nothing but a pause, else 1. Raises DemoError."""
    mark = str(cluster.layout.root)
    disk = RbdDisk(settings.source_pool, settings.image)
    options = GuestOptions((disk,), name=_GUEST)
    cluster.ceph("config", "set", "mgr", "mgr/rbd_migration/agent_interval", "2")
    with connect(cluster) as client:
        console.section("A virtual machine")
        with client.open_ioctx(settings.source_pool) as ioctx:
            rbd.RBD().create(ioctx, settings.image, settings.size)
        try:
            with (
                Machine(folder, cluster.conf, options, env=cluster.env, mark=mark) as machine,
                AgentProcess(cluster, folder, _HOST) as agent,
            ):
                console.say(
                    f"QEMU with the disk {settings.source} of {size_text(settings.size)}. Its guest"
                    " writes numbered blocks all\nthe time, reads them back, and reports on its "
                    "console:"
                )
                machine.wait_writes(100)
                console.output(_last_line(machine))
                migration = Migration(cluster, client, console, settings.source, settings.target)
                return _move(migration, machine, agent, console)
        except GuestError as error:
            raise DemoError(f"{error}\n{agent_log(folder)}") from error


def agent_log(folder: Path) -> str:
    """The end of what the agent logged."""
    log = folder / f"{_HOST}.log"
    return log.read_text(encoding="utf-8")[-2000:] if log.exists() else ""


def _move(migration: Migration, machine: Machine, agent: AgentProcess, console: Console) -> int:
    console.section("The agent of its host tells the manager which images it has open")
    deadline = time.monotonic() + _PATIENCE
    while _GUEST not in migration.quiet("clients"):
        if time.monotonic() > deadline or not agent.running:
            raise DemoError(f"The agent has not reported the guest: {agent.said[-1000:]}")
        time.sleep(0.2)
    migration.command("clients")
    console.section("Its disk moves while it runs")
    migration.command("run", migration.source, migration.target, "--cutover", "agent",
                      "--name-changes")  # fmt: skip

    def show(report: "dict[str, Any]") -> None:
        console.progress(report["percent"], report["state"])

    report = migration.wait_for(["committed"], show)
    console.progress_done(100, "committed")
    console.say("What happened, by the migration's history:")
    for entry in report["timeline"]:
        console.output(f"{entry['at']}  {entry['state']}  {entry['message']}".rstrip())
    machine.wait_writes(_AFTER)
    console.section("What the guest noticed")
    console.output(_last_line(machine))
    return _result(report, machine, console)


def _result(report: "dict[str, Any]", machine: Machine, console: Console) -> int:
    found: DiskReport
    (found,) = machine.reports().values()
    console.plain()
    console.plain(f"pause of the guest  {report['rounds']['pause_seconds']:.2f} s")
    console.plain(f"uptime of the guest {found.seconds} s")
    console.plain(f"blocks written      {found.writes}")
    console.plain(f"I/O errors          {found.errors}")
    console.plain(f"wrong blocks        {found.wrong}")
    return 0 if found.clean else 1


def _last_line(machine: Machine) -> str:
    return machine.text.replace("\r", "").rstrip().rpartition("\n")[2]
