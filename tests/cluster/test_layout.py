"""Layout options: each has the effect that ``rbd info`` shows, and keeps the content."""

import json
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, data_objects, digests, image_id, make_image, opened
from tests.cluster.commands import Commands
from tests.cluster.conftest import MakePool

ALL = ["layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten"]

EFFECTS: "list[tuple[list[str], dict[str, Any]]]" = [
    ([], {"object_size": 256 * KIB, "features": ALL, "format": 2}),
    (["--object-size", "64K"], {"object_size": 64 * KIB, "objects": 128}),
    (["--object-size", "4096"], {"object_size": 4 * KIB}),
    (["--object-size", "1M"], {"object_size": MIB, "objects": 8}),
    (["--object-size", "32M"], {"object_size": 32 * MIB, "objects": 1}),
    (["--image-feature", "layering"], {"features": ["layering"]}),
    (
        ["--image-feature", "layering,exclusive-lock,object-map"],
        {"features": ALL[:4]},  # librbd adds fast-diff to object-map
    ),
    (
        ["--image-feature", "layering", "--image-feature", "exclusive-lock"],
        {"features": ["layering", "exclusive-lock"]},
    ),
    (["--image-shared"], {"features": ["layering", "deep-flatten"]}),
    (
        ["--stripe-unit", "64K", "--stripe-count", "4"],
        {"stripe_unit": 64 * KIB, "stripe_count": 4, "object_size": 256 * KIB},
    ),
    (
        ["--object-size", "1M", "--stripe-unit", "4K", "--stripe-count", "16"],
        {"stripe_unit": 4 * KIB, "stripe_count": 16, "object_size": MIB},
    ),
    (["--image-format", "2"], {"format": 2, "object_size": 256 * KIB}),
]


def info(cluster: Cluster, spec: str) -> "dict[str, Any]":
    found: dict[str, Any] = json.loads(cluster.rbd("info", "--format", "json", spec))
    return found


def run(migration: Commands, source: str, target: str, options: "list[str]") -> None:
    migration.text("run", source, target, *options)
    migration.wait(target, "committed", timeout=120)  # thousands of the smallest objects


@pytest.mark.parametrize(("options", "effect"), EFFECTS, ids=lambda each: " ".join(each) or "none")
def test_effects(
    options: "list[str]",
    effect: "dict[str, Any]",
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    before = digests(client, source)
    run(migration, source, target, options)
    found = info(cluster, target)
    assert {key: found.get(key) for key in effect} == effect
    if "stripe_unit" not in effect:
        assert "stripe_unit" not in found
    assert digests(client, target) == before


def test_the_layout_is_in_effect_when_prepared(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    report = migration.json("prepare", source, target, "--object-size", "512K", "--image-shared")
    assert report["layout"] == {"object_size": 512 * KIB, "shared": True}
    found = info(cluster, target)
    assert found["object_size"] == 512 * KIB
    assert set(found["features"]) == {"layering", "deep-flatten", "migrating"}


def test_data_pool(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    make_pool: MakePool,
) -> None:
    source, target, data = f"{pools[0]}/disk", f"{pools[1]}/disk", make_pool()
    make_image(client, source)
    before = digests(client, source)
    run(migration, source, target, ["--data-pool", data])
    found = info(cluster, target)
    assert found["data_pool"] == data
    assert "data-pool" in found["features"]
    assert digests(client, target) == before
    ident = image_id(client, target)
    assert data_objects(client, target, ident) == 0
    with client.open_ioctx(data) as ioctx:
        assert any(f".{ident}." in each.key for each in ioctx.list_objects())


def test_journaling(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    make_pool: MakePool,
) -> None:
    source, target, journals = f"{pools[0]}/disk", f"{pools[1]}/disk", make_pool()
    make_image(client, source)
    before = digests(client, source)
    run(
        migration,
        source,
        target,
        [
            "--image-feature", "layering,exclusive-lock,journaling",
            "--journal-splay-width", "2",
            "--journal-object-size", "1M",
            "--journal-pool", journals,
        ],
    )  # fmt: skip
    assert set(info(cluster, target)["features"]) == {"layering", "exclusive-lock", "journaling"}
    journal = json.loads(cluster.rbd("journal", "info", "--format", "json", "--image", target))
    assert (journal["order"], journal["splay_width"]) == (20, 2)
    assert journal["object_pool"] == journals
    assert digests(client, target) == before
    with opened(client, target, read_only=False) as image:  # the journal takes writes
        image.write(b"x" * 4096, 0)


def test_a_journaled_source(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    features = ["layering", "exclusive-lock", "journaling"]
    make_image(client, source, features=features)
    before = digests(client, source)
    run(migration, source, target, [])
    assert set(info(cluster, target)["features"]) == set(features)
    assert digests(client, target) == before


def test_a_striped_source_keeps_its_striping(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    cluster.rbd(
        "create", "--size", "8M", "--object-size", "256K",
        "--stripe-unit", "16K", "--stripe-count", "4", source,
    )  # fmt: skip
    with opened(client, source, read_only=False) as image:
        image.write(b"striped!" * 4096 * 8, 100 * KIB)
    before = digests(client, source)
    run(migration, source, target, [])
    found = info(cluster, target)
    assert (found["stripe_unit"], found["stripe_count"]) == (16 * KIB, 4)
    assert digests(client, target) == before


def test_in_place_with_many_options(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    spec = f"{pools[0]}/disk"
    make_image(client, spec)
    before = digests(client, spec)
    migration.text(
        "run", spec, "--object-size", "1M", "--stripe-unit", "128K", "--stripe-count", "2",
        "--image-feature", "layering,exclusive-lock", "--data-pool", pools[1],
    )  # fmt: skip
    migration.wait(spec, "committed")
    found = info(cluster, spec)
    assert found["object_size"] == MIB
    assert (found["stripe_unit"], found["stripe_count"]) == (128 * KIB, 2)
    assert found["data_pool"] == pools[1]
    assert {"layering", "exclusive-lock"} <= set(found["features"])
    assert "object-map" not in found["features"]
    assert digests(client, spec) == before
