"""The main job: an image moves, with all that is in it, and clients never notice."""

import json
import time
from collections.abc import Sequence

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import (
    MIB,
    content,
    data_objects,
    digests,
    image_id,
    make_image,
    make_slow_image,
    names,
    opened,
    place,
    rados_objects,
    records,
    split,
    trash,
)
from qa.workload.writer import writing
from tests.cluster.commands import Commands
from tests.cluster.conftest import MakePool


def gone(client: rados.Rados, spec: str, ident: str) -> None:
    """Nothing is left of an image: not in `rbd ls`, not in the trash, no object."""
    pool, namespace, name = split(spec)
    assert name not in names(client, pool, namespace)
    assert trash(client, pool, namespace) == []
    assert [key for _, key in rados_objects(client, pool) if ident in key] == []


def test_step_by_step(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, protect=["one"])
    before, ident = digests(client, source), image_id(client, source)

    said = migration.text("prepare", source, target)
    assert said.startswith(f"{source} -> {target}: prepared")
    assert names(client, pools[0]) == []
    assert trash(client, pools[0]) == [f"id_{ident}"]
    assert digests(client, target) == before
    told = json.loads(cluster.rbd("status", "--format", "json", target))["migration"]
    assert (told["source_pool_name"], told["source_image_id"]) == (pools[0], ident)
    assert told["state"] == "prepared"

    migration.text("execute", target)
    report = migration.wait(target, "executed")
    assert report["percent"] == 100
    assert digests(client, target) == before

    said = migration.text("commit", target)
    assert said.startswith(f"{source} -> {target}: committed")
    assert names(client, pools[1]) == ["disk"]
    assert "migrating" not in cluster.rbd("info", target)
    assert digests(client, target) == before
    gone(client, source, ident)
    cluster.wait_for(lambda: records(client, pools[1]) == [], 20, "the end of its record")
    assert migration.ended(target)[0]["state"] == "committed"


CUTOVER = ["cutting-over", "cut-over"]


