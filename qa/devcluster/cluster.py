"""The cluster as demos, tests and benchmarks use it."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from qa.devcluster import bootstrap
from qa.devcluster.access import START_TIMEOUT, STOP_GRACE
from qa.devcluster.errors import DevClusterError
from qa.devcluster.interruption import uninterrupted
from qa.devcluster.managers import Managers
from qa.devcluster.options import ClusterOptions


class Cluster(Managers):
    """One Ceph cluster in one folder; as a context manager it is taken down at the end."""

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
        """Create the cluster and wait until it is ready; leaves nothing behind when it fails."""
        blueprint = bootstrap.claim(self.layout, options or ClusterOptions())
        try:
            bootstrap.Bootstrap(self, blueprint).run()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End all processes and remove the folder. Does nothing without a cluster.

        Ctrl-C does not interrupt it.
        """
        if not self.exists():
            return
        with uninterrupted():
            self._take_down()

    def _take_down(self) -> None:
        self.mons.close()
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

    # -- pools

    def create_pool(
        self,
        name: str,
        application: str = "rbd",
        pg_num: int = 8,
        size: int = 1,
        pool_type: str = "replicated",
    ) -> str:
        """Create a pool and return its name. With pool_type="erasure" it needs three OSDs."""
        replicated = pool_type == "replicated"
        if not replicated and len(self.blueprint.osds) < 3:
            raise DevClusterError("An erasure-coded pool needs a cluster with three OSDs.")
        sizing: dict[str, Any] = {"size": size} if replicated else {}
        self.mon_command(
            "osd pool create", pool=name, pg_num=pg_num, pgp_num=pg_num, pool_type=pool_type,
            **sizing,
        )  # fmt: skip
        if application == "rbd" and replicated:
            self._init_pool(name)
        elif application:
            self.mon_command("osd pool application enable", pool=name, app=application)
        if not replicated:
            self.mon_command("osd pool set", pool=name, var="allow_ec_overwrites", val="true")
        return name

    def _init_pool(self, name: str) -> None:
        """What ``rbd pool init`` does."""
        try:
            import rbd  # noqa: PLC0415 - the rest of this package works without it
        except ImportError:
            self.rbd("pool", "init", name)
            return
        with self.mons.client() as client:
            client.wait_for_latest_osdmap()  # else it may be a pool that had the name before
            with client.open_ioctx(name) as ioctx:
                rbd.RBD().pool_init(ioctx, False)

    def delete_pool(self, name: str) -> None:
        self.mon_command("osd pool delete", pool=name, pool2=name, yes_i_really_really_mean_it=True)

    # -- OSDs and mons

    def osd_stop(self, number: int) -> None:
        """Stop the OSD and wait until the cluster knows."""
        self._known(str(number), self.blueprint.osds, "OSD")
        self.daemons.stop(f"osd.{number}", STOP_GRACE)
        self.mon_command("osd down", ids=[str(number)])
        self.wait_for(lambda: not self._osd_up(number), 20, f"osd.{number} to be down")

    def osd_start(self, number: int, timeout: float = START_TIMEOUT) -> None:
        """Start the OSD and wait until it is up."""
        self._known(str(number), self.blueprint.osds, "OSD")
        self.daemons.start(f"osd.{number}")
        self.wait_for(lambda: self._osd_up(number), timeout, f"osd.{number} to be up")

    def mon_stop(self, name: str) -> None:
        """Stop the mon and wait until the others know; without a majority no command works."""
        mons = self.blueprint.mons
        self._known(name, mons, "mon")
        self.mons.close()  # it may have been connected to this one
        self.daemons.stop(f"mon.{name}", STOP_GRACE)
        left = [each for each in mons if self.daemons.find(f"mon.{each}")]
        if 2 * len(left) > len(mons):
            self.wait_for(
                lambda: name not in self.mon_command("quorum_status")["quorum_names"],
                START_TIMEOUT,
                f"the quorum without mon.{name}",
            )

    def mon_start(self, name: str, timeout: float = START_TIMEOUT) -> None:
        """Start the mon and wait until it is in the quorum."""
        self._known(name, self.blueprint.mons, "mon")
        self.daemons.start(f"mon.{name}")

        def in_quorum() -> bool:
            with suppress(DevClusterError):  # without a majority no command works
                return bool(name in self.mon_command("quorum_status")["quorum_names"])
            return False

        self.wait_for(in_quorum, timeout, f"mon.{name} to be in the quorum")

    # -- gateways

    def dashboard(self) -> dict[str, str]:
        """Return url (of the active manager), user and password of the dashboard."""
        access = self._access(self.layout.dashboard, "--dashboard")
        port = self.blueprint.mgrs[self._require_active()]
        return {"url": f"http://127.0.0.1:{port}", **access}

    def s3(self) -> dict[str, str]:
        """Return endpoint, access_key and secret_key of the object gateway."""
        return self._access(self.layout.s3, "--rgw")

    # -- helpers

    def _osd_up(self, number: int) -> bool:
        osds = self.mon_command("osd dump")["osds"]
        return any(each["osd"] == number and each["up"] for each in osds)

    def _access(self, path: Path, option: str) -> dict[str, str]:
        try:
            access: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DevClusterError(f"This cluster was made without {option}.") from None
        return access
