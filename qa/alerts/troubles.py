"""What the alerts warn of, made to happen on a development cluster and undone again.

Each is a context manager: within it the trouble is there, and at its end it is gone.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Callable

import rbd

from qa.soak.chaos import workers_of
from qa.workload.damage import spoil
from qa.workload.images import KIB, MIB, image_id, make_image, place
from qa.workload.module_options import module_options
from qa.workload.web_server import WebServer

from .agent_troubles import agent_lost, guest_paused_too_long
from .site import SOON, Site

_SECRET = "rbd/migration-source/alerts"
_KILLS = 3


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
def copy_stalled(site: Site) -> "Iterator[None]":
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
        for pid in site.cluster.wait_for(alive, SOON, "the next worker"):
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
        lambda: site.ask("plan show", plan="alerts")["state"] == "cancelled", SOON, "cancelled"
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


@contextmanager
def reverse_rounds_fail(site: Site) -> "Iterator[None]":
    """A client has the kept source open, and the source is not refreshed after the cutover."""
    source, target = site.image("kept")
    ident = image_id(site.client, source)
    site.ask("run", source_image=source, target_image=target, goal="executed", method="warm")
    site.wait(target, "executed")
    site.ask("cutover", target_image=target)
    site.wait(target, "cut-over")
    with place(site.client, source) as ioctx, rbd.Image(ioctx, image_id=ident):

        def warned() -> bool:
            site.ask("execute", target_image=target)
            return "RBD_MIGRATION_REVERSE" in site.cluster.health()["checks"]

        site.cluster.wait_for(warned, SOON, "three rounds that fail")
        yield
    site.ask("commit", target_image=target)
    site.wait(target, "committed")


Trouble = Callable[[Site], "AbstractContextManager[None]"]
#: What happens, in order, and the alerts that have to fire because of it.
NIGHT: "tuple[tuple[Trouble, tuple[str, ...]], ...]" = (
    (left_half_done, ("RBDMigrationLeftHalfDone",)),
    (pool_full, ("RBDMigrationWaitsForHealth",)),
    (source_gone, ("RBDMigrationSourceUnreachable", "RBDMigrationRetriesOften")),
    (secret_removed, ("RBDMigrationSourceUnreachable",)),
    (contents_differ, ("RBDMigrationDiffers",)),
    (migration_failed, ("RBDMigrationFailed",)),
    (copy_stalled, ("RBDMigrationStalled",)),
    (workers_killed, ("RBDMigrationWorkersEnd",)),
    (plan_stopped, ("RBDMigrationPlanStopped",)),
    (hook_fails, ("RBDMigrationHookFails",)),
    (guest_paused_too_long, ("RBDMigrationPauseTooLong",)),
    (agent_lost, ("RBDMigrationAgentLost",)),
    (reverse_rounds_fail, ("RBDMigrationReverseRoundsFail",)),
    (managers_gone, ("RBDMigrationMetricsMissing",)),
)
