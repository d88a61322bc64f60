"""Creates a cluster: the order of steps from an empty folder to one that serves I/O."""

import contextlib
import json
import os
import secrets
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

from qa.devcluster import blueprint as blueprints
from qa.devcluster import commands, keys, ports
from qa.devcluster.blueprint import Blueprint
from qa.devcluster.conf import conf_text
from qa.devcluster.errors import CommandFailed, DevClusterError, WaitTimeout
from qa.devcluster.layout import Layout
from qa.devcluster.managers import Managers, in_parallel
from qa.devcluster.options import ClusterOptions

_STEP_TIMEOUT = 120.0


def claim(layout: Layout, options: ClusterOptions) -> Blueprint:
    """Take the folder for a new cluster and choose names and ports."""
    root = layout.root
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if layout.blueprint.exists():
        raise DevClusterError(f"There is a cluster in {root} already; take it down first.")
    if any(root.iterdir()):
        raise DevClusterError(f"{root} holds other files; choose an empty or a new folder.")
    try:
        layout.blueprint.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise DevClusterError(f"Another 'up' is running in {root}.") from None
    blueprint = blueprints.draw(options, ports.reserve(root, blueprints.ports_needed(options)))
    layout.blueprint.write_text(blueprint.to_json(), encoding="utf-8")
    return blueprint


