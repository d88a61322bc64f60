"""Imports of a snapshot of another cluster: all that are older too, and no key anywhere."""

import contextlib
import json
import os
from errno import EINVAL, ENOENT, EOPNOTSUPP, EPERM, ETIMEDOUT

import pytest

from qa.devcluster import Cluster, ClusterOptions
from qa.imports.source_cluster import POOL, SNAPSHOT, USER, fill, wanted_digests
from qa.releases.catalogue import SOURCE_CLUSTER
from qa.workload.images import HEAD, MIB, content, digests, make_image, names, omap, opened, place
from qa.workload.module_options import module_options
from tests.cluster.importing import text
from tests.cluster.test_import_native import history, metadata, unprotect, write_head
from tests.cluster.test_import_secrets import (  # noqa: F401 - a fixture
    config_keys,
    leaks,
    loud,
    require_no_secrets,
)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The cluster of the sources, which may be given and of another release, and a client of it."""
    with contextlib.ExitStack() as stack:
        if os.environ.get(SOURCE_CLUSTER):
            made = Cluster(os.environ[SOURCE_CLUSTER])
        else:
            made = stack.enter_context(Cluster(tmp_path_factory.mktemp("other")))
            made.up(ClusterOptions(mgrs=1, osds=1, module=False))
            fill(made)
        yield made, stack.enter_context(made.connect())


@pytest.fixture
def spec(other):
    """The source-spec of its snapshot two."""
    made, _ = other
    return {
        "type": "native", "pool_name": POOL, "image_name": "src", "snap_name": "two",
        "mon_host": made.blueprint.mon_host, "client_name": USER,
        "key": made.ceph("auth", "print-key", USER).strip(),
    }  # fmt: skip


@pytest.mark.usefixtures("loud")
def test_a_snapshot_with_all_older_ones_and_the_key_nowhere(
    cluster, client, migration, pools, other, spec, tmp_path
):
    _, far = other
    target, secrets, said = f"{pools[0]}/copy", (spec["key"],), []
    wanted = history(far, "far/src")[:2]
    file = tmp_path / "spec.json"
    file.write_text(text(spec))

    def ask(*args):
        for style in ([], ["--format", "json"]):
            done = migration.raw(*args, *style)
            said.append(done.stdout + done.stderr)

    ask("check", "--import-only", target, "-i", str(file))
    ask("prepare", "--import-only", target, "-i", str(file), "--verify", "full")
    assert ": prepared" in said[2], said
    report = migration.report(target)
    assert (report["state"], report["method"]) == ("prepared", "copy"), said
    assert report["source"].startswith("far/src@two at 127.0.0.1")
    keys = config_keys(cluster)
    assert [key.rpartition("/")[2] for key in keys] == ["key"]
    write_head(far, "far/src", 7)
    ask("execute", target)
    assert leaks(cluster, secrets) == []  # its worker runs, or just did
    migration.wait(target, "executed")
    write_head(far, "far/src", 8)
    ask("verify", target)
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "passed"
    assert [view["snapshot"] for view in report["verification"]["views"]] == ["one", None]
    with place(client, target) as ioctx:
        stored = list(omap(ioctx, "rbd_migration").values())
    ask("status", target)
    ask("commit", target)
    assert migration.report(target)["state"] == "committed"
    require_no_secrets(cluster, client, pools[0])
    assert history(client, target) == wanted
    assert content(client, target) == wanted[1][2]
    assert metadata(client, target) == {}
    with place(client, target) as ioctx:
        stored += omap(ioctx, "rbd_migration_history").values()
    said += [cluster.ceph("log", "last", "1000", "debug", "*"), *map(json.dumps, [report])]
    assert not [answer for answer in said if spec["key"] in answer]
    assert not [value for value in stored if spec["key"].encode() in value]
    assert leaks(cluster, secrets) == []
    unprotect(client, target)


def test_the_difference_until_a_later_snapshot(cluster, client, migration, pools, other, spec):
    """Also after the key was stored: the later snapshot is read with that."""
    made, far = other
    target, source = f"{pools[0]}/copy", "far/moving"
    make_image(far, source, size=8 * MIB, snapshots=("one",))
    asked = {**spec, "image_name": "moving", "snap_name": "one"}
    given = {"import_only": True, "source_spec": text(asked), "goal": "executed"}
    migration.ask("run", source_image=target, verify="full", **given)
    first = migration.wait(target, "executed")
    write_head(far, source, 9)
    made.rbd("snap", "create", f"{source}@nearly")
    with opened(far, source, read_only=False) as image:
        image.write(b"of a client that was forgotten", 0)
    migration.text("execute", target, "--snap", "nearly")
    went_on = migration.wait(target, "executed")["source_went_on"]
    assert went_on == "clients wrote 30 bytes to it"
    migration.refused(EPERM, "commit", target)
    made.rbd("snap", "create", f"{source}@last")
    migration.text("execute", target, "--snap", "last")
    report = migration.wait(target, "executed")
    assert report["source"].startswith("far/moving@last at 127.0.0.1")
    assert report["bytes_copied"] > first["bytes_copied"]
    migration.text("commit", target)
    assert migration.report(target)["verification"]["outcome"] == "passed"
    assert history(client, target) == history(far, source)
    assert content(client, target) == content(far, source, "last")
    require_no_secrets(cluster, client, pools[0])
    made.rbd("snap", "purge", source)
    made.rbd("rm", source)


def test_a_namespace_and_a_reference_to_a_key(cluster, client, migration, pools, other, spec):
    _, far = other
    target, own = f"{pools[0]}/copy", "rbd/migration-source/far"
    cluster.ceph("config-key", "set", own, spec["key"])
    asked = {**spec, "pool_namespace": "tenant", "key": f"config://{own}"}
    wanted = history(far, "far/tenant/src")[:2]
    try:
        migration.ask("run", source_image=target, import_only=True, source_spec=text(asked))
        migration.wait(target, "committed")
    finally:
        cluster.ceph("config-key", "rm", own)
    assert history(client, target) == wanted
    unprotect(client, target)


def test_what_is_refused_leaves_nothing(cluster, client, migration, pools, spec):
    target = f"{pools[0]}/copy"

    def refused(errno, *more, **changes):
        given = {name: value for name, value in {**spec, **changes}.items() if value is not None}
        args = ("prepare", "--import-only", target, *more, "--source-spec", text(given))
        return migration.refused(errno, *args)

    assert "snap ls" in refused(ENOENT, snap_name="four")
    assert "no such pool" in refused(ENOENT, pool_name="nowhere")
    assert "does not exist" in refused(ENOENT, pool_name=None, pool_id=4711)
    assert "does not exist" in refused(ENOENT, image_name="none")
    wrong = cluster.ceph("auth", "print-key", "client.admin").strip()
    assert f"as one of {USER}" in refused(EPERM, key=wrong)
    assert "does not accept" in refused(EPERM, client_name="client.nobody")
    assert "does not answer" in refused(ETIMEDOUT, mon_host="127.0.0.1:1")
    assert "--method live" in refused(EINVAL, "--method", "live")
    by_name = refused(EOPNOTSUPP, mon_host=None, key=None, cluster_name="far")
    assert "give mon_host and key" in by_name
    with module_options(cluster, import_hosts="192.0.2.0/24"):
        check = ("check", "--import-only", target, "--source-spec", text(spec))
        seen = "may not be reached"
        cluster.wait_for(lambda: seen in migration.raw(*check).stdout, 10, "the option")
        assert seen in refused(EPERM)
    assert names(client, pools[0]) == []
    assert config_keys(cluster) == []


def test_images_of_every_kind_read_as_in_their_own_cluster(client, migration, pools, other, spec):
    _, far = other
    wanted = wanted_digests(far)
    targets = {f"{pools[0]}/copy{number}": source for number, source in enumerate(wanted)}
    for target, source in targets.items():
        asked = {**spec, "image_name": source.rpartition("/")[2], "snap_name": SNAPSHOT}
        given = {"source_spec": text(asked), "verify": "full", "import_only": True}
        migration.ask("run", source_image=target, **given)
    for target, source in targets.items():
        migration.wait(target, "committed")
        snapshots = {view: found for view, found in wanted[source].items() if view != HEAD}
        assert digests(client, target) == {**snapshots, HEAD: snapshots[SNAPSHOT]}, source


@pytest.mark.parametrize("copied", [False, True], ids=["in mid-copy", "executed"])
def test_an_abort_leaves_the_source_and_nothing_else(
    cluster, client, migration, pools, other, spec, copied
):
    _, far = other
    before, target = digests(far, f"{POOL}/src"), f"{pools[0]}/copy"
    rate = {} if copied else {"rate": "512K"}
    asked = {"source_spec": text(spec), "import_only": True, "goal": "executed", **rate}
    migration.ask("run", source_image=target, **asked)
    if copied:
        migration.wait(target, "executed")
    else:
        cluster.wait_for(lambda: migration.report(target)["bytes_copied"] > 0, 30, "some data")
    migration.text("abort", target)
    migration.wait(target, "aborted")
    assert names(client, pools[0]) == []
    require_no_secrets(cluster, client, pools[0])
    assert digests(far, f"{POOL}/src") == before
