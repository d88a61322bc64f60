"""The abort guard on a real cluster: what clients do around a copy is not lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EPERM
from typing import Any, Callable

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, make_image, make_slow_image, names, opened
from tests.cluster.commands import Commands

Change = Callable[[rbd.Image], Any]

CHANGES: "dict[str, Change]" = {
    "write": lambda image: image.write(b"new" * 100, 0),
    "snapshot": lambda image: image.create_snap("backup"),
    "resize": lambda image: image.resize(image.size() + MIB),
    "metadata": lambda image: image.metadata_set("owner", "somebody"),
}


@contextmanager
def nothing_begins(migration: Commands) -> Iterator[None]:
    """Prepares, commits and aborts wait until the end of the block."""
    migration.text("limit", "set", "--max-steps", "0")
    try:
        yield
    finally:
        migration.text("limit", "set", "--max-steps", "2")


def change(client: rados.Rados, target: str, what: str) -> None:
    with opened(client, target, read_only=False) as image:
        CHANGES[what](image)


def assert_not_aborted(
    cluster: Cluster, migration: Commands, client: rados.Rados, target: str, goal: str
) -> "dict[str, Any]":
    def back() -> Any:
        report = migration.report(target)
        return report if report["goal"] != "aborted" else None

    report: dict[str, Any] = cluster.wait_for(back, 30, "the abort to be refused")
    assert (report["goal"], report["paused"]) == (goal, True)
    assert report["hold"]["reason"] == "operator"
    assert f"abort {target} --force" in report["hold"]["message"]
    pool, _, name = target.partition("/")
    assert names(client, pool) == [name]
    return report


@pytest.mark.parametrize("what", CHANGES)
def test_an_accepted_abort_that_waits_is_not_begun_after_a_client_came(
    what: str, cluster: Cluster, migration: Commands, client: rados.Rados, pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=MIB)
    migration.text("run", "--method", "live", source, target, "--goal", "executed")
    migration.wait(target, "executed")
    with nothing_begins(migration):
        migration.ask("abort", target_image=target)
        assert migration.report(target)["goal"] == "aborted"
        change(client, target, what)
    assert_not_aborted(cluster, migration, client, target, "executed")
    with opened(client, target) as image:
        assert ("backup" in [s["name"] for s in image.list_snaps()]) == (what == "snapshot")
    migration.text("abort", target, "--force")
    migration.wait(target, "aborted")


@pytest.fixture
def slow(migration: Commands, client: rados.Rados, pools: "tuple[str, str]") -> str:
    """The target of a copy that is under way; our worker has its lock."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_slow_image(client, source, 640, snapshots=["one"])
    migration.text("run", "--method", "live", source, target, "--rate", "512K")
    migration.wait_percent(target, 1)
    return target


@pytest.mark.parametrize("what", ["snapshot", "resize", "metadata"])
def test_what_clients_have_our_worker_do_while_it_copies_is_seen(
    what: str, migration: Commands, client: rados.Rados, slow: str
) -> None:
    change(client, slow, what)
    assert migration.report(slow)["copied_by"] == "", "our worker has the lock"
    sentence = migration.refused(EPERM, "abort", slow)
    assert "changed since it was prepared" in sentence
    migration.text("set", slow, "--rate", "off", "--goal", "executed")
    migration.wait(slow, "executed")
    assert "changed since it was prepared" in migration.refused(EPERM, "abort", slow)


def test_a_write_in_the_middle_of_a_copy_is_seen_however_short_it_is(
    migration: Commands, client: rados.Rados, slow: str
) -> None:
    """The client is gone again before anybody looks: librbd's copy begins again after it."""
    change(client, slow, "write")
    migration.text("set", slow, "--rate", "off", "--goal", "executed")
    migration.wait(slow, "executed")
    assert "Clients wrote to" in migration.refused(EPERM, "abort", slow)


def test_a_copy_that_nobody_disturbed_is_aborted_without_force(
    migration: Commands, client: rados.Rados, slow: str
) -> None:
    migration.text("set", slow, "--goal", "executed")
    migration.text("pause", slow)
    migration.text("set", slow, "--rate", "off")
    migration.text("resume", slow)
    migration.wait(slow, "executed")
    migration.text("abort", slow)
    migration.wait(slow, "aborted")


def test_a_client_that_comes_right_after_a_pause_is_seen(
    migration: Commands, client: rados.Rados, slow: str
) -> None:
    migration.text("pause", slow)
    change(client, slow, "write")
    assert "Clients wrote to" in migration.refused(EPERM, "abort", slow)


def test_an_import_that_a_client_wrote_to_is_not_removed_by_an_abort_that_waited(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=MIB, object_size=64 * KIB)
    migration.text("run", "--import-only", f"{source}@one", target, "--goal", "executed")
    migration.wait(target, "executed")
    with nothing_begins(migration):
        migration.ask("abort", target_image=target)
        change(client, target, "write")
    report = assert_not_aborted(cluster, migration, client, target, "executed")
    assert "removes the target" in report["hold"]["message"]
