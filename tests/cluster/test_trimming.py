"""Snapshots that were removed and that OSDs have not trimmed yet: librbd would lose data."""

import random
import time
from collections.abc import Iterator
from errno import EINPROGRESS
from typing import Any, Callable, Optional

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.images import (
    FEATURES,
    KIB,
    MIB,
    digests,
    make_image,
    make_rotated_image,
    opened,
    place,
)
from tests.cluster.commands import LIVE, Commands

NO_LIMIT = 60


@pytest.fixture
def stopped(cluster: Cluster) -> "Iterator[Callable[[], None]]":
    """The OSDs do not trim removed snapshots until this is called, or the test ends."""

    def trim() -> None:
        cluster.ceph("osd", "unset", "nosnaptrim")

    cluster.ceph("osd", "set", "nosnaptrim")
    yield trim
    trim()


def held(migration: Commands, target: str) -> Any:
    """The report of a migration that waits for the trimming."""
    deadline = time.monotonic() + 60
    while True:
        report = migration.report(target)
        if report["hold"] is not None and report["hold"]["reason"] == "health":
            assert "trimming removed snapshots" in report["hold"]["message"]
            return report
        assert time.monotonic() < deadline, report
        time.sleep(0.1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"features": ("layering",)},
        {"features": ("layering", "exclusive-lock", "object-map", "fast-diff")},
        {"stripe_unit": 65536, "stripe_count": 2},
        {"data_pool": "yes"},
    ],
    ids=["default", "no map", "map", "striped", "data pool"],
)
def test_an_image_with_objects_that_are_being_trimmed_waits_and_loses_nothing(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    make_pool: "Callable[..., str]",
    stopped: "Callable[[], None]",
    options: "dict[str, Any]",
) -> None:
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    data_pool = make_pool() if "data_pool" in options else ""
    make_rotated_image(client, source, **{**options, "data_pool": data_pool})
    before = digests(client, source)
    found = migration.json("check", source, target, "--method", "live")
    (finding,) = [f for f in found["findings"] if f["code"] == "SNAPSHOTS_UNTRIMMED"]
    assert found["ok"]
    assert (data_pool or pools[0]) in finding["message"]
    assert finding["remedy"] == "ceph osd unset nosnaptrim"
    said = migration.text(*LIVE, source, target, "--goal", "committed", "--verify", "none")
    report = held(migration, target)
    assert report["state"] == "queued"
    assert "ceph osd unset nosnaptrim" in report["hold"]["message"]
    assert "trimming removed snapshots" in said
    assert digests(client, source) == before
    stopped()
    migration.wait(target, "committed", timeout=NO_LIMIT)
    assert digests(client, target) == before


@pytest.mark.parametrize("features", [None, FEATURES["layering"]], ids=["map", "no map"])
@pytest.mark.parametrize("keeps", [True, False], ids=["kept snapshot", "no kept snapshot"])
def test_a_striped_image_that_was_shrunk_waits_for_the_trimming_and_loses_nothing(
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    stopped: "Callable[[], None]",
    keeps: bool,
    features: Optional[int],
) -> None:
    """librbd 16 reads beyond the end of such an image, and takes the error for success."""
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    unit, count, order = 128 * KIB, 3, 19
    small, large = 3 * count * unit, 4 * count * unit
    with place(client, source) as ioctx:
        striped = {"stripe_unit": unit, "stripe_count": count}
        rbd.RBD().create(ioctx, "a", small, order=order, features=features, **striped)
    with opened(client, source, read_only=False) as image:
        image.write(random.Random(1).randbytes(small), 0)
        if keeps:
            image.create_snap("keep")
        image.resize(large)
        image.write(random.Random(2).randbytes(large), 0)
        image.create_snap("gone")
        image.resize(small)
        image.write(b"later" * 100, unit)
        image.flush()
        image.remove_snap("gone")
    before = digests(client, source)
    migration.text(*LIVE, source, target, "--goal", "committed", "--verify", "none")
    held(migration, target)
    stopped()
    migration.wait(target, "committed", timeout=NO_LIMIT)
    assert digests(client, target) == before