def write_private(path: Path, text: str) -> None:
    """Write a file that contains secrets."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


class Bootstrap:
    """Creates one cluster, step by step."""

    def __init__(self, cluster: Managers, blueprint: Blueprint) -> None:
        self._cluster = cluster
        self._daemons = cluster.daemons
        self._layout = cluster.layout
        self._blueprint = blueprint
        self._options = blueprint.options

    def run(self) -> None:
        with ThreadPoolExecutor() as pool:
            self._write_files()
            osds = pool.submit(in_parallel, self._make_osd, self._blueprint.osds)
            in_parallel(self._make_mon, self._blueprint.mons)
            self._wait_for_quorum()
            self._tell_the_mons()
            for name in self._blueprint.mgrs:
                self._cluster.mgr_start(name)
            osds.result()
            for number in self._blueprint.osds:
                self._daemons.start(f"osd.{number}")
            managers = pool.submit(self._wait_for_managers)
            self._wait_for_osds()
            if self._options.rgw:
                self._make_gateway()
            managers.result()
        self._wait_for_health()

    # -- steps

    def _write_files(self) -> None:
        self._layout.make_folders()
        self._layout.conf.write_text(conf_text(self._blueprint, self._layout), encoding="utf-8")
        write_private(self._layout.keyring, keys.keyring_text(self._blueprint))
        monmap = ["monmaptool", "--create", "--fsid", self._blueprint.fsid]
        for name, (v2, v1) in self._blueprint.mons.items():
            monmap += ["--addv", name, f"[{blueprints.mon_address(v2, v1)}]"]
        self._run(*monmap, str(self._layout.monmap))

    def _make_mon(self, name: str) -> None:
        daemon = f"mon.{name}"
        self._layout.data_of(daemon).mkdir()
        self._mkfs(
            daemon, "--monmap", str(self._layout.monmap), "--keyring", str(self._layout.keyring)
        )
        self._daemons.start(daemon)

    def _make_osd(self, number: str) -> None:
        daemon = f"osd.{number}"
        self._layout.data_of(daemon).mkdir()
        self._mkfs(
            daemon, "--osd-uuid", self._blueprint.osds[number],
            "--monmap", str(self._layout.monmap), "--no-mon-config",
        )  # fmt: skip

    def _wait_for_quorum(self) -> None:
        mons = self._blueprint.mons

        def listening() -> bool:
            return all(_answers(port) for port, _ in mons.values())

        def all_in() -> bool:
            status = self._cluster.mon_command("quorum_status")
            return set(status["quorum_names"]) == set(mons)

        daemons = [f"mon.{name}" for name in mons]
        self._wait(listening, daemons, "the mons to listen", interval=0.05)
        self._wait(all_in, daemons, "the mons to form a quorum")

    def _tell_the_mons(self) -> None:
        """Set the options of the mons that the other daemons depend on."""
        for number, identity in self._blueprint.osds.items():
            self._tell("osd new", uuid=identity, id=int(number))
        for kind in ("hdd", "hybrid"):  # not in the file, so that tests can change it
            self._set(f"osd_snap_trim_sleep_{kind}", "0", who="osd")
        # It would create a pool.
        self._set("mgr/devicehealth/enable_monitoring", "false")
        # It would begin to move placement groups after a minute, for which copies slow down.
        self._set("mgr/balancer/active", "false")
        if self._options.dashboard:
            self._set("mgr/dashboard/ssl", "false")
            self._set("mgr/dashboard/server_addr", "127.0.0.1")
            for name, port in self._blueprint.mgrs.items():
                self._set(f"mgr/dashboard/{name}/server_port", str(port))
            self._cluster.ceph("mgr", "module", "enable", "dashboard", "--force")
        self._cluster.enable_module()

    def _wait_for_osds(self) -> None:
        daemons = [f"osd.{number}" for number in self._blueprint.osds]

        def all_up() -> bool:
            up: int = self._cluster.mon_command("osd stat")["num_up_osds"]
            return up == len(daemons)

        self._wait(all_up, daemons, "the OSDs to be up")

    def _wait_for_managers(self) -> None:
        daemons = [f"mgr.{name}" for name in self._blueprint.mgrs]

        def all_ready() -> bool:
            seen = self._cluster.mon_command("mgr dump")
            return seen["available"] and len(seen["standbys"]) == len(daemons) - 1

        self._wait(all_ready, daemons, "the managers")
        if self._options.dashboard:
            self._make_dashboard_user()
        try:
            self._cluster.wait_module(_STEP_TIMEOUT)
        except WaitTimeout as error:
            raise DevClusterError(f"{error}\n{self._tails(daemons)}") from None

    def _make_dashboard_user(self) -> None:
        access = {"user": "admin", "password": secrets.token_urlsafe(12)}

        def made() -> bool:
            done = self._cluster.run(
                ["ceph", "dashboard", "ac-user-create", access["user"],
                 "-i", "-", "administrator", "--force-password"],
                check=False, input=access["password"],
            )  # fmt: skip
            return done.returncode == 0

        daemons = [f"mgr.{name}" for name in self._blueprint.mgrs]
        self._wait(made, daemons, "the dashboard to take its user")
        write_private(self._layout.dashboard, json.dumps(access))

    def _make_gateway(self) -> None:
        daemon = "client.rgw.a"
        endpoint = f"http://127.0.0.1:{self._blueprint.rgw_port}"
        self._layout.data_of(daemon).mkdir()
        self._daemons.start(daemon)
        self._wait(lambda: _http_answers(endpoint), [daemon], "the object gateway")
        access = {
            "endpoint": endpoint,
            "access_key": secrets.token_hex(10).upper(),
            "secret_key": secrets.token_urlsafe(30),
        }
        self._cluster.run(
            ["radosgw-admin", "user", "create", "--uid", "dev", "--display-name", "Developer",
             "--access-key", access["access_key"], "--secret-key", access["secret_key"]],
        )  # fmt: skip
        write_private(self._layout.s3, json.dumps(access))

    def _wait_for_health(self) -> None:
        """Give a new cluster a moment to become healthy; it may be usable without."""

        def healthy() -> bool:
            return bool(self._cluster.health()["status"] == "HEALTH_OK")

        with contextlib.suppress(WaitTimeout):
            self._cluster.wait_for(healthy, 15, "HEALTH_OK")

    # -- helpers

    def _mkfs(self, daemon: str, *args: str) -> None:
        try:
            self._run(*self._daemons.command(daemon, "--mkfs", *args))
        except CommandFailed as error:
            raise DevClusterError(
                f"{daemon} could not be made.\n{error}\n{self._daemons.tail(daemon)}"
            ) from None

    def _run(self, *command: str) -> None:
        commands.run(command, env=self._daemons.environment, timeout=_STEP_TIMEOUT)

    def _tell(self, prefix: str, **args: Any) -> None:
        self._cluster.mon_command(prefix, **args)

    def _set(self, option: str, value: str, who: str = "mgr") -> None:
        # Module options are not known to the mons before a manager has started.
        self._tell("config set", who=who, name=option, value=value, force=True)

    def _wait(
        self, predicate: Callable[[], bool], daemons: list[str], what: str, interval: float = 0.2
    ) -> None:
        """Wait for daemons; the error message ends with their logs."""

        def or_dead() -> bool:
            for daemon in daemons:
                self._daemons.check(daemon)
            return predicate()

        try:
            self._cluster.wait_for(or_dead, _STEP_TIMEOUT, what, interval)
        except WaitTimeout as error:
            raise DevClusterError(f"{error}\n{self._tails(daemons)}") from None

    def _tails(self, daemons: list[str]) -> str:
        return "\n".join(self._daemons.tail(daemon) for daemon in daemons)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _http_answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
