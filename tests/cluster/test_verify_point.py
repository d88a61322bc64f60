"""The comparison snapshot: it never stays behind, whatever happens."""

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import (
    MIB,
    digests,
    make_image,
    names,
    opened,
    rados_objects,
    split,
)
from qa.workload.writer import writing
from tests.cluster.commands import Commands
from tests.cluster.verification import points, wait_compared


@pytest.fixture
def ends(pools: "tuple[str, str]") -> "tuple[str, str]":
    return f"{pools[0]}/disk", f"{pools[1]}/disk"


# tests/unit/test_fake_comparison.py aborts at the other stages, and kills anywhere.
ENDS = ["abort verifying", "stock abort", "stock commit"]


@pytest.mark.parametrize("how", ENDS)
def test_no_comparison_snapshot_is_left_behind(
    cluster: Cluster, migration: Commands, client: rados.Rados, ends: "tuple[str, str]", how: str
) -> None:
    source, target = ends
    make_image(client, source, size=32 * MIB)
    before = digests(client, source)
    migration.text("prepare", source, target, "--verify", "full")
    assert len(points(client, target)) == 1
    migration.text("execute", target)
    migration.wait(target, "executed")
    if how == "abort verifying":
        migration.text("set", target, "--rate", "2M", "--goal", "verified")
        wait_compared(migration, target, 1)
    if how.startswith("stock"):
        command = how.split()[1]
        cluster.rbd("migration", command, target, "--no-progress")
        migration.report(target)
        over = "committed" if command == "commit" else "aborted"
        migration.text("pause", target)  # has it looked at
        migration.wait(target, over)
    else:
        migration.text("abort", target)
        migration.wait(target, "aborted")
    assert digests(client, target if how == "stock commit" else source) == before


def test_a_refused_prepare_leaves_no_comparison_snapshot(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source)
    # librbd refuses this layout, after the comparison snapshot was taken.
    options = ("--stripe-unit", "3K", "--stripe-count", "3")
    done = migration.raw("prepare", source, target, "--verify", "full", *options)
    assert done.returncode != 0
    assert points(client, source) == []
    assert names(client, split(target)[0]) == []
    assert [r["target"] for r in migration.under_way() if r["target"] == target] == []


@pytest.mark.parametrize(
    ("point", "detail", "give_up"),
    [
        ("comparison_snapshot.after", "take", False),
        ("comparison_snapshot.after", "take", True),
        ("librbd.after", "prepare", True),
        ("comparison_snapshot.before", "drop", True),
        ("verify.piece", "", False),
    ],
)
def test_no_comparison_snapshot_is_left_behind_by_a_killed_worker(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    ends: "tuple[str, str]",
    point: str,
    detail: str,
    give_up: bool,
) -> None:
    source, target = ends
    make_image(client, source)
    before = digests(client, source)
    fault = cluster.faults / point
    fault.write_text(f"1 {detail}".strip(), encoding="ascii")
    migration.raw("prepare", source, target, "--verify", "full")
    migration.wait(target, "prepared")  # the second attempt may take longer than the command waits
    if give_up:
        migration.ask("abort", target_image=target, force=True)
        migration.wait(target, "aborted")
    else:
        migration.ask("set", target_image=target, goal="committed")
        report = migration.wait(target, "committed")
        assert report["verification"]["outcome"] == "passed"
    assert not fault.exists(), "the point was not passed"
    end = source if give_up else target
    assert digests(client, end) == before
    ours = migration.ended(target)[0]["source_image_id" if not give_up else "target_image_id"]
    left = [key for _, key in rados_objects(client, split(source if not give_up else target)[0])]
    assert [key for key in left if ours and ours in key] == []


def test_the_limit_of_snapshots_makes_it_partial(
    cluster: Cluster, migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    make_image(client, source)
    with opened(client, source, read_only=False) as image:
        image.set_snap_limit(2)
    migration.text("prepare", source, target, "--verify", "full")
    with writing(cluster, target) as writer:
        writer.wait_acked(5)
        writer.stop()
    migration.text("set", target, "--goal", "verified")
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "partial"
    assert "limit of snapshots" in report["verification"]["reasons"][0]
