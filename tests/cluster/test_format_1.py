"""Images of format 1 migrate as others do, and get format 2 by that."""

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.images import (
    HEAD,
    MIB,
    digests,
    make_old_format,
    names,
    opened,
    place,
    rados_objects,
)
from rbdmigrate.cluster import headers, old_format
from rbdmigrate.cluster.directory import candidates
from rbdmigrate.model.plan import Candidate, Selector
from rbdmigrate.worker.open_image import ident_of
from tests.cluster.commands import Commands

FEATURES = ["--image-feature", "layering,exclusive-lock,object-map,fast-diff"]


class World:
    """Two pools, and an image of format 1 with two snapshots in the first."""

    def __init__(self, client: rados.Rados, pools: "tuple[str, str]") -> None:
        self.client = client
        self.hdd, self.nvme = pools
        self.source, self.target = f"{self.hdd}/old", f"{self.nvme}/new"
        make_old_format(client, self.source, 8 * MIB)
        with opened(client, self.source, read_only=False) as image:
            self.ident = ident_of(image)
            image.write(b"1" * MIB, 0)
            image.write(b"2" * MIB, 5 * MIB + 4096)
            image.create_snap("one")
            image.write(b"3" * 4096, 8192)
            image.discard(5 * MIB, MIB)
            image.create_snap("two")
            image.write(b"4" * MIB, 2 * MIB)
        self.views = digests(client, self.source)
        assert set(self.views) == {"one", "two", HEAD}

    def given_back(self) -> bool:
        """Whether the source is as it was, and nothing of a target is left."""
        with opened(self.client, self.source) as image:
            assert image.old_format()
        assert digests(self.client, self.source) == self.views
        return names(self.client, self.hdd) == ["old"] and names(self.client, self.nvme) == []


def seen(client: rados.Rados, spec: str) -> "dict[str, str]":
    """The digests of all views but the comparison snapshot."""
    found = digests(client, spec)
    return {view: digest for view, digest in found.items() if not view.startswith(".")}


@pytest.fixture
def world(client: rados.Rados, pools: "tuple[str, str]") -> World:
    return World(client, pools)


def test_to_another_pool_compared_and_committed(world: World, migration: Commands) -> None:
    migration.text("prepare", world.source, world.target, "--verify", "full", *FEATURES)
    assert names(world.client, world.hdd) == []
    assert seen(world.client, world.target) == world.views
    report = migration.report(world.target)
    assert report["source_image_id"] == world.ident
    with opened(world.client, world.target, read_only=False) as image:
        image.write(b"5" * MIB, 6 * MIB)
    views = seen(world.client, world.target)
    migration.text("execute", world.target)
    migration.wait(world.target, "verified", "executed")
    migration.text("commit", world.target)
    report = migration.wait(world.target, "committed")
    assert report["verification"]["outcome"] == "passed"
    assert digests(world.client, world.target) == views
    with opened(world.client, world.target) as image:
        assert not image.old_format()
        assert image.features() & rbd.RBD_FEATURE_OBJECT_MAP
    left = [key for _, key in rados_objects(world.client, world.hdd)]
    assert not [key for key in left if key.startswith("rb.0.") or key.endswith(".rbd")]


@pytest.mark.parametrize("goal", ["prepared", "executed"])
def test_an_abort_gives_it_back(goal: str, world: World, migration: Commands) -> None:
    migration.text("run", world.source, world.target, "--goal", goal, *FEATURES)
    migration.wait(world.target, goal, "verified")
    migration.text("abort", world.target)
    migration.wait(world.target, "aborted")
    assert world.given_back()


def test_to_another_name_in_its_pool(world: World, migration: Commands) -> None:
    target = f"{world.hdd}/new"
    migration.text("run", world.source, target, "--goal", "committed")
    migration.wait(target, "committed")
    assert names(world.client, world.hdd) == ["new"]
    assert digests(world.client, target) == world.views


def test_plain_rbd_and_the_module_take_over_from_each_other(
    cluster: Cluster, world: World, migration: Commands
) -> None:
    cluster.rbd("migration", "prepare", world.source, world.target)
    assert migration.report(world.target)["source_image_id"] == world.ident
    migration.text("pause", world.target)  # recorded from here on
    cluster.rbd("migration", "abort", world.target)
    migration.wait(world.target, "aborted")
    assert world.given_back()
    migration.text("run", world.source, world.target, "--goal", "executed")
    migration.wait(world.target, "executed", "verified")
    cluster.rbd("migration", "commit", world.target)
    migration.wait(world.target, "committed")
    assert digests(world.client, world.target) == world.views


def test_its_name_says_where_it_went(world: World, migration: Commands) -> None:
    migration.text("prepare", world.source, world.target)
    for args in ([world.source, f"{world.nvme}/other"], [world.source, "--object-size", "2M"]):
        found = migration.json("check", *args)["findings"]
        assert [f["code"] for f in found if f["severity"] == "error"] == ["SOURCE_MIGRATING"]
        assert world.target in found[0]["message"]


def test_a_name_that_was_taken_away_is_put_back(world: World) -> None:
    with place(world.client, world.source) as ioctx:
        ioctx.write_full("rbd_directory", b"\0" * 8)  # as after the removal of the last name
        view = headers.view_by_id(ioctx, world.ident)
        assert view is not None
        assert (view.listed, view.trashed) == (False, True)
        old_format.add_name(ioctx, "old")
        view = headers.view_by_name(ioctx, "old")
        assert view is not None
        assert (view.listed, view.trashed) == (True, False)
    assert world.given_back()


def test_plans_select_it(world: World) -> None:
    for sized, size in ((False, 0), (True, 8 * MIB)):
        selector = Selector(world.hdd, smallest=1 if sized else None)
        found = list(candidates(world.client, selector))
        assert found == [Candidate("old", size)]
