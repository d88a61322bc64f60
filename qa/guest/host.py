"""A hypervisor host as the tests have it: an agent with a cephx user of its own, and guests."""

import os
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Optional

from qa.devcluster import Cluster, processes
from qa.devcluster.layout import REPOSITORY
from qa.guest.errors import GuestError
from qa.workload.held_process import HeldProcess, held_at

_GRACE = 10.0


class AgentProcess:
    """``rbd-migration-agent`` of the host ``name``, a process of its own. Started by :meth:`start`.

    ``folder`` has the QMP sockets of the guests, and gets the agent's files. ``libvirt`` is the URI
    of more guests; empty: none. ``lifetime``: seconds after which it is ended.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, name: str, libvirt: str = "", lifetime: int = 280
    ) -> None:
        self.name = name
        self._lifetime = lifetime
        self._libvirt = libvirt
        self._cluster = cluster
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._conf = folder / f"{name}.conf"
        self._process: Optional[processes.Process] = None
        self._faults = folder / f"{name}.faults"

    def __enter__(self) -> "AgentProcess":
        self.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()
        forget = ["ceph", "rbd", "migration", "agent", "rm", self.name]
        self._cluster.run(forget, check=False)  # its guests would be shown for two minutes

    @property
    def running(self) -> bool:
        return self._process is not None and processes.alive(self._process)

    @property
    def said(self) -> str:
        """What it logged."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def create_user(self) -> None:
        """Make the cephx user of the host, with just what an agent needs."""
        keyring = self._folder / f"{self.name}.keyring"
        made = self._cluster.run([
            "ceph", "auth", "get-or-create", f"client.{self.name}",
            "mon", "profile rbd",
            "osd", "profile rbd-read-only",
            "mgr", f"allow module rbd_migration with host={self.name} rw",
        ])  # fmt: skip
        keyring.write_text(made.stdout, encoding="utf-8")
        keyring.chmod(0o600)
        conf = Path(self._cluster.conf).read_text(encoding="utf-8")
        self._conf.write_text(
            f"{conf}\n[client.{self.name}]\nkeyring = {keyring}\n", encoding="utf-8"
        )

    def start(self) -> None:
        """Start it."""
        if not self._conf.exists():
            self.create_user()
        env = {
            **self._cluster.env,
            "PYTHONPATH": str(REPOSITORY / "src"),
            processes.MARK: str(self._cluster.layout.root),
            "RBD_MIGRATION_FAULT_DIR": str(self._faults),
        }
        self._faults.mkdir(exist_ok=True)
        self._process = processes.spawn(
            [
                *("timeout", "-k", "5", str(self._lifetime)),
                *(sys.executable, "-m", "rbdmigrate_agent"),
                *("--conf", str(self._conf), "--id", self.name, "--host", self.name),
                *("--qmp", str(self._folder), "--state", str(self._folder / f"{self.name}.state")),
                *(("--libvirt", self._libvirt) if self._libvirt else ()),
                "--verbose",
            ],
            env,
            self._log,
        )

    def die_at(self, name: str, detail: str) -> None:
        """Have it kill itself the next time that it passes a fault point."""
        (self._faults / name).write_text(f"1 {detail}", encoding="utf-8")

    def held_at(self, name: str, detail: str) -> "AbstractContextManager[HeldProcess]":
        """Have it wait at a fault point until the block ends."""
        return held_at(self._faults, name, detail)

    def stop(self) -> None:
        """End it as systemd does."""
        if self._process is not None:
            processes.stop(self._process, _GRACE)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is None:
            raise GuestError("The agent was not started.")
        os.killpg(self._process.pid, signal.SIGKILL)
        processes.wait_gone(self._process, _GRACE)
