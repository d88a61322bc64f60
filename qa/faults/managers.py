"""The managers of the cluster: commands to them, their workers, their deaths and restarts."""

import contextlib
import json
import os
import threading
import time
from errno import EAGAIN, ETIMEDOUT
from pathlib import Path
from typing import Any, Optional

from qa.devcluster import Cluster, CommandFailed, WaitTimeout
from qa.devcluster.processes import Process, start_time
from qa.faults.bench import Bench
from qa.workload.asking import send

_COMMAND = b"rbdmigrate.worker.main"
_LAST_ACT = 10.0  # seconds that a worker without a manager may still need


class CommandRefused(Exception):
    """The manager answered with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"errno {code}: {text}")
        self.code = code


def command(bench: Bench, name: str, seconds: float = 60, **args: Any) -> Any:
    """Run ``ceph rbd migration NAME``, again while no manager answers, as a user would."""
    request = json.dumps({"prefix": f"rbd migration {name}", "format": "json", **args})
    deadline = time.monotonic() + seconds
    while True:
        code, out, text = send(bench.client, request, timeout=10)
        if code == 0:
            return json.loads(out) if out else None
        if abs(code) not in (EAGAIN, ETIMEDOUT) and "is not" not in text and text:
            raise CommandRefused(abs(code), text)
        if time.monotonic() > deadline:
            raise CommandRefused(abs(code), text)
        time.sleep(0.2)


def command_in_background(bench: Bench, name: str, **args: Any) -> threading.Thread:
    """Run a command in a thread of its own and ignore its answer."""

    def ask() -> None:
        with contextlib.suppress(CommandRefused):
            command(bench, name, **args)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def workers(cluster: Cluster) -> "list[tuple[Process, int]]":
    """Return all worker processes of this cluster, each with the pid of its parent."""
    mark = f"RBD_MIGRATION_FAULT_DIR={cluster.faults}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        folder = Path("/proc") / entry
        try:
            if _COMMAND not in (folder / "cmdline").read_bytes():
                continue
            if mark not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        started = start_time(int(entry))
        if started is not None:
            found.append((Process(int(entry), started), parent))
    return found


def stray_workers(cluster: Cluster) -> "list[str]":
    """Describe workers that are not children of the active manager; there must be none."""
    active = active_pid(cluster)
    return [
        f"a worker is left: pid {process.pid}, child of {parent}"
        for process, parent in workers(cluster)
        if parent != active
    ]


def lasting_stray_workers(cluster: Cluster) -> "list[str]":
    """The same, of those that do not end by themselves within the time that an act may take."""
    deadline = time.monotonic() + _LAST_ACT
    found = stray_workers(cluster)
    while found and time.monotonic() < deadline:
        time.sleep(0.2)
        found = stray_workers(cluster)
    return found


def active_pid(cluster: Cluster) -> Optional[int]:
    """Return the process id of the active manager, if it runs."""
    name = cluster.active_mgr()
    process = cluster.daemons.find(f"mgr.{name}") if name else None
    return process.pid if process else None


def wait_for_all(cluster: Cluster) -> None:
    """Wait for an active manager and its standbys.

    A manager that starts while others change may be silent for a minute or two (seen with Ceph 16
    with and without this module). It is then restarted.
    """
    try:
        cluster.wait_mgrs(20)
    except (CommandFailed, WaitTimeout):
        dump = cluster.mon_command("mgr dump")
        known = {dump["active_name"], *(each["name"] for each in dump["standbys"])}
        for name in set(cluster.mgrs()) - known:
            cluster.mgr_stop(name)
        start_dead(cluster)
        cluster.wait_mgrs(90)


def lives(cluster: Cluster, pid: Optional[int]) -> bool:
    """Whether ``pid`` is a running manager."""
    found = [cluster.daemons.find(f"mgr.{name}") for name in cluster.mgrs()]
    return any(process.pid == pid for process in found if process is not None)


def start_dead(cluster: Cluster) -> "list[str]":
    """Start the managers that do not run and return their names."""
    dead = [name for name in cluster.mgrs() if cluster.daemons.find(f"mgr.{name}") is None]
    for name in dead:
        cluster.mgr_start(name)
    return dead
