"""Verification: equal contents pass, what was not compared does not, interruptions do no harm."""

import json
import os
import signal
import time
from collections.abc import Iterator
from errno import EAGAIN, EINVAL, EPERM
from typing import Any

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.damage import spoil
from qa.workload.images import (
    MIB,
    digests,
    make_image,
    omap,
    opened,
    place,
)
from qa.workload.module_options import module_options
from qa.workload.writer import writing
from tests.cluster.commands import LIVE, Commands
from tests.cluster.conftest import MakePool
from tests.cluster.verification import (
    POINT,
    SIZE,
    different,
    points,
    views,
    wait_compared,
    wait_failed,
)


@pytest.fixture
def ends(pools: "tuple[str, str]") -> "tuple[str, str]":
    return f"{pools[0]}/disk", f"{pools[1]}/disk"


LAYOUTS: "list[tuple[str, dict[str, Any], list[str]]]" = [
    ("as it is", {}, []),
    ("no lock", {"features": ["layering"]}, []),
    ("journaling", {"features": ["layering", "exclusive-lock", "journaling"]}, []),
    ("larger objects", {}, ["--object-size", "1M"]),
    ("smaller objects", {"protect": ["one"]}, ["--object-size", "64K"]),
    ("striped", {}, ["--stripe-unit", "16K", "--stripe-count", "4"]),
    ("without snapshots", {"snapshots": []}, []),
    ("empty", {"size": 0, "snapshots": []}, []),
]


@pytest.mark.parametrize(
    ("options", "layout"), [x[1:] for x in LAYOUTS], ids=[x[0] for x in LAYOUTS]
)
def test_equal_images_pass_and_nothing_is_left_after_the_commit(
    migration: Commands,
    client: rados.Rados,
    ends: "tuple[str, str]",
    options: "dict[str, Any]",
    layout: "list[str]",
) -> None:
    source, target = ends
    make_image(client, source, **options)
    before = digests(client, source)
    migration.text(*LIVE, source, target, "--goal", "verified", *layout)
    report = migration.wait(target, "verified")
    v = report["verification"]
    assert (v["mode"], v["outcome"], v["reasons"]) == ("full", "passed", [])
    assert v["miss_probability"] == 0
    assert list(views(report)) == [*(name for name in before if name), None]
    assert all(view["compared"] for view in v["views"])
    assert points(client, target) == [POINT + report["id"]]
    migration.text("commit", target)
    assert digests(client, target) == before
    assert migration.ended(target)[0]["verification"] == v


