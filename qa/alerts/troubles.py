"""What the alerts warn of, made to happen on a development cluster and undone again.

Each is a context manager: within it the trouble is there, and at its end it is gone.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import rados

from qa.devcluster import Cluster
from qa.soak.chaos import workers_of
from qa.workload.asking import ask
from qa.workload.damage import spoil
from qa.workload.images import KIB, MIB, make_image
from qa.workload.module_options import module_options
from qa.workload.web_server import WebServer
from rbdmigrate.model import agent_messages as messages
from rbdmigrate.model.spec import parse_image_spec

_SECRET = "rbd/migration-source/alerts"
_SOON = 90.0  # seconds for a migration to come to a state
_KILLS = 3
_HOST, _GUEST = "host-1", "web-1"


@dataclass(frozen=True)
class Site:
    """A cluster with two pools, an administrator's client and a folder that a server serves."""

    cluster: Cluster
    client: rados.Rados
    pools: "tuple[str, str]"
    folder: Path

    def ask(self, command: str, **args: Any) -> Any:
        """The answer to ``ceph rbd migration COMMAND``."""
        return ask(self.client, command, **args)

    def image(self, name: str, size: int = MIB) -> "tuple[str, str]":
        """A new image, and the target that it may get: two image specs."""
        source, target = (f"{pool}/{name}" for pool in self.pools)
        make_image(self.client, source, size, 64 * KIB, snapshots=())
        return source, target

    def wait(self, target: str, *states: str) -> None:
        """Wait until a migration is in one of these states."""
        self.cluster.wait_for(
            lambda: self.ask("status", target_image=target)["state"] in states, _SOON, states[0]
        )

    def abort(self, target: str) -> None:
        """Abort a migration, whatever clients did, and wait for its end."""
        self.ask("abort", target_image=target, force=True)
        self.wait(target, "aborted")

    def slow_copy(self, name: str, rate: str = "64K") -> str:
        """A migration that is being copied, and will be for minutes; the target."""
        source, target = self.image(name, 16 * MIB)
        self.ask("run", source_image=source, target_image=target, goal="executed", rate=rate,
                 method="live")  # fmt: skip
        self.wait(target, "executing")
        return target


@contextmanager
def left_half_done(site: Site) -> "Iterator[None]":
    """A migration is executed and nobody commits it."""
    source, target = site.image("half")
    with module_options(site.cluster, warn_unfinished="0.0003"):
        site.ask("run", source_image=source, target_image=target, goal="executed", method="live")
        site.wait(target, "executed")
        yield
        site.ask("commit", target_image=target)
        site.wait(target, "committed")


@contextmanager
def pool_full(site: Site) -> "Iterator[None]":
    """The target's pool reaches its quota while it is copied to."""
    target = site.slow_copy("full")
    site.cluster.ceph("osd", "pool", "set-quota", site.pools[1], "max_objects", "1")
    try:
        yield
    finally:
        site.cluster.ceph("osd", "pool", "set-quota", site.pools[1], "max_objects", "0")
    site.ask("set", target_image=target, rate="off")
    site.wait(target, "executed")
    site.abort(target)


@contextmanager
def _served(site: Site, name: str) -> "Iterator[tuple[WebServer, dict[str, Any]]]":
    """A disk on a web server, and its source-spec."""
    (site.folder / name).write_bytes(os.urandom(4 * MIB))
    options = {"import_hosts": "127.0.0.1", "import_config_keys_over_http": "true"}
    with WebServer(site.folder) as server, module_options(site.cluster, **options):
        stream = {"type": "http", "url": server.url(f"/{name}")}
        yield server, {"type": "raw", "stream": stream}


@contextmanager
def source_gone(site: Site) -> "Iterator[None]":
    """The server of an import is stopped in mid copy, and started again."""
    target = f"{site.pools[1]}/imported"
    with _served(site, "disk.raw") as (server, spec):
        site.ask("run", source_image=target, import_only=True, source_spec=json.dumps(spec),
                 method="copy", goal="executed", rate="64K")  # fmt: skip
        site.wait(target, "executing")
        server.stop()
        yield
        server.start()
        site.ask("set", target_image=target, rate="off")
        site.wait(target, "executed")
        site.abort(target)


