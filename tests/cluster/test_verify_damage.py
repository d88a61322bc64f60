"""Verification: what differs is found, told where, and not committed."""

import os
from errno import EPERM
from typing import Optional

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.damage import spoil
from qa.workload.images import (
    KIB,
    MIB,
    digests,
    make_image,
    opened,
    place,
)
from qa.workload.module_options import module_options
from tests.cluster.commands import LIVE, Commands
from tests.cluster.verification import (
    GRAIN,
    SIZE,
    different,
    points,
    views,
    wait_failed,
)


@pytest.fixture
def ends(pools: "tuple[str, str]") -> "tuple[str, str]":
    return f"{pools[0]}/disk", f"{pools[1]}/disk"


def make_known(client: rados.Rados, spec: str) -> None:
    """Objects of 256 KiB: 0 the same in all views, 1 new in two, 2 new in the head."""
    make_image(client, spec, snapshots=[], size=SIZE)
    with opened(client, spec, read_only=False) as image:
        for number in range(4):
            image.write(os.urandom(256 * KIB), number * 256 * KIB)
        image.create_snap("one")
        image.write(os.urandom(256 * KIB), 256 * KIB)
        image.create_snap("two")
        image.write(os.urandom(256 * KIB), 512 * KIB)


DAMAGE = [
    ("everywhere", 0, None, ["one", "two", None]),
    ("from two on", 1, None, ["two", None]),
    ("the head", 2, None, [None]),
    ("the snapshots", 0, ("two", "one"), ["one", "two"]),
    ("one snapshot", 1, ("two", "one"), ["two"]),
]


@pytest.mark.parametrize(
    ("number", "keep", "wrong"), [x[1:] for x in DAMAGE], ids=[x[0] for x in DAMAGE]
)
@pytest.mark.parametrize("side", ["target", "source"])
def test_a_difference_stops_the_commit(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    ends: "tuple[str, str]",
    side: str,
    number: int,
    keep: "Optional[tuple[str, ...]]",
    wrong: "list[Optional[str]]",
) -> None:
    source, target = ends
    make_known(client, source)
    before = digests(client, source)
    migration.text(*LIVE, source, target, "--goal", "executed", "--verify", "full")
    report = migration.wait(target, "executed")
    if side == "target":
        spoil(client, target, number, keep)
    else:
        spoil_by_id(client, source, report["source_image_id"], number, keep)
    migration.text("set", target, "--goal", "committed")
    report = wait_failed(migration, target)
    extent = (number * 256 * KIB, GRAIN)
    assert report["verification"]["outcome"] == "failed"
    assert different(report) == {name: [extent] for name in wrong}
    assert str(extent[0]) in report["failure"]["message"]
    assert report["failure"]["code"] == "EBADMSG"
    said = migration.refused(EPERM, "commit", target)
    assert "differs" in said
    assert "--force" in said
    cluster.wait_for(
        lambda: "RBD_MIGRATION_VERIFY" in cluster.health()["checks"], 20, "the health warning"
    )
    # A retry compares again, and finds the same; mended it passes.
    migration.text("retry", target)
    assert different(wait_failed(migration, target)) == {name: [extent] for name in wrong}
    if side == "target" and number == 2:
        spoil(client, target, number)
        migration.text("retry", target)
        report = migration.wait(target, "committed")
        assert report["verification"]["outcome"] == "passed"
        assert digests(client, target) == before
    elif side == "target" and number == 0:
        migration.text("abort", target, "--force")
        migration.wait(target, "aborted")
        assert digests(client, source) == before
        assert points(client, source) == []
    else:
        migration.text("commit", target, "--force")
        report = migration.wait(target, "committed")
        assert report["verification"]["outcome"] == "failed"
        assert points(client, target) == []


def spoil_by_id(
    client: rados.Rados, spec: str, ident: str, number: int, keep: "Optional[tuple[str, ...]]"
) -> None:
    """The same on the source, which lies in the trash."""
    with place(client, spec) as ioctx:
        with rbd.Image(ioctx, image_id=ident, read_only=True) as image:
            known = {str(s["name"]): int(s["id"]) for s in image.list_snaps()}
        name = f"rbd_data.{ident}.{number:016x}"
        right = ioctx.read(name, 100, 1234)
        ioctx.write(name, bytes(byte ^ 0xFF for byte in right), 1234)
        if keep is not None:
            ioctx.set_self_managed_snap_write(sorted((known[k] for k in keep), reverse=True))
            ioctx.write(name, right, 1234)


def make_grown(client: rados.Rados, spec: str) -> str:
    """8 MiB with a snapshot, then 4 MiB more without objects; the prefix of its objects."""
    make_image(client, spec, size=SIZE, snapshots=["one"])
    with opened(client, spec, read_only=False) as image:
        image.resize(SIZE + 4 * MIB)
        return str(image.block_name_prefix())


def test_an_object_that_the_object_map_lacks_is_found_when_no_map_is_trusted(
    cluster: Cluster, client: rados.Rados, migration: Commands, ends: "tuple[str, str]"
) -> None:
    prefix = make_grown(client, ends[0])
    with place(client, ends[0]) as ioctx:
        ioctx.write_full(f"{prefix}.{40:016x}", b"lost")
    with module_options(cluster, verify_trust_object_maps="false"):
        migration.text(*LIVE, *ends, "--goal", "verified", "--verify", "full")
        report = wait_failed(migration, ends[1])
    assert different(report)[None] == [(40 * 256 * KIB, GRAIN)]


def test_object_maps_that_are_flagged_invalid_are_not_trusted(
    cluster: Cluster, client: rados.Rados, migration: Commands, ends: "tuple[str, str]"
) -> None:
    make_grown(client, ends[0])
    with opened(client, ends[0]) as image:
        ident = image.id()
    cluster.rados("-p", ends[0].split("/")[0], "rm", f"rbd_object_map.{ident}")
    with opened(client, ends[0], read_only=False) as image:
        image.write(b"x", 0)
    migration.text(*LIVE, *ends, "--goal", "verified", "--verify", "full")
    report = migration.wait(ends[1], "verified")
    assert views(report)[None]["bytes"] == SIZE + 4 * MIB
