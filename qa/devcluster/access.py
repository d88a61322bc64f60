"""Access to a cluster in a folder: commands, a RADOS client, and waiting for conditions."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from errno import ETIMEDOUT
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Optional,
    TypeVar,
    Union,
)

from qa.devcluster import commands, mon_connection
from qa.devcluster.blueprint import Blueprint
from qa.devcluster.daemons import Daemons
from qa.devcluster.errors import CommandFailed, DevClusterError, WaitTimeout
from qa.devcluster.in_process_cli import InProcessCli
from qa.devcluster.layout import Layout
from qa.devcluster.options import ClusterOptions

if TYPE_CHECKING:
    import rados as librados  # Access.rados is the command

T = TypeVar("T")

STOP_GRACE = 5.0  # seconds from asking a daemon to end to killing it
START_TIMEOUT = 180.0  # seconds until a started daemon has to be ready


class Access:
    """Access to a cluster, whether it runs or not."""

    def __init__(self, path: Union[str, Path]) -> None:
        self.layout = Layout(Path(path).resolve())
        self.daemons = Daemons(self.layout)
        self.mons = mon_connection.MonConnection(self.layout)
        self._in_process = InProcessCli()

    def exists(self) -> bool:
        """Whether the folder holds a cluster (which need not be running)."""
        return self.layout.blueprint.is_file()

    @property
    def blueprint(self) -> Blueprint:
        """Names, ports and options of this cluster."""
        try:
            return Blueprint.from_json(self.layout.blueprint.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            raise DevClusterError(
                f"There is no cluster in {self.layout.root}; make one with './run cluster up'."
            ) from None

    @property
    def options(self) -> ClusterOptions:
        return self.blueprint.options

    @property
    def conf(self) -> Path:
        return self.layout.conf

    @property
    def faults(self) -> Path:
        """The folder that the managers know as RBD_MIGRATION_FAULT_DIR."""
        return self.layout.faults

    @property
    def env(self) -> dict[str, str]:
        """The environment with which plain ceph, rbd and rados use this cluster."""
        ours = {key: value for key, value in os.environ.items() if not key.startswith("CEPH_")}
        return {**ours, "CEPH_CONF": str(self.conf)}

    def run(
        self,
        command: Sequence[str],
        timeout: float = 60,
        check: bool = True,
        input: Optional[str] = None,  # named as in subprocess.run
    ) -> "subprocess.CompletedProcess[str]":
        """Run any command against the cluster; raises CommandFailed, see commands.run."""
        return commands.run(command, env=self.env, timeout=timeout, check=check, input=input)

    def ceph(self, *args: str, timeout: float = 60, input: Optional[str] = None) -> str:
        """Run a ceph command and return its output; one of the mons without starting the tool."""

        def tool() -> "subprocess.CompletedProcess[str]":
            return self.run(["ceph", *args], timeout=timeout, check=False, input=input)

        done = tool() if input is not None else self._without_tool(args, timeout, tool)
        if done.returncode != 0:
            raise CommandFailed(["ceph", *args], done.returncode, done.stdout, done.stderr)
        return done.stdout

    def _without_tool(
        self,
        args: Sequence[str],
        timeout: float,
        tool: "Callable[[], subprocess.CompletedProcess[str]]",
    ) -> "subprocess.CompletedProcess[str]":
        with contextlib.ExitStack() as stack:
            try:
                client = stack.enter_context(self.mons.client())
            except (ImportError, DevClusterError):
                return tool()
            done = self._in_process.run(client, args, timeout, tool, managers=False)
            if done.returncode == ETIMEDOUT:
                self.mons.forget(client)
            return done

    def ceph_json(self, *args: str, timeout: float = 60, input: Optional[str] = None) -> Any:
        text = self.ceph(*args, "--format", "json", timeout=timeout, input=input)
        return json.loads(text) if text.strip() else None

    def rbd(self, *args: str, timeout: float = 60, input: Optional[str] = None) -> str:
        return self.run(["rbd", *args], timeout=timeout, input=input).stdout

    def rados(self, *args: str, timeout: float = 60, input: Optional[str] = None) -> str:
        return self.run(["rados", *args], timeout=timeout, input=input).stdout

    @contextlib.contextmanager
    def connect(self, timeout: float = 20) -> "Iterator[librados.Rados]":
        """A connected RADOS client in this process; ``timeout`` (seconds) is for connecting.

        Its commands have none: librados writes a manager's answer that comes after
        ``rados_mon_op_timeout`` into memory that it has freed, and the process ends (seen with
        16.2.15 while there was no manager).
        """
        client = mon_connection.connected(self.layout, timeout, mon_op_timeout=0)
        try:
            yield client
        finally:
            client.shutdown()

    def mon_command(self, prefix: str, input: str = "", **args: Any) -> Any:
        """Run a command of the mons without the ceph CLI's start-up time; return decoded JSON."""
        request = json.dumps({"prefix": prefix, "format": "json", **args})
        with self.mons.client() as client:
            code, output, status = client.mon_command(request, input.encode())
            if code == -ETIMEDOUT:
                self.mons.forget(client)
        if code != 0:
            raise CommandFailed(["ceph", prefix], -code, output.decode(), status)
        try:
            return json.loads(output) if output.strip() else None
        except ValueError:
            return output.decode()

    def wait_for(
        self, predicate: Callable[[], T], timeout: float, what: str, interval: float = 0.2
    ) -> T:
        """Call the predicate until its result is true, and return that result."""
        deadline = time.monotonic() + timeout
        while True:
            value = predicate()
            if value:
                return value
            if time.monotonic() > deadline:
                raise WaitTimeout(f"Timed out after {timeout:g} s, waiting for {what}.")
            time.sleep(interval)

    def health(self) -> dict[str, Any]:
        """Return the health as {"status": "HEALTH_OK", "checks": {...}}."""
        health: dict[str, Any] = self.mon_command("health")
        return health

    @staticmethod
    def _known(name: str, names: Mapping[str, Any], what: str) -> None:
        if name not in names:
            raise DevClusterError(f"There is no {what} {name}; there are: {', '.join(names)}.")
