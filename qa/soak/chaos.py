"""Faults during the soak run: workers and managers killed, failed over, frozen; rates changed."""

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

from qa.devcluster import Cluster, CommandFailed

_EVERY = (4.0, 12.0)  # seconds between two faults
_STOPPED = 9.0  # seconds for which a manager is stopped: longer than its grace


class Chaos:
    """A thread that causes faults until it is stopped."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self.done: dict[str, int] = {}
        self.error = ""
        self._cluster = cluster
        self._chance = chance
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with all managers running."""
        self._stopping.set()
        self._thread.join(120)
        self.error = self.error or ended_alone(self._cluster)
        self._cluster.ceph("rbd", "migration", "throttle", "clear")

    def _run(self) -> None:
        acts = (
            self._kill_worker,
            self._kill_worker,
            self._throttle,
            self._throttle,
            self._kill_manager,
            self._fail,
            self._freeze,
        )
        while not self._stopping.wait(self._chance.uniform(*_EVERY)):
            self.error = ended_alone(self._cluster)
            if self.error:
                return
            act = self._chance.choice(acts)
            name = act.__name__.strip("_")
            try:
                act()
                self.done[name] = self.done.get(name, 0) + 1
            except Exception as error:
                self.error = f"{name}: {error}"
                return

    def _kill_worker(self) -> None:
        workers = workers_of(self._cluster)
        if workers:
            os.kill(self._chance.choice(workers), signal.SIGKILL)

    def _throttle(self) -> None:
        """Slow copies down, so that faults hit them in the middle, or remove the limit."""
        rate = self._chance.choice(("1M", "2M", "0", "4M", "off"))
        with contextlib.suppress(CommandFailed):  # no manager is active at the moment
            self._cluster.ceph("rbd", "migration", "throttle", "set", "--rate", rate)

    def _kill_manager(self) -> None:
        name = self._cluster.mgr_kill()
        time.sleep(self._chance.uniform(0, 8))  # alone for a while, or as if systemd restarted it
        self._cluster.mgr_start(name)
        self._cluster.wait_module()

    def _fail(self) -> None:
        self._cluster.mgr_fail()

    def _freeze(self) -> None:
        name = self._cluster.active_mgr()
        if name is None:
            return
        self._cluster.mgr_signal(name, signal.SIGSTOP)
        try:
            time.sleep(_STOPPED)
        finally:
            self._cluster.mgr_signal(name, signal.SIGCONT)
        self._cluster.wait_module(timeout=60)


def managers_of(cluster: Cluster) -> "list[int]":
    """Return the pids of the managers that run."""
    states = cluster.daemons.states().items()
    return [pid for name, pid in states if name.startswith("mgr.") and pid is not None]


def ended_alone(cluster: Cluster) -> str:
    """Name a daemon that does not run, with the end of its log; empty when all run.

    Managers that this run kills are started again before anybody asks.
    """
    for name, pid in cluster.daemons.states().items():
        if pid is None:
            return f"{name} ended by itself:\n{cluster.daemons.tail(name, 80)}"
    return ""


def workers_of(cluster: Cluster) -> "list[int]":
    """Return the pids of the workers of this cluster's managers."""
    managers = managers_of(cluster)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue  # it ended meanwhile
        if b"rbdmigrate.worker" in command and parent in managers:
            found.append(int(entry.name))
    return found
