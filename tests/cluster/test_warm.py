"""The method ``warm``: clients use the source until the cutover, and the target from then on."""

import time
from errno import EAGAIN, EBUSY, EINVAL, EUCLEAN
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import (
    HEAD,
    content,
    digests,
    image_id,
    make_image,
    make_slow_image,
    names,
    opened,
    place,
    records,
    trash,
)
from qa.workload.writer import writing
from rbdmigrate.cluster.lock_out import locked_out
from tests.cluster.commands import Commands

Pools = "tuple[str, str]"


def in_step(migration: Commands, source: str, target: str) -> "dict[str, Any]":
    """A warm migration whose copy is in step."""
    migration.text("prepare", "--method", "warm", source, target)
    migration.text("execute", target)
    return migration.wait(target, "executed")


def ours(client: rados.Rados, spec: str) -> "list[str]":
    """The names of snapshots of rounds."""
    with opened(client, spec) as image:
        return [s["name"] for s in image.list_snaps() if "rbd_migration" in s["name"]]


def test_an_image_in_use_moves_with_every_write(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, protect=["one"])
    base, before = content(client, source), digests(client, source)
    with writing(cluster, source, rate=100) as writer:
        report = in_step(migration, source, target)
        assert (report["method"], report["clients"]) == ("warm", "source")
        assert names(client, pools[0]) == ["disk"]
        assert names(client, pools[1]) == [f"rbd_migration.{report['id']}"]
        assert report["rounds"]["count"] >= 1
        said = migration.refused(EAGAIN, "commit", target)
        assert f"cutover {target}" in said
        said = migration.refused(EBUSY, "cutover", target)
        assert "open for writing" in said or "open by" in said
        report = migration.report(target)
        assert (report["state"], report["goal"]) == ("executed", "executed")
        assert report["hold"]["reason"] == "operator"
        assert names(client, pools[0]) == ["disk"]
        acked = writer.acked
        writer.wait_acked(acked + 20)
        writer.stop()
    assert writer.lost(client, source, base) == []
    after = digests(client, source)
    said = migration.text("cutover", target)
    assert said.startswith(f"{source} -> {target}: cut-over")
    report = migration.report(target)
    assert (report["clients"], report["rounds"]["age_seconds"]) == ("target", None)
    assert report["rounds"]["pause_seconds"] > 0
    assert (names(client, pools[0]), names(client, pools[1])) == ([], ["disk"])
    assert writer.lost(client, target, base) == []
    found = digests(client, target)
    assert found[HEAD] == after[HEAD]
    assert found["one"] == before["one"]
    migration.text("verify", target)
    report = migration.wait(target, "verified")
    assert (report["verification"]["outcome"], report["verification"]["mode"]) == ("passed", "full")
    migration.text("commit", target)
    migration.wait(target, "committed")
    assert (names(client, pools[0]), names(client, pools[1])) == ([], ["disk"])
    assert trash(client, pools[0]) == []
    assert ours(client, target) == []
    cluster.wait_for(lambda: records(client, pools[1]) == [], 20, "the end of its record")
    assert digests(client, target) == {name: found[name] for name in before}


