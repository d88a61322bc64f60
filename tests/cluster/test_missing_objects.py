"""librbd's execute reports success although it left out objects: such a target is not committed."""

import contextlib
import random
from collections.abc import Iterator
from typing import Optional

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.held_process import held_at
from qa.workload.images import MIB, digests, make_image, opened, place
from tests.cluster.commands import Commands


@pytest.fixture
def ends(client: rados.Rados, pools: "tuple[str, str]") -> "tuple[str, str]":
    """A source with holes, without an object map, and the name of its target."""
    source = f"{pools[0]}/a"
    make_image(client, source, snapshots=(), features=("layering", "exclusive-lock"))
    return source, f"{pools[1]}/a"


@contextlib.contextmanager
def copied(
    cluster: Cluster, migration: Commands, ends: "tuple[str, str]", goal: str = "executed"
) -> "Iterator[None]":
    """Right after librbd reported that everything is copied; the worker goes on at the end."""
    with held_at(cluster.faults, "librbd.after", "execute") as worker:
        asked = {"goal": goal, "verify": "none", "method": "live"}
        migration.ask("run", source_image=ends[0], target_image=ends[1], **asked)
        cluster.wait_for(worker.waits, 60, "the end of the copy")
        yield


def leave_out(client: rados.Rados, target: str) -> None:
    """Remove the target's first object, as if the copy had left it out."""
    with opened(client, target) as image:
        prefix = image.block_name_prefix()
    with place(client, target) as ioctx:
        first = min(found.key for found in ioctx.list_objects() if found.key.startswith(prefix))
        ioctx.remove_object(first)


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_a_copy_that_left_out_an_object_fails_and_can_be_aborted(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    ends: "tuple[str, str]",
    killed: bool,
) -> None:
    """Also when the worker is killed before it can check, and another one takes over."""
    source, target = ends
    before = digests(client, source)
    with copied(cluster, migration, ends, goal="committed"):
        leave_out(client, target)
        if killed:
            (cluster.faults / "librbd.after").write_text("1 execute", encoding="ascii")
    failed = migration.wait(target, "failed", timeout=90)
    assert failed["failure"]["code"] == "EBADMSG"
    assert "objects that hold data" in failed["failure"]["message"]
    assert f"abort {target}" in failed["failure"]["message"]
    migration.raw("retry", target)
    assert migration.wait(target, "failed", timeout=90)["failure"]["code"] == "EBADMSG"
    migration.text("abort", target, "--force")
    migration.wait(target, "aborted", timeout=90)
    assert digests(client, source) == before


def test_a_worker_that_is_killed_after_the_copy_is_followed_by_one_that_checks_it(
    cluster: Cluster, client: rados.Rados, migration: Commands, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    before = digests(client, source)
    with copied(cluster, migration, ends, goal="committed"):
        (cluster.faults / "librbd.after").write_text("1 execute", encoding="ascii")
    migration.wait(target, "committed", timeout=90)
    assert digests(client, target) == before


@pytest.mark.parametrize("features", [("layering",), None], ids=["no map", "map"])
@pytest.mark.parametrize("snapshots", [(), ("one",)], ids=["", "snapshot"])
def test_what_clients_discarded_and_cut_off_before_the_copy_is_not_missed(
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    features: "Optional[tuple[str, ...]]",
    snapshots: "tuple[str, ...]",
) -> None:
    source, target = f"{pools[0]}/a", f"{pools[1]}/a"
    make_image(client, source, size=8 * MIB, snapshots=snapshots, features=features)
    with opened(client, source, read_only=False) as image:
        image.write(random.Random(7).randbytes(8 * MIB), 0)
    migration.text("prepare", source, target)
    with opened(client, target, read_only=False) as image:
        image.discard(MIB, MIB)
        image.write_zeroes(3 * MIB, MIB)
        image.resize(5 * MIB)
    migration.text("execute", target)
    migration.wait(target, "executed", timeout=90)
