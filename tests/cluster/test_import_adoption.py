"""Imports that plain rbd prepared are taken over, but for those that would hold wrong bytes."""

import time
from errno import EOPNOTSUPP

import pytest

from qa.workload.images import content, make_image
from qa.workload.sources import make_source
from tests.cluster.importing import place, text  # noqa: F401 - a fixture


def plainly(cluster, spec, target):
    args = ("migration", "prepare", "--import-only", "--source-spec", text(spec), target)
    cluster.rbd(*args)


def test_one_of_plain_rbd_is_taken_over(cluster, client, migration, pool, place):  # noqa: F811
    target = f"{pool}/theirs"
    source = make_source(place.folder, "qcow3-snapshots")
    plainly(cluster, source.spec(place.stream("http")), target)
    report = migration.json("status", target)
    assert (report["adopted"], report["import_only"], report["state"]) == (False, True, "prepared")
    migration.text("execute", target)
    assert migration.json("status", target)["adopted"]
    migration.wait(target, "executed")
    assert "committed" in migration.text("commit", target)
    for name, view in source.views.items():
        assert content(client, target, name) == view


def test_one_of_a_snapshot_is_not(cluster, client, migration, pool):
    target = f"{pool}/theirs"
    make_image(client, f"{pool}/src")
    spec = {"type": "native", "pool_name": pool, "image_name": "src", "snap_name": "one"}
    plainly(cluster, spec, target)
    assert "live head" in migration.refused(EOPNOTSUPP, "status", target)
    cluster.rbd("migration", "abort", "--no-progress", target)


def test_another_source_for_the_same_target(migration, pool, place):  # noqa: F811
    target = f"{pool}/disk"
    one = make_source(place.folder, "raw").spec(place.stream("file"))
    other = make_source(place.folder, "raw", seed=2).spec(place.stream("file"))
    migration.ask("prepare", source_image=target, import_only=True, source_spec=text(one))
    again = migration.ask("run", source_image=target, import_only=True, source_spec=text(one))
    assert again["goal"] == "committed"
    said = migration.raw("prepare", target, "--import-only", "--source-spec", text(other)).stderr
    assert "already" in said


@pytest.mark.parametrize("shown", ["status", "ls"])
def test_what_plain_rbd_does_to_ours_is_shown_when_somebody_asks(
    cluster,
    client,
    migration,
    pool,
    place,  # noqa: F811
    shown,
):
    """The first answer counts: nothing is waited for."""
    target = f"{pool}/ours"
    source = make_source(place.folder, "qcow3-snapshots")
    spec = text(source.spec(place.stream("http")))
    migration.ask("prepare", source_image=target, import_only=True, source_spec=spec)
    migration.ask("execute", target_image=target)
    migration.wait(target, "executed")
    time.sleep(3)  # longer than a look counts
    cluster.rbd("migration", "commit", "--no-progress", target)
    if shown == "ls":
        assert [r for r in migration.ask("ls") if r["target"] == target] == []
    report = migration.ask("status", target_image=target)
    assert report["state"] == "committed"
    assert any("somebody else" in entry["message"] for entry in report["timeline"])
    assert content(client, target) == source.views[""]