@pytest.mark.parametrize(("options", "more"), [([], CUTOVER), (["--method", "live"], [])])
def test_run_left_alone_reaches_committed(
    options: "list[str]",
    more: "list[str]",
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    before, ident = digests(client, source), image_id(client, source)
    said = migration.text("run", source, target, *options)
    assert said.startswith(f"Method warm: {target} does not exist") is not bool(options)
    report = migration.wait(target, "committed")
    assert [entry["state"] for entry in report["timeline"]] == [
        "queued", "preparing", "prepared", "executing", "executed", *more,
        "committing", "committed",
    ]  # fmt: skip
    assert digests(client, target) == before
    gone(client, source, ident)


@pytest.mark.parametrize("goal", ["prepared", "executed"])
def test_run_stops_at_its_goal(
    goal: str, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    migration.text("run", source, target, "--goal", goal)
    migration.wait(target, goal)
    time.sleep(1.5)
    assert migration.report(target)["state"] == goal


def test_the_record_is_there_while_it_runs(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    migration.text("prepare", source, target)
    ident = migration.report(target)["id"]
    listed = cluster.rados("-p", pools[1], "listomapvals", "rbd_migration")
    assert f"migration.{ident}" in listed
    keys = cluster.rados("-p", pools[1], "listomapkeys", "rbd_migration").split()
    assert f"migration.{ident}" in keys
    migration.text("execute", target)
    migration.wait(target, "executed")
    assert records(client, pools[1]) == [f"migration.{ident}"]
    migration.text("commit", target)
    keys = cluster.rados("-p", pools[1], "listomapkeys", "rbd_migration").split()
    assert f"migration.{ident}" not in keys


def test_a_client_loses_no_write_from_prepare_to_commit(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_slow_image(client, source, objects=512, snapshots=["one"])
    base, snapshots = content(client, source), digests(client, source)
    migration.text("prepare", source, target)
    with writing(cluster, target, rate=200) as writer:
        migration.text("execute", target)
        during = writer.acked
        migration.wait(target, "executed")
        assert writer.acked > during, "no write was acknowledged while the copy ran"
        migration.text("commit", target)
        migration.wait(target, "committed")
        writer.wait_acked(20)
        writer.stop()
    assert writer.lost(client, target, base) == []
    assert digests(client, target)["one"] == snapshots["one"]


def _namespaced(cluster: Cluster, pool: str, names_: Sequence[str]) -> None:
    for name in names_:
        cluster.rbd("namespace", "create", f"{pool}/{name}")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("{0}/disk", "{1}/disk"),
        ("{0}/disk", "{1}/other"),
        ("{0}/disk", "{0}/other"),
        ("{0}/disk", "{0}/ns1/disk"),
        ("{0}/ns1/disk", "{1}/disk"),
        ("{0}/ns1/disk", "{0}/ns2/disk"),
        ("{0}/ns1/disk", "{1}/ns1/other"),
    ],
)
def test_places(
    source: str,
    target: str,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
) -> None:
    _namespaced(cluster, pools[0], ["ns1", "ns2"])
    _namespaced(cluster, pools[1], ["ns1"])
    source, target = source.format(*pools), target.format(*pools)
    make_image(client, source, protect=["two"])
    before, ident = digests(client, source), image_id(client, source)
    migration.text("run", source, target)
    migration.wait(target, "committed")
    assert digests(client, target) == before
    gone(client, source, ident)
    for pool, namespace in ((pools[0], "ns1"), (pools[0], "ns2"), (pools[1], "ns1")):
        assert records(client, pool, namespace) == []


def test_in_place(migration: Commands, client: rados.Rados, pool: str) -> None:
    spec = f"{pool}/disk"
    make_image(client, spec, object_size=4 * MIB, protect=["one"])
    before, ident = digests(client, spec), image_id(client, spec)
    migration.text("prepare", spec, "--object-size", "1M")
    assert digests(client, spec) == before
    migration.text("execute", spec)
    migration.wait(spec, "executed")
    migration.text("commit", spec)
    assert digests(client, spec) == before
    with opened(client, spec) as image:
        assert image.stat()["obj_size"] == MIB
        assert image.id() != ident
    assert names(client, pool) == ["disk"]
    assert trash(client, pool) == []
    assert [key for _, key in rados_objects(client, pool) if ident in key] == []


def test_in_place_again(migration: Commands, client: rados.Rados, pool: str) -> None:
    """A second migration of the same name is another migration."""
    spec = f"{pool}/disk"
    make_image(client, spec)
    before = digests(client, spec)
    for size in ("128K", "64K"):
        migration.text("run", spec, "--object-size", size)
        migration.wait(spec, "committed")
    assert digests(client, spec) == before
    with opened(client, spec) as image:
        assert image.stat()["obj_size"] == 64 << 10
    assert len(migration.ended(spec)) == 2


def test_an_image_without_spec_of_a_pool_is_in_the_default_one(
    cluster: Cluster, migration: Commands, client: rados.Rados, make_pool: MakePool
) -> None:
    default = cluster.ceph("config", "get", "mgr", "rbd_default_pool").strip()
    if default in cluster.ceph_json("osd", "pool", "ls"):
        pytest.skip(f"the cluster has a pool {default} already")
    cluster.create_pool(default)
    other = make_pool()
    try:
        make_image(client, f"{default}/disk")
        report = migration.json("prepare", "disk", f"{other}/disk")
        assert report["source"] == f"{default}/disk"
        migration.text("abort", f"{other}/disk")
    finally:
        migration.clean_up([default])
        cluster.delete_pool(default)


@pytest.fixture(params=["1", "2"], ids=["v1", "v2"])
def clone(
    request: pytest.FixtureRequest,
    client: rados.Rados,
    cluster: Cluster,
    pools: "tuple[str, str]",
) -> str:
    """A clone, of either format, with data of its own and a snapshot."""
    parent, spec = f"{pools[0]}/parent", f"{pools[0]}/clone"
    make_image(client, parent, protect=["one"])
    cluster.rbd("clone", f"--rbd-default-clone-format={request.param}", f"{parent}@one", spec)
    with opened(client, spec, read_only=False) as image:
        image.write(b"clone" * 1000, MIB)
        image.create_snap("own")
        image.write(b"CLONE" * 1000, 2 * MIB)
    return spec


@pytest.mark.parametrize("flatten", [False, True])
def test_a_clone(
    flatten: bool,
    clone: str,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
) -> None:
    target, before = f"{pools[1]}/clone", digests(client, clone)
    migration.text("run", clone, target, *(["--flatten"] if flatten else []))
    migration.wait(target, "committed")
    assert digests(client, target) == before
    children = cluster.rbd("children", f"{pools[0]}/parent@one").split()
    info = json.loads(cluster.rbd("info", "--format", "json", target))
    if flatten:
        assert "parent" not in info
        assert children == []
    else:
        assert (info["parent"]["pool"], info["parent"]["image"]) == (pools[0], "parent")
        assert children == [target]


def test_a_source_with_clones(
    clone: str,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
) -> None:
    source, target = f"{pools[0]}/parent", f"{pools[1]}/parent"
    before, of_clone = digests(client, source), digests(client, clone)
    migration.text("prepare", source, target)
    assert digests(client, clone) == of_clone
    migration.text("execute", target)
    migration.wait(target, "executed")
    assert digests(client, clone) == of_clone
    sentence = migration.refused(16, "commit", target)
    assert clone in sentence
    assert "--force" in sentence
    assert migration.report(target)["state"] == "executed"
    migration.text("commit", target, "--force")
    migration.wait(target, "committed")
    assert digests(client, target) == before
    assert digests(client, clone) == of_clone
    with opened(client, clone, read_only=False) as image:
        image.write(b"more", 3 * MIB)
    info = json.loads(cluster.rbd("info", "--format", "json", clone))
    assert (info["parent"]["pool"], info["parent"]["image"]) == (pools[1], "parent")


def test_run_of_a_source_with_clones_asks_for_force(
    clone: str, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/parent", f"{pools[1]}/parent"
    migration.text("run", source, target)
    report = migration.wait(target, "failed")
    assert report["percent"] == 100
    assert clone in report["failure"]["message"]
    migration.text("commit", target, "--force")
    migration.wait(target, "committed")


def test_only_what_exists_is_copied(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    """A sparse image stays sparse."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=64 * MIB, object_size=MIB, snapshots=())
    objects = data_objects(client, source, image_id(client, source))
    migration.text("run", source, target)
    migration.wait(target, "committed")
    assert data_objects(client, target, image_id(client, target)) <= objects < 64


def test_an_empty_image(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    cluster.rbd("create", "--size", "0", source)
    migration.text("run", source, target)
    migration.wait(target, "committed")
    with place(client, target), opened(client, target) as image:
        assert image.size() == 0
