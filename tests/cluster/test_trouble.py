"""Trouble in Ceph and garbage in the store: a clear hold or failure, and it goes on afterwards."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, digests, make_image, names, omap, place, trash
from qa.workload.module_options import module_options
from tests.cluster.commands import LIVE, Commands
from tests.cluster.conftest import MakePool


@contextmanager
def silent(cluster: Cluster, pool: str) -> Iterator[None]:
    """A pool that does not answer meanwhile: it wants two copies of all, and there is one OSD."""
    for what in ("size", "min_size"):
        cluster.ceph("osd", "pool", "set", pool, what, "2")
    try:
        yield
    finally:
        for what in ("min_size", "size"):
            value = ["1"] if what == "min_size" else ["1", "--yes-i-really-mean-it"]
            cluster.ceph("osd", "pool", "set", pool, what, *value)


@contextmanager
def throttled(migration: Commands, rate: str) -> Iterator[None]:
    """Slow all copies down meanwhile."""
    migration.text("throttle", "set", "--rate", rate)
    try:
        yield
    finally:
        migration.text("throttle", "clear")


@pytest.fixture
def copying(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> "Iterator[tuple[str, dict[str, str]]]":
    """The target of a copy that takes some ten seconds, and what must be in it in the end."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, 16 * MIB, 64 * KIB)
    expected = digests(client, source)
    with throttled(migration, "2M"):
        migration.text(*LIVE, source, target, "--goal", "executed")
        migration.wait_percent(target, 5)
        yield target, expected


def finish(migration: Commands, client: rados.Rados, target: str) -> "dict[str, str]":
    """Let a copy run to its end; returns what is in the target then."""
    migration.text("throttle", "clear")
    migration.wait(target, "executed", timeout=90)
    return digests(client, target)


def test_an_osd_that_is_away_for_a_while(cluster: Cluster, migration, client, copying):
    target, expected = copying
    cluster.osd_stop(0)
    try:
        time.sleep(8)
        assert migration.under_way()[-1]["state"] == "executing", "the list needs no OSD"
    finally:
        cluster.osd_start(0)
    assert finish(migration, client, target) == expected


def test_a_monitor_that_is_away_for_a_while(cluster: Cluster, migration, client, copying):
    target, expected = copying
    cluster.mon_stop("a")
    time.sleep(8)
    cluster.mon_start("a")
    assert finish(migration, client, target) == expected


def test_copies_in_a_silent_pool_hold_nobody_else_up(
    cluster: Cluster, migration, client, make_pool: MakePool, pools: "tuple[str, str]"
):
    pool = make_pool()
    targets = [f"{pool}/{n}" for n in range(4)]
    for target in targets:
        make_image(client, f"{target}-source", 4 * MIB, 64 * KIB, snapshots=())
        migration.text(
            "run",
            "--method",
            "live",
            f"{target}-source",
            target,
            "--rate",
            "64K",
            "--goal",
            "executed",
        )
    for target in targets:
        migration.wait(target, "executing")
    make_image(client, f"{pools[0]}/disk", snapshots=())  # librbd asks all pools for their clones
    with silent(cluster, pool):
        time.sleep(25)  # by then every observer has looked at one of them
        migration.text(*LIVE, f"{pools[0]}/disk", f"{pools[1]}/disk", "--goal", "prepared")
        migration.wait(f"{pools[1]}/disk", "prepared", timeout=30)
        assert [m["state"] for m in migration.under_way()][:4] == ["executing"] * 4


def test_a_namespace_of_a_silent_pool(cluster: Cluster, migration, pool: str):
    cluster.rbd("namespace", "create", f"{pool}/ns")
    with silent(cluster, pool):
        said = migration.refused(110, "check", f"{pool}/ns/disk", f"{pool}/disk")
    assert "did not answer" in said


def actor(client: rados.Rados, target: str) -> "dict[str, object]":
    """Who acts on the migration to ``target``, as its record says."""
    with place(client, target) as ioctx:
        records = [
            json.loads(value)
            for key, value in omap(ioctx, "rbd_migration").items()
            if key.startswith("migration.")
        ]
    (record,) = [r for r in records if r["target"]["image"] == target.rsplit("/", maxsplit=1)[-1]]
    return dict(record["step"]["actor"])


def test_a_worker_that_is_blocklisted_by_somebody(cluster: Cluster, migration, client, copying):
    target, expected = copying
    for address in actor(client, target)["addresses"]:  # type: ignore[attr-defined]
        cluster.ceph("osd", "blocklist", "add", str(address), "60")
    assert finish(migration, client, target) == expected


def test_a_worker_that_hangs_after_it_was_blocklisted_is_replaced(
    cluster: Cluster, migration, client, copying
):
    """librbd mostly fails then; where it waits instead, the copy would stall."""
    target, expected = copying
    worker = actor(client, target)
    os.kill(worker["pid"], signal.SIGSTOP)  # type: ignore[arg-type]
    for address in worker["addresses"]:  # type: ignore[attr-defined]
        cluster.ceph("osd", "blocklist", "add", str(address), "60")
    assert finish(migration, client, target) == expected


@contextmanager
def full(cluster: Cluster, pool: str) -> Iterator[None]:
    """Within it the pool has reached its quota."""
    cluster.ceph("osd", "pool", "set-quota", pool, "max_objects", "1")
    try:
        cluster.wait_for(
            lambda: "POOL_FULL" in cluster.health()["checks"], 40, "the pool to be full"
        )
        yield
    finally:
        cluster.ceph("osd", "pool", "set-quota", pool, "max_objects", "0")


