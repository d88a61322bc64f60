"""The cluster as demos, tests and benchmarks use it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Optional,
    TypeVar,
    Union,
)

from qa.devcluster import bootstrap, commands, modules, processes
from qa.devcluster.blueprint import Blueprint
from qa.devcluster.daemons import Daemons
from qa.devcluster.errors import CommandFailed, DevClusterError, WaitTimeout
from qa.devcluster.layout import Layout
from qa.devcluster.options import ClusterOptions

if TYPE_CHECKING:
    import rados as librados  # Cluster.rados is the command

T = TypeVar("T")

_STOP_GRACE = 5.0  # seconds from asking a daemon to end to killing it
_START_TIMEOUT = 180.0  # seconds until a daemon that was started has to be of use


class Cluster:
    """One Ceph cluster in one folder; as a context manager it is taken down at the end."""

    def __init__(self, path: Union[str, Path]) -> None:
        self.layout = Layout(Path(path).resolve())
        self.daemons = Daemons(self.layout)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.down()

    # -- the whole cluster

    def up(self, options: Optional[ClusterOptions] = None) -> None:
        """Make the cluster and wait until it is of use; leaves nothing behind when it fails."""
        blueprint = bootstrap.claim(self.layout, options or ClusterOptions())
        try:
            bootstrap.Bootstrap(self, blueprint).run()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End all processes and remove the folder; nothing to do when there is no cluster."""
        if not self.exists():
            return
        self.daemons.kill_all()
        shutil.rmtree(self.layout.sockets, ignore_errors=True)
        for entry in self.layout.root.iterdir():
            if entry == self.layout.blueprint:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.layout.blueprint.unlink()
        self.layout.root.rmdir()

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

    # -- talking to it

    @property
    def conf(self) -> Path:
        return self.layout.conf

    @property
    def faults(self) -> Path:
        """The folder that the managers see as RBD_MIGRATION_FAULT_DIR."""
        return self.layout.faults

    @property
    def env(self) -> dict[str, str]:
        """Our environment, with which plain ceph, rbd and rados work against this cluster."""
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
        return self.run(["ceph", *args], timeout=timeout, input=input).stdout

    def ceph_json(self, *args: str, timeout: float = 60, input: Optional[str] = None) -> Any:
        text = self.ceph(*args, "--format", "json", timeout=timeout, input=input)
        return json.loads(text) if text.strip() else None

    def rbd(self, *args: str, timeout: float = 60, input: Optional[str] = None) -> str:
        return self.run(["rbd", *args], timeout=timeout, input=input).stdout

    def rados(self, *args: str, timeout: float = 60, input: Optional[str] = None) -> str:
        return self.run(["rados", *args], timeout=timeout, input=input).stdout

    @contextlib.contextmanager
    def connect(self, timeout: float = 20) -> "Iterator[librados.Rados]":
        """A connected RADOS client in this process; its commands to the mons end in time."""
        import rados as librados  # noqa: PLC0415 - the rest of this package works without it

        client = librados.Rados(
            conffile=str(self.conf),
            name="client.admin",
            conf={
                "client_mount_timeout": f"{timeout:g}",
                "rados_mon_op_timeout": f"{timeout:g}",
            },
        )
        try:
            try:
                client.connect()
            except librados.Error as error:
                raise DevClusterError(
                    f"The cluster in {self.layout.root} cannot be reached ({error}); "
                    f"the logs of its mons are in {self.layout.logs}."
                ) from error
            yield client
        finally:
            client.shutdown()

    def mon_command(self, prefix: str, input: str = "", timeout: float = 20, **args: Any) -> Any:
        """A command to the mons without the ceph CLI's start-up time; returns decoded JSON."""
        request = json.dumps({"prefix": prefix, "format": "json", **args})
        with self.connect(timeout) as client:
            code, output, status = client.mon_command(request, input.encode())
        if code != 0:
            raise CommandFailed(["ceph", prefix], -code, output.decode(), status)
        try:
            return json.loads(output) if output.strip() else None
        except ValueError:
            return output.decode()

    def wait_for(
        self, predicate: Callable[[], T], timeout: float, what: str, interval: float = 0.2
    ) -> T:
        """Call the predicate until what it returns is true, and return that."""
        deadline = time.monotonic() + timeout
        while True:
            value = predicate()
            if value:
                return value
            if time.monotonic() > deadline:
                raise WaitTimeout(f"Waited {timeout:g} s in vain for {what}.")
            time.sleep(interval)

    def health(self) -> dict[str, Any]:
        """{"status": "HEALTH_OK", "checks": {...}}"""
        health: dict[str, Any] = self.mon_command("health")
        return health

    # -- pools

    def create_pool(
        self,
        name: str,
        application: str = "rbd",
        pg_num: int = 8,
        size: int = 1,
        pool_type: str = "replicated",
    ) -> str:
        """Make a pool and return its name. One with pool_type="erasure" needs three OSDs."""
        # The CLI, since it knows each release's spelling of the flags.
        replicated = pool_type == "replicated"
        if not replicated and len(self.blueprint.osds) < 3:
            raise DevClusterError("An erasure-coded pool needs a cluster with three OSDs.")
        sizing = ["--size", str(size)] if replicated else []
        self.ceph("osd", "pool", "create", name, str(pg_num), str(pg_num), pool_type, *sizing)
        if application == "rbd" and replicated:
            self.rbd("pool", "init", name)
        elif application:
            self.ceph("osd", "pool", "application", "enable", name, application)
        if not replicated:
            self.ceph("osd", "pool", "set", name, "allow_ec_overwrites", "true")
        return name

    def delete_pool(self, name: str) -> None:
        self.ceph("osd", "pool", "delete", name, name, "--yes-i-really-really-mean-it")

    # -- managers

    def mgrs(self) -> list[str]:
        return list(self.blueprint.mgrs)

    def active_mgr(self) -> Optional[str]:
        """The active manager as the mons see it: a dead one until they have given it up."""
        return self.mon_command("mgr dump")["active_name"] or None

    def mgr_pid(self, name: str) -> int:
        return self.daemons.get(f"mgr.{name}").pid

    def mgr_log(self, name: str) -> Path:
        return self.layout.log_of(f"mgr.{name}")

    def mgr_signal(self, name: str, sig: int) -> None:
        self.daemons.signal(f"mgr.{name}", sig)

    def mgr_kill(self, name: Optional[str] = None) -> str:
        """Kill a manager (the active one) with SIGKILL and return its name."""
        name = name or self._require_active()
        process = self.daemons.signal(f"mgr.{name}", signal.SIGKILL)
        processes.wait_gone(process, 10)
        return name

    def mgr_stop(self, name: str) -> None:
        self.daemons.stop(f"mgr.{name}", _STOP_GRACE)

    def mgr_start(self, name: str) -> None:
        """Start a manager, with new module code; does not wait."""
        self._known(name, self.blueprint.mgrs, "manager")
        if self.daemons.find(f"mgr.{name}") is None:
            modules.fill(self.layout.modules_of(name), linked=self.options.module)
        self.daemons.start(f"mgr.{name}")

    def mgr_restart(self, timeout: float = _START_TIMEOUT) -> str:
        """Stop all managers and start them with new module code; returns the active one."""
        before = self._mgr_ids()
        names = self.mgrs()
        bootstrap.in_parallel(self.mgr_stop, names)
        self.enable_module()
        for name in names:
            self.mgr_start(name)
        return self.wait_mgrs(timeout, not_these=before)

    def mgr_fail(self, wait: bool = True) -> str:
        """Have the mons fail the active manager; returns the name of the one that failed."""
        name = self._require_active()
        before = {self.mon_command("mgr dump")["active_gid"]}
        self.mon_command("mgr fail", who=name)
        if wait:
            self.wait_active(not_these=before)
        return name

    def wait_active(
        self, timeout: float = _START_TIMEOUT, not_these: "frozenset[int] | set[int]" = frozenset()
    ) -> str:
        """Wait for an active manager that takes commands; `not_these`: ids of former ones."""

        def usable() -> Optional[str]:
            seen = self.mon_command("mgr dump")
            ready = seen["available"] and seen["active_gid"] not in not_these
            return seen["active_name"] if ready else None

        name = self.wait_for(usable, timeout, "an active manager")
        assert name is not None
        self.wait_module(timeout)
        return name

    def wait_mgrs(
        self, timeout: float = _START_TIMEOUT, not_these: "frozenset[int] | set[int]" = frozenset()
    ) -> str:
        """As wait_active, and for the standby managers of all others that run."""
        name = self.wait_active(timeout, not_these)
        others = {each for each in self.mgrs() if self.daemons.find(f"mgr.{each}")} - {name}

        def all_there() -> bool:
            standbys = self.mon_command("mgr dump")["standbys"]
            return others <= {each["name"] for each in standbys if each["gid"] not in not_these}

        self.wait_for(all_there, timeout, "the standby managers")
        return name

    def enable_module(self) -> None:
        """Enable our module when this cluster shall have it and the repository has it."""
        if self.options.module and modules.module_exists() and not self.module_enabled():
            self.ceph("mgr", "module", "enable", modules.MODULE, "--force")

    def module_enabled(self) -> bool:
        return modules.MODULE in self.mon_command("mgr dump")["modules"]

    def wait_module(self, timeout: float = _START_TIMEOUT) -> None:
        """Wait until our module answers its command; no wait when it is not enabled."""
        if not self.module_enabled():
            return
        said = ""

        def answers() -> bool:
            nonlocal said
            done = self.run(["ceph", "rbd", "migration", "ls"], timeout=timeout, check=False)
            said = done.stderr.strip()
            return done.returncode == 0

        try:
            self.wait_for(answers, timeout, "'ceph rbd migration ls' to work")
        except WaitTimeout as error:
            raise WaitTimeout(f"{error} It said: {said}") from None

    # -- OSDs and mons

    def osd_stop(self, number: int) -> None:
        """Stop the OSD and wait until the cluster knows."""
        self._known(str(number), self.blueprint.osds, "OSD")
        self.daemons.stop(f"osd.{number}", _STOP_GRACE)
        self.mon_command("osd down", ids=[str(number)])
        self.wait_for(lambda: not self._osd_up(number), 20, f"osd.{number} to be down")

    def osd_start(self, number: int, timeout: float = _START_TIMEOUT) -> None:
        """Start the OSD and wait until it is up."""
        self._known(str(number), self.blueprint.osds, "OSD")
        self.daemons.start(f"osd.{number}")
        self.wait_for(lambda: self._osd_up(number), timeout, f"osd.{number} to be up")

    def mon_stop(self, name: str) -> None:
        """Stop the mon and wait until the others know; without a majority no command works."""
        mons = self.blueprint.mons
        self._known(name, mons, "mon")
        self.daemons.stop(f"mon.{name}", _STOP_GRACE)
        left = [each for each in mons if self.daemons.find(f"mon.{each}")]
        if 2 * len(left) > len(mons):
            self.wait_for(
                lambda: name not in self.mon_command("quorum_status")["quorum_names"],
                _START_TIMEOUT,
                f"the quorum without mon.{name}",
            )

    def mon_start(self, name: str, timeout: float = _START_TIMEOUT) -> None:
        """Start the mon and wait until it is in the quorum."""
        self._known(name, self.blueprint.mons, "mon")
        self.daemons.start(f"mon.{name}")
        self.wait_for(
            lambda: name in self.mon_command("quorum_status", timeout=timeout)["quorum_names"],
            timeout,
            f"mon.{name} to be in the quorum",
        )

    # -- gateways

    def dashboard(self) -> dict[str, str]:
        """url (of the active manager), user and password of the dashboard."""
        access = self._access(self.layout.dashboard, "--dashboard")
        port = self.blueprint.mgrs[self._require_active()]
        return {"url": f"http://127.0.0.1:{port}", **access}

    def s3(self) -> dict[str, str]:
        """endpoint, access_key and secret_key of the object gateway."""
        return self._access(self.layout.s3, "--rgw")

    # -- helpers

    def _require_active(self) -> str:
        name = self.active_mgr()
        if name is None:
            raise DevClusterError("No manager is active now; wait until one has taken over.")
        return name

    def _mgr_ids(self) -> "set[int]":
        seen = self.mon_command("mgr dump")
        return {seen["active_gid"], *(each["gid"] for each in seen["standbys"])}

    def _osd_up(self, number: int) -> bool:
        osds = self.mon_command("osd dump")["osds"]
        return any(each["osd"] == number and each["up"] for each in osds)

    @staticmethod
    def _known(name: str, names: Mapping[str, Any], what: str) -> None:
        if name not in names:
            raise DevClusterError(f"There is no {what} {name}; there are: {', '.join(names)}.")

    def _access(self, path: Path, option: str) -> dict[str, str]:
        try:
            access: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DevClusterError(f"This cluster was made without {option}.") from None
        return access