def test_in_place_and_clones(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    parent, clone = f"{pools[0]}/parent", f"{pools[0]}/clone"
    make_image(client, parent, protect=["two"])
    with place(client, parent) as ioctx:
        rbd.RBD().clone(ioctx, "parent", "two", ioctx, "clone")
    with opened(client, clone, read_only=False) as image:
        image.write(b"c" * 5000, 3 * MIB)
        image.create_snap("one")
        image.resize(SIZE // 2)
        image.create_snap("two")
        image.resize(SIZE)
        image.write(b"d" * 5000, 7 * MIB)
    before = digests(client, clone)
    for target, more in ((clone, ["--force"]), (f"{pools[1]}/whole", ["--flatten"])):
        migration.text(*LIVE, clone, target, "--goal", "verified", *more)
        report = migration.wait(target, "verified")
        assert report["verification"]["outcome"] == "passed"
        migration.text("commit", target)
        assert digests(client, target) == before


def test_data_pool(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    ends: "tuple[str, str]",
    make_pool: MakePool,
) -> None:
    source, target = ends
    data = make_pool()
    make_image(client, source)
    migration.text(*LIVE, source, target, "--verify", "full", "--data-pool", data)
    report = migration.wait(target, "committed")
    assert report["verification"]["outcome"] == "passed"
    assert points(client, target) == []


@pytest.mark.parametrize("run", range(3))
def test_a_client_that_writes_is_no_difference(
    cluster: Cluster, migration: Commands, client: rados.Rados, ends: "tuple[str, str]", run: int
) -> None:
    source, target = ends
    make_image(client, source, seed=run)
    migration.text("prepare", source, target, "--verify", "full")
    with writing(cluster, target, rate=300, seed=run) as writer:
        writer.wait_acked(20)
        migration.text("set", target, "--goal", "verified", "--rate", "16M")
        report = migration.wait(target, "verified")
        writer.wait_acked(5)
        assert report["verification"]["outcome"] == "passed"
        migration.text("commit", target)
        assert points(client, target) == []
        writer.wait_acked(5)
        writer.stop()


def test_pause_and_resume(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source, size=64 * MIB, snapshots=["one"])
    migration.text(*LIVE, source, target, "--goal", "verified")
    whole = migration.wait(target, "verified")
    migration.text("set", target, "--rate", "16M")
    migration.text("verify", target)
    wait_compared(migration, target, 30)
    migration.text("pause", target)
    report = migration.report(target)
    assert (report["state"], report["hold"]["reason"]) == ("verifying", "paused")
    time.sleep(1.5)
    reached = migration.report(target)["verification"]
    assert reached["outcome"] is None
    assert not migration.report(target)["acting"]
    migration.text("set", target, "--rate", "off")
    migration.text("resume", target)
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "passed"
    assert report["verification"]["bytes"] == whole["verification"]["bytes"]
    digest = {name: view["digest"] for name, view in views(whole).items()}
    assert {name: view["digest"] for name, view in views(report).items()} == digest


def worker_of(client: rados.Rados, target: str) -> int:
    """The process id in the intent of the only migration to the target's pool."""
    with place(client, target) as ioctx:
        records = [v for k, v in omap(ioctx, "rbd_migration").items() if k.startswith("migration.")]
    return int(json.loads(records[0])["step"]["actor"]["pid"])


@pytest.mark.parametrize("who", ["worker", "manager"])
def test_it_goes_on_where_it_was_after_a_kill(
    cluster: Cluster, migration: Commands, client: rados.Rados, ends: "tuple[str, str]", who: str
) -> None:
    source, target = ends
    make_image(client, source, size=96 * MIB, snapshots=[])
    migration.text(*LIVE, source, target, "--goal", "executed", "--verify", "full")
    migration.wait(target, "executed")
    migration.text("set", target, "--rate", "8M", "--goal", "verified")
    wait_compared(migration, target, 70)  # more than 3 s, so that a checkpoint was written
    if who == "worker":
        os.kill(worker_of(client, target), signal.SIGKILL)
    else:
        cluster.mgr_start(cluster.mgr_kill())
        cluster.wait_module()
    speeds_up = time.monotonic()
    migration.ask("set", target_image=target, rate="off")
    report = migration.wait(target, "verified", timeout=60)
    assert report["verification"]["outcome"] == "passed"
    assert time.monotonic() - speeds_up < 60
    with opened(client, target) as image:
        data = []
        image.diff_iterate(0, image.size(), None, lambda o, n, e: data.append(n), whole_object=True)
    assert report["verification"]["bytes"] == sum(data)


def test_sample(
    cluster: Cluster, migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source, size=160 * MIB, snapshots=[])
    with module_options(cluster, verify_fraction="0.25"):
        time.sleep(1)
        migration.text(*LIVE, source, target, "--verify", "sample", "--goal", "verified")
        v = migration.wait(target, "verified")["verification"]
    assert (v["mode"], v["outcome"], v["fraction"]) == ("sample", "passed", 0.25)
    assert 0.70 <= v["miss_probability"] <= 0.75
    full = migration.text("verify", target) and migration.wait(target, "verified")["verification"]
    assert full["mode"] == "full"
    assert full["outcome"] == "passed"
    assert 0.1 < v["bytes"] / full["bytes"] < 0.45


def test_a_head_without_comparison_snapshot_is_compared_while_nobody_wrote(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source)
    migration.text(*LIVE, source, target, "--goal", "executed")
    migration.wait(target, "executed")
    assert points(client, target) == []
    migration.text("verify", target)
    assert migration.wait(target, "verified")["verification"]["outcome"] == "passed"
    assert views(migration.report(target))[None]["bytes"] > 0
    spoil(client, target, 0)
    migration.text("verify", target)
    assert set(different(wait_failed(migration, target))) >= {None}


def test_without_lock_nothing_proves_that_nobody_wrote(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source, features=["layering"])
    migration.text(*LIVE, source, target, "--goal", "executed")
    migration.wait(target, "executed")
    migration.text("verify", target)
    assert migration.wait(target, "verified")["verification"]["outcome"] == "partial"


def test_partial(
    cluster: Cluster, migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source)
    migration.text(*LIVE, source, target, "--goal", "executed")
    migration.wait(target, "executed")
    with writing(cluster, target) as writer:
        writer.wait_acked(5)
        writer.stop()
    with opened(client, target, read_only=False) as image:
        image.remove_snap("one")
    migration.text("verify", target)
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "partial"
    assert [r.split(":")[0] for r in report["verification"]["reasons"]] == ["snapshot one", "head"]
    assert not views(report)[None]["compared"]
    assert views(report)["two"]["compared"]
    assert "in part" in migration.refused(EPERM, "commit", target)
    migration.text("set", target, "--goal", "committed")
    time.sleep(2)
    report = migration.report(target)
    assert (report["state"], report["hold"]["reason"]) == ("verified", "operator")
    migration.text("commit", target, "--force")
    migration.wait(target, "committed")


def test_a_commit_compares_first_and_can_be_forced_meanwhile(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source, size=32 * MIB)
    before = digests(client, source)
    migration.text(*LIVE, source, target, "--goal", "executed", "--verify", "full")
    migration.wait(target, "executed")
    migration.text("set", target, "--rate", "2M")
    assert "when nothing differs" in migration.text("commit", target)
    wait_compared(migration, target, 1)
    migration.text("set", target, "--goal", "verified")  # the commit is called off
    assert migration.report(target)["goal"] == "verified"
    migration.text("commit", target, "--force")
    migration.wait(target, "committed")
    assert digests(client, target) == before


def test_verify_needs_something_to_compare(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source, size=MIB)
    migration.text("prepare", source, target)
    migration.refused(EAGAIN, "verify", target)
    migration.refused(EINVAL, "verify", target, "--mode", "none")
    migration.refused(EINVAL, "set", target, "--verify", "all")
    migration.refused(EINVAL, "set", target, "--soak", "soon")


def test_soak_time(migration: Commands, client: rados.Rados, ends: "tuple[str, str]") -> None:
    source, target = ends
    make_image(client, source, size=MIB)
    begin = time.monotonic()
    migration.text(*LIVE, source, target, "--verify", "full", "--soak", "4s")
    report = migration.wait(target, "verified")
    held = time.monotonic()
    while report["hold"] is None and time.monotonic() < held + 2:
        report = migration.report(target)
    assert report["hold"]["reason"] == "soak"
    assert report["hold"]["until"]
    migration.wait(target, "committed")
    assert time.monotonic() - begin > 4
    assert migration.ended(target)[0]["verification"]["outcome"] == "passed"


def test_verification_can_be_called_off(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source, size=32 * MIB)
    migration.text(*LIVE, source, target, "--goal", "executed", "--verify", "full")
    migration.wait(target, "executed")
    migration.text("set", target, "--goal", "committed", "--rate", "2M")
    wait_compared(migration, target, 1)
    migration.text("set", target, "--verify", "none")
    migration.wait(target, "committed")
    assert points(client, target) == []


@pytest.fixture
def compared_by_default(cluster: Cluster) -> Iterator[None]:
    """What is compared depends on the image, as it does when nobody set the option."""
    with module_options(cluster, verify_default="auto"):
        yield


@pytest.mark.usefixtures("compared_by_default")
def test_an_image_with_snapshots_is_compared_before_its_commit_unless_none_is_asked_for(
    client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> None:
    for name, args, mode in (
        ("default", (), "full"),
        ("asked", ("--verify", "none"), "none"),
        ("plain", (), "none"),
    ):
        source, target = f"{pools[0]}/{name}", f"{pools[1]}/{name}"
        snapshots = () if name == "plain" else ("one",)
        make_image(client, source, size=SIZE, snapshots=snapshots)
        migration.text(*LIVE, source, target, *args)
        report = migration.wait(target, "committed")
        assert report["verify"] == mode
        assert (report["verification"] is not None) is (mode == "full")


@pytest.mark.usefixtures("compared_by_default")
def test_a_commit_by_hand_compares_an_image_with_snapshots_first(
    client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    make_image(client, source, size=SIZE, snapshots=["one"])
    migration.text("prepare", source, target)
    migration.text("execute", target)
    migration.wait(target, "executed")
    assert f"`ceph rbd migration verify {target}` only compares" in migration.report(target)["next"]
    migration.text("commit", target)
    report = migration.wait(target, "committed")
    assert report["verification"]["outcome"] == "passed"


@pytest.mark.usefixtures("compared_by_default")
def test_a_clone_is_compared_by_default(
    cluster: Cluster, client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> None:
    parent, source, target = f"{pools[0]}/p", f"{pools[0]}/a", f"{pools[1]}/a"
    make_image(client, parent, size=SIZE, snapshots=["base"], protect=["base"])
    cluster.rbd("clone", f"{parent}@base", source)
    migration.text("prepare", source, target)
    assert migration.report(target)["verify"] == "full"