def test_a_pool_that_is_full(cluster: Cluster, migration, client, copying):
    target, expected = copying
    with full(cluster, target.split("/")[0]):
        time.sleep(2)
    assert finish(migration, client, target) == expected


def test_a_pool_that_is_full_in_the_middle_of_a_round(cluster: Cluster, migration, client, pools):
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, 16 * MIB, 64 * KIB)
    expected = digests(client, source)
    with throttled(migration, "2M"):
        migration.text("run", "--method", "warm", source, target, "--goal", "executed")
        migration.wait_percent(target, 5)
        with full(cluster, pools[1]):
            time.sleep(2)
    migration.text("throttle", "clear")
    migration.wait(target, "executed", timeout=90)
    migration.text("cutover", target)
    migration.text("commit", target)
    migration.wait(target, "committed")
    assert digests(client, target) == expected


def test_an_abort_goes_on_while_the_quota_of_the_targets_pool_is_used_up(
    cluster: Cluster, migration, client, pools
):
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    expected = digests(client, source)
    migration.text("prepare", source, target)
    migration.text("execute", target)
    migration.wait(target, "executed")
    with full(cluster, pools[1]):
        migration.text("abort", target)
        migration.wait(target, "aborted")
    assert digests(client, source) == expected


def test_a_targets_pool_that_is_removed_gives_the_source_back(
    cluster: Cluster, migration, client, make_pool: MakePool
):
    source, target = f"{make_pool()}/disk", f"{make_pool()}/disk"
    make_image(client, source)
    expected = digests(client, source)
    migration.text("prepare", source, target)
    cluster.delete_pool(target.split("/", maxsplit=1)[0])
    migration.raw("abort", source)  # or by itself, within half a minute
    cluster.wait_for(
        lambda: names(client, source.split("/", maxsplit=1)[0]) == ["disk"], 40, "the source"
    )
    assert digests(client, source) == expected
    assert trash(client, source.split("/", maxsplit=1)[0]) == []


def test_an_abort_goes_on_when_the_journal_of_the_target_is_gone(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
):
    """librbd removes it before the header, and may be cut off in between."""
    source, target = (f"{pool}/journaled" for pool in pools)
    features = ("layering", "exclusive-lock", "journaling")
    make_image(client, source, size=MIB, object_size=64 * KIB, features=features)
    expected = digests(client, source)
    migration.text("prepare", source, target, "--method", "live")
    with place(client, target) as ioctx:
        for item in list(ioctx.list_objects()):
            if item.key.startswith("journal"):
                ioctx.remove_object(item.key)
    migration.text("abort", target, "--force")
    migration.wait(target, "aborted")
    assert (names(client, pools[0]), names(client, pools[1])) == (["journaled"], [])
    assert digests(client, source) == expected


def test_a_sources_pool_that_is_removed_has_a_way_out(
    cluster: Cluster, migration, client, make_pool: MakePool
):
    source, target = f"{make_pool()}/disk", f"{make_pool()}/disk"
    make_image(client, source)
    migration.text("prepare", source, target)
    cluster.delete_pool(source.split("/", maxsplit=1)[0])
    migration.text("execute", target)
    cluster.wait_for(lambda: migration.report(target)["state"] == "failed", 40, "it to be failed")
    assert "is gone" in migration.report(target)["failure"]["message"]
    assert "--force" in migration.refused(1, "abort", target)
    migration.text("abort", target, "--force")
    cluster.wait_for(lambda: migration.ended(target), 40, "it to have ended")
    digests(client, target)  # it is an ordinary image


GARBAGE = {
    "migration.broken": b"{not json",
    "migration.newer": b'{"schema": 99, "id": "newer"}',
    "migration.unknown": b'{"schema": 1, "id": "unknown", "surprise": true}',
    "migration.binary": bytes(range(256)),
    "migration.huge": b"x" * (2 << 20),
}


def test_garbage_in_the_store_is_kept_reported_and_skipped(
    cluster: Cluster, migration, client, make_pool: MakePool
):
    source, target = f"{make_pool()}/disk", f"{make_pool()}/disk"
    make_image(client, source)
    migration.text("prepare", source, target)
    with place(client, target) as ioctx, rados.WriteOpCtx() as op:
        ioctx.set_omap(op, tuple(GARBAGE), tuple(GARBAGE.values()))
        ioctx.operate_write_op(op, "rbd_migration")
    cluster.mgr_fail()
    cluster.wait_for(
        lambda: "RBD_MIGRATION_RECORD" in cluster.health()["checks"], 40, "the health warning"
    )
    detail = cluster.ceph("health", "detail")
    assert all(key in detail for key in GARBAGE)
    migration.text("execute", target)
    migration.wait(target, "executed")
    migration.text("commit", target)
    migration.wait(target, "committed")
    with place(client, target) as ioctx:
        found = omap(ioctx, "rbd_migration")
    assert {key: found[key] for key in GARBAGE} == GARBAGE


def test_a_manager_that_took_over_writes_its_log(cluster: Cluster, migration: Commands):
    """What it was as a standby goes a while later, and must not take the log with it."""
    cluster.mgr_fail()
    active = cluster.active_mgr()
    assert active is not None
    with module_options(cluster, log_level="debug"):
        for _ in range(3):
            for _ in range(20):
                migration.ask("ls")  # makes garbage: the standby is collected with it
            wait_for_a_round(cluster, cluster.mgr_log(active))


def wait_for_a_round(cluster: Cluster, log: Path) -> None:
    """Wait for what the loop says at the end of each of its rounds."""
    begin = log.stat().st_size

    def said() -> bool:
        with log.open("rb") as file:
            file.seek(begin)
            return b"] a round: " in file.read()

    cluster.wait_for(said, 30, "a round of the loop in the log")