@contextmanager
def secret_removed(site: Site) -> "Iterator[None]":
    """The config-key with the secret of an import is removed, and stored again."""
    target = f"{site.pools[1]}/secret"
    with _served(site, "secret.raw") as (_, spec):
        reference = f"config://{_SECRET}"
        spec["stream"] = {
            "type": "s3",
            "url": spec["stream"]["url"],
            "access_key": reference,
            "secret_key": reference,
        }
        site.cluster.ceph("config-key", "set", _SECRET, "-i", "-", input="secret")
        site.ask("prepare", source_image=target, import_only=True, source_spec=json.dumps(spec),
                 method="copy")  # fmt: skip
        site.wait(target, "prepared")
        site.cluster.ceph("config-key", "rm", _SECRET)
        yield
        site.cluster.ceph("config-key", "set", _SECRET, "-i", "-", input="secret")
        site.abort(target)
        site.cluster.ceph("config-key", "rm", _SECRET)


@contextmanager
def contents_differ(site: Site) -> "Iterator[None]":
    """Bytes of the target change, bypassing librbd, before it is compared."""
    source, target = site.image("differs")
    site.ask("run", source_image=source, target_image=target, goal="executed", method="live")
    site.wait(target, "executed")
    spoil(site.client, target, 3)
    site.ask("verify", target_image=target, mode="full")
    site.wait(target, "failed")
    yield
    site.abort(target)


@contextmanager
def migration_failed(site: Site) -> "Iterator[None]":
    """A server refuses for good what an import asks for."""
    target = f"{site.pools[1]}/refused"
    with _served(site, "refused.raw") as (_, spec):
        site.ask("prepare", source_image=target, import_only=True, source_spec=json.dumps(spec),
                 method="copy")  # fmt: skip
        site.wait(target, "prepared")
        (site.folder / "refused.raw").unlink()
        site.ask("execute", target_image=target)
        site.wait(target, "failed")
        yield
        site.abort(target)


@contextmanager
def copy_stands_still(site: Site) -> "Iterator[None]":
    """The workers are stopped with SIGSTOP in mid copy, and continued."""
    with module_options(site.cluster, warn_stalled="3"):
        target = site.slow_copy("still")
        workers = workers_of(site.cluster)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in workers:
                with suppress(ProcessLookupError):  # the manager ended it meanwhile
                    os.kill(pid, signal.SIGCONT)
        site.abort(target)


@contextmanager
def workers_killed(site: Site) -> "Iterator[None]":
    """The workers of a copy are killed one after another."""
    target = site.slow_copy("killed")
    killed: set[int] = set()

    def alive() -> "set[int]":
        return set(workers_of(site.cluster)) - killed

    for _ in range(_KILLS):
        for pid in site.cluster.wait_for(alive, _SOON, "the next worker"):
            killed.add(pid)
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, signal.SIGKILL)
    yield
    site.ask("set", target_image=target, rate="off")
    site.wait(target, "executed")
    site.abort(target)


@contextmanager
def managers_gone(site: Site) -> "Iterator[None]":
    """All managers are killed; the next one takes over."""
    names = site.cluster.mgrs()
    for name in names:
        site.cluster.mgr_kill(name)
    try:
        yield
    finally:
        for name in names:
            site.cluster.mgr_start(name)
    site.cluster.wait_module()


@contextmanager
def plan_stopped(site: Site) -> "Iterator[None]":
    """An image of a plan fails, and the plan stops."""
    source, target = site.image("planned")
    make_image(site.client, target, MIB, 64 * KIB, snapshots=())  # its name is taken
    plan = {
        "plan": "alerts",
        "images": [{"source": source, "target": target}],
        "waves": {"stop_after_failures": 1},
        "policy": {"goal": "executed"},
    }
    _create_plan(site, plan)
    site.ask("plan start", plan="alerts")
    yield
    site.ask("plan cancel", plan="alerts")
    site.cluster.wait_for(
        lambda: site.ask("plan show", plan="alerts")["state"] == "cancelled", _SOON, "cancelled"
    )
    site.ask("plan rm", plan="alerts")


def _create_plan(site: Site, plan: "dict[str, Any]") -> None:
    site.cluster.ceph("rbd", "migration", "plan", "create", "-i", "-", input=json.dumps(plan))