def test_an_abort_before_the_cutover_only_removes_the_copy(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    base = content(client, source)
    with writing(cluster, source, rate=100) as writer:
        in_step(migration, source, target)
        migration.text("abort", target)
        migration.wait(target, "aborted")
        writer.wait_acked(writer.acked + 20)
        writer.stop()
    assert writer.lost(client, source, base) == []
    assert (names(client, pools[0]), names(client, pools[1])) == (["disk"], [])
    assert ours(client, source) == []
    assert (trash(client, pools[0]), trash(client, pools[1])) == ([], [])


def test_an_abort_after_the_cutover_takes_the_writes_along(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    base, ident = content(client, source), image_id(client, source)
    in_step(migration, source, target)
    migration.text("cutover", target)
    with writing(cluster, target, rate=100) as writer:
        writer.wait_acked(20)
        migration.refused(EBUSY, "abort", target)
        report = migration.report(target)
        assert (report["state"], report["clients"]) == ("cut-over", "target")
        cluster.wait_for(lambda: migration.report(target)["way_back"], 60, "the measured way back")
        assert "would copy back about" in migration.text("status", target)
        writer.wait_acked(writer.acked + 20)
        writer.stop()
    migration.text("abort", target)
    migration.wait(target, "aborted")
    assert (names(client, pools[0]), names(client, pools[1])) == (["disk"], [])
    assert image_id(client, source) == ident
    assert writer.lost(client, source, base) == []
    assert ours(client, source) == []


def test_in_place_the_name_stays_and_the_layout_changes(
    migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source = f"{pools[0]}/disk"
    make_image(client, source)
    before, ident = digests(client, source), image_id(client, source)
    migration.text("run", "--method", "warm", source, "--object-size", "1M", "--verify", "full")
    report = migration.wait(source, "committed")
    states = [entry["state"] for entry in report["timeline"]]
    assert states[-6:] == [
        "cutting-over", "cut-over", "verifying", "verified", "committing", "committed",
    ]  # fmt: skip
    assert digests(client, source) == before
    assert image_id(client, source) != ident
    assert names(client, pools[0]) == ["disk"]
    assert trash(client, pools[0]) == []


@pytest.mark.parametrize("in_place", [False, True], ids=["other name", "in place"])
def test_workers_that_die_in_a_cutover_leave_one_image_and_keep_clients_out_of_the_other(
    in_place: bool, cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source = f"{pools[0]}/disk"
    target = source if in_place else f"{pools[1]}/disk"
    make_image(client, source)
    ident = image_id(client, source)
    layout = ("--object-size", "1M") if in_place else ()
    for step in ("lock", "publish", "complete"):
        point, what = "cutover.after", f"1 {step}"
        migration.text("prepare", "--method", "warm", source, target, *layout)
        migration.text("execute", target)
        migration.wait(target, "executed")
        with opened(client, source, read_only=False) as image:
            image.write(f"later, {what}".encode(), 1 << 20)
        before = digests(client, source)[HEAD]
        (cluster.faults / point).write_text(what, encoding="ascii")
        migration.raw("cutover", target)
        migration.wait(target, "cut-over")
        assert not (cluster.faults / point).exists()
        assert digests(client, target)[HEAD] == before
        with place(client, source) as ioctx:
            assert locked_out(ioctx, ident), (point, what)
        migration.text("verify", target)
        assert migration.wait(target, "verified")["verification"]["outcome"] == "passed"
        migration.text("abort", target)
        migration.wait(target, "aborted")
        assert image_id(client, source) == ident
        assert digests(client, source)[HEAD] == before
        with opened(client, source, read_only=False) as image:
            image.write(what.encode(), 0)


def test_a_run_of_an_image_in_use_is_refused_with_what_to_do(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    with writing(cluster, source, rate=20) as writer:
        said = migration.refused(EBUSY, "run", "--method", "warm", source, target)
        assert f"prepare --method warm {source} {target}" in said
        writer.stop()
    assert records(client, pools[1]) == []


def test_execute_again_copies_another_round(
    migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    before = in_step(migration, source, target)
    with opened(client, source, read_only=False) as image:
        image.write(b"later", 0)
    migration.text("execute", target)
    deadline = time.monotonic() + 60
    while migration.report(target)["rounds"]["count"] == before["rounds"]["count"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    report = migration.report(target)
    assert report["state"] == "executed"
    asked = report["timeline"][len(before["timeline"]) :]
    assert [entry["message"] for entry in asked] == ["execute"]
    migration.text("abort", target)


def test_other_methods_have_no_cutover(
    migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_slow_image(client, source, objects=2)
    migration.refused(EINVAL, "run", "--method", "live", source, target, "--goal", "cut-over")
    migration.text("prepare", source, target)
    assert "live" in migration.refused(EINVAL, "cutover", target)
    migration.text("abort", target)


@pytest.mark.parametrize(("version", "flatten"), [(1, False), (2, False), (1, True)])
def test_a_clone_keeps_its_parent_unless_it_is_flattened(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: Pools,
    version: int,
    flatten: bool,
) -> None:
    base, source, target = f"{pools[1]}/base", f"{pools[0]}/disk", f"{pools[1]}/moved"
    make_image(client, base, protect=["one"])
    with opened(client, base, read_only=False) as image:
        image.metadata_set("owner", "of the parent")
    form = ("--rbd-default-clone-format", str(version))
    cluster.rbd("clone", f"{base}@one", source, *form)
    with opened(client, source, read_only=False) as image:
        image.write(b"before" * 1000, 1 << 20)
        image.create_snap("mine")
        image.discard(2 << 20, 1 << 20)
        image.resize(7 << 20)
        image.resize(9 << 20)
        image.set_snap_limit(20)
        image.metadata_set("conf_rbd_qos_iops_limit", "0")
        image.metadata_remove("owner")
    more = ("--flatten",) if flatten else ()
    migration.text("prepare", "--method", "warm", source, target, *more)
    migration.text("execute", target)
    migration.wait(target, "executed")
    with opened(client, source, read_only=False) as image:
        image.write(b"after" * 1000, 3 << 20)
        image.discard(4 << 20, 1 << 20)
    wanted = {n: each for n, each in digests(client, source).items() if n in (HEAD, "mine")}
    migration.text("cutover", target)
    migration.text("verify", target)
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "passed"
    migration.text("commit", target)
    migration.wait(target, "committed")
    assert digests(client, target) == wanted
    with opened(client, target) as image:
        assert int(image.get_snap_limit()) == 20
        assert dict(image.metadata_list()) == {"conf_rbd_qos_iops_limit": "0"}
        assert bool(image.overlap()) is not flatten
    with opened(client, base) as image:
        image.set_snap("one")
        children = [each["image"] for each in image.list_children2()]
    assert children == ([] if flatten else ["moved"])


def test_a_snapshot_of_a_round_that_somebody_removes_from_the_source_is_made_up_for(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    in_step(migration, source, target)
    for name in ours(client, source):
        cluster.rbd("snap", "rm", f"{source}@{name}")
    with opened(client, source, read_only=False) as image:
        image.write(b"later" * 100, 8192)
        image.discard(0, 1 << 17)
    expected = digests(client, source)
    migration.text("cutover", target)
    found = digests(client, target)
    assert {view: found[view] for view in expected} == expected
    migration.text("verify", target)
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "passed"
    migration.text("commit", target)
    migration.wait(target, "committed")
    assert digests(client, target) == expected


def test_a_snapshot_of_ours_that_somebody_removes_from_the_target_is_missed_in_a_sentence(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    copy = f"{pools[1]}/rbd_migration.{in_step(migration, source, target)['id']}"
    for name in ours(client, copy):
        cluster.rbd("snap", "rm", f"{copy}@{name}")
    said = migration.refused(EUCLEAN, "cutover", target)
    assert "Somebody made or removed snapshots of the target" in said
    assert "abort this migration, and begin another one" in said
    migration.text("abort", target)
    in_step(migration, source, target)
    migration.text("cutover", target)
    with opened(client, target, read_only=False) as image:
        image.write(b"later" * 100, 8192)
    expected = content(client, target)
    for name in ours(client, target):
        cluster.rbd("snap", "rm", f"{target}@{name}")
    migration.text("abort", target)  # it compares both
    assert content(client, source) == expected