def test_what_a_prepare_answers_says_that_it_waits_for_the_trimming(
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    stopped: "Callable[[], None]",
) -> None:
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    make_rotated_image(client, source)
    done = migration.raw("prepare", source, target)
    assert done.returncode == EINPROGRESS, "a script must not start clients on it"
    assert "nosnaptrim" in done.stderr
    assert "Start no client" in done.stderr
    assert migration.report(target)["prepared"] is None
    stopped()
    migration.wait(target, "prepared", timeout=NO_LIMIT)


def test_removed_snapshots_of_other_images_hold_nothing(
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    stopped: "Callable[[], None]",
) -> None:
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    make_image(client, source, size=MIB, snapshots=["one"])
    make_rotated_image(client, f"{pools[0]}/other")
    with opened(client, source, read_only=False) as image:
        image.create_snap("two")
        image.write(b"later", 0)
    before = digests(client, source)
    codes = [
        f["code"] for f in migration.json("check", source, target, "--method", "live")["findings"]
    ]
    assert "SNAPSHOTS_UNTRIMMED" not in codes
    migration.text(*LIVE, source, target, "--goal", "committed", "--verify", "none")
    migration.wait(target, "committed")
    assert digests(client, target) == before


def test_removed_snapshots_that_no_kept_one_is_older_than_hold_nothing(
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    stopped: "Callable[[], None]",
) -> None:
    for name, snapshots in (("oldest", ["one", "two"]), ("only", ["one"])):
        source, target = f"{pools[0]}/{name}", f"{pools[1]}/{name}"
        make_image(client, source, size=MIB, snapshots=snapshots)
        with opened(client, source, read_only=False) as image:
            image.write(b"later", 0)
            image.flush()
            image.remove_snap("one")
        before = digests(client, source)
        migration.text(*LIVE, source, target, "--goal", "committed", "--verify", "none")
        migration.wait(target, "committed")
        assert digests(client, target) == before


def test_the_comparison_snapshot_of_an_aborted_migration_holds_nothing(
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    stopped: "Callable[[], None]",
) -> None:
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    make_image(client, source, size=4 * MIB, snapshots=["keep"])
    migration.text("prepare", source, target, "--verify", "full")
    migration.wait(target, "prepared")
    migration.text("abort", target)
    migration.wait(target, "aborted")
    with opened(client, source, read_only=False) as image:
        for offset in range(0, 4 * MIB, 256 << 10):
            image.write(b"later", offset)
    before = digests(client, source)
    migration.text(*LIVE, source, target, "--goal", "committed", "--verify", "none")
    migration.wait(target, "committed")
    assert digests(client, target) == before


def test_a_comparison_snapshot_that_a_prepare_left_is_removed_and_waited_for(
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    stopped: "Callable[[], None]",
) -> None:
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    make_image(client, source, size=4 * MIB, snapshots=())
    migration.text("limit", "set", "--max-steps", "0")
    try:
        migration.text("prepare", source, target, "--verify", "full")
        with opened(client, source, read_only=False) as image:
            image.create_snap("keep")
            image.create_snap(f".rbd_migration.{migration.report(target)['id']}")
            for offset in range(0, 4 * MIB, 256 << 10):
                image.write(b"later", offset)
        before = digests(client, source)
    finally:
        migration.text("limit", "set", "--max-steps", "2")
    held(migration, target)
    stopped()
    migration.wait(target, "prepared", timeout=NO_LIMIT)
    kept = digests(client, target)
    assert {name: kept[name] for name in ("", "keep")} == {n: before[n] for n in ("", "keep")}


def test_what_plain_rbd_prepared_is_copied_when_it_was_trimmed(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    stopped: "Callable[[], None]",
) -> None:
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    make_rotated_image(client, source)
    before = digests(client, source)
    cluster.rbd("migration", "prepare", source, target)
    migration.text("execute", target)
    assert held(migration, target)["state"] == "prepared"
    stopped()
    migration.wait(target, "executed", timeout=NO_LIMIT)
    assert digests(client, target) == before