@contextmanager
def hook_fails(site: Site) -> "Iterator[None]":
    """Nobody listens where a hook is."""
    source, target = site.image("hooked")
    secret = site.folder / "secret"
    secret.write_text("s" * 32)
    with module_options(site.cluster, hook_http="true", hook_hosts="127.0.0.1"):
        url = "http://127.0.0.1:9/"
        site.cluster.ceph("rbd", "migration", "hook", "add", "alerts", url, "--events", "executed",
                          "-i", str(secret))  # fmt: skip
        site.ask("run", source_image=source, target_image=target, goal="executed", method="live")
        site.wait(target, "executed")
        yield
        site.ask("hook rm", hook="alerts")
        site.abort(target)


def _poll(site: Site, request: messages.Request) -> Any:
    said = site.cluster.ceph(
        "rbd", "migration", "agent", "poll", _HOST, "-i", "-", input=messages.encode(request)
    )
    return messages.decode_answer(said)


def _with_agent(site: Site, name: str) -> "tuple[str, messages.Inventory]":
    """A migration that waits for an agent to move its guest; the target, and what it reports."""
    source, target = site.image(name)
    disk = messages.OpenDisk(parse_image_spec(source, "rbd", "image"), "/vda")
    guest = messages.OpenGuest(_GUEST, "uuid-1", "running", (disk,), renames=True)
    site.ask("run", source_image=source, target_image=target, cutover="agent", goal="cut-over",
             name_changes=True, max_pause="1s", verify="none")  # fmt: skip
    site.wait(target, "executed")
    return target, messages.Inventory("1", (guest,))


@contextmanager
def agent_lost(site: Site) -> "Iterator[None]":
    """An agent does not report any more; after two minutes it counts as lost."""
    target, inventory = _with_agent(site, "lost")
    _poll(site, inventory)
    yield
    site.ask("agent rm", host=_HOST)
    site.abort(target)


@contextmanager
def guest_stood_still(site: Site) -> "Iterator[None]":
    """An agent says that its guest stood still for longer than allowed."""
    target, inventory = _with_agent(site, "paused")
    idents = tuple(disk.migration for move in _orders(site, inventory) for disk in move.disks)

    def may_pause() -> bool:
        return bool(_poll(site, messages.Ready("t", _GUEST, idents)).go)

    site.cluster.wait_for(may_pause, _SOON, "the permission to pause the guest")
    _poll(site, messages.Released("t", _GUEST, idents))
    site.wait(target, "cut-over")
    _poll(site, messages.Resumed("t", _GUEST, idents, 9.0))
    yield
    site.ask("commit", target_image=target)
    site.wait(target, "committed")
    site.ask("agent rm", host=_HOST)


def _orders(site: Site, inventory: messages.Inventory) -> "tuple[messages.GuestMove, ...]":
    """The moves that are ordered, once there are some."""
    deadline = time.monotonic() + _SOON
    while True:
        moves: tuple[messages.GuestMove, ...] = _poll(site, inventory).moves
        if moves or time.monotonic() > deadline:
            return moves
        time.sleep(0.5)


Trouble = Callable[[Site], "AbstractContextManager[None]"]
#: What happens, in order, and the alerts that have to fire because of it.
NIGHT: "tuple[tuple[Trouble, tuple[str, ...]], ...]" = (
    (left_half_done, ("RBDMigrationLeftHalfDone",)),
    (pool_full, ("RBDMigrationWaitsForHealth",)),
    (source_gone, ("RBDMigrationSourceUnreachable", "RBDMigrationRetriesOften")),
    (secret_removed, ("RBDMigrationSourceUnreachable",)),
    (contents_differ, ("RBDMigrationDiffers",)),
    (migration_failed, ("RBDMigrationFailed",)),
    (copy_stands_still, ("RBDMigrationStalled",)),
    (workers_killed, ("RBDMigrationWorkersEnd",)),
    (plan_stopped, ("RBDMigrationPlanStopped",)),
    (hook_fails, ("RBDMigrationHookFails",)),
    (guest_stood_still, ("RBDMigrationGuestStandsStill",)),
    (agent_lost, ("RBDMigrationAgentLost",)),
    (managers_gone, ("RBDMigrationMetricsMissing",)),
)
