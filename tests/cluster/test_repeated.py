"""The same migration is asked for again, by hand or by a plan: what was to be waited for stays."""

from collections.abc import Iterator
from errno import EBUSY, EEXIST, EPERM
from pathlib import Path
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, digests, make_image, names, omap, place
from tests.cluster.commands import Commands
from tests.cluster.test_plans import Plan


@pytest.fixture
def ends(client: rados.Rados, pools: "tuple[str, str]") -> "tuple[str, str]":
    """A source, and where it is to go."""
    source = f"{pools[0]}/vm-1"
    make_image(client, source, size=512 * KIB, object_size=64 * KIB, snapshots=())
    return source, f"{pools[1]}/vm-1"


@pytest.fixture
def plan(
    cluster: Cluster, migration: Commands, pools: "tuple[str, str]", tmp_path: Path
) -> Iterator[Plan]:
    made = Plan(cluster, migration, pools, tmp_path)
    yield made
    if made.show()["state"] not in ("done", "cancelled"):
        migration.ask("plan cancel", plan=made.name, force=True)
        made.state("cancelled")
    made.do("rm")


@pytest.fixture
def no_steps(migration: Commands) -> Iterator[None]:
    """Every prepare, commit and abort waits for a free slot, until the test allows them."""
    before = str(migration.json("limit", "get")["max_steps"])
    migration.text("limit", "set", "--max-steps", "0")
    try:
        yield
    finally:
        migration.text("limit", "set", "--max-steps", before)


def record(client: rados.Rados, target: str) -> "dict[str, Any]":
    """The stored record of the migration to ``target``, as bytes."""
    with place(client, target) as ioctx:
        stored = omap(ioctx, "rbd_migration")
    return {key: value for key, value in stored.items() if key.startswith("migration.")}


def test_a_run_on_what_is_executed_waits_for_its_soak_time(
    cluster: Cluster, migration: Commands, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    migration.text("run", "--method", "live", source, target, "--goal", "executed")
    migration.wait(target, "executed")
    migration.text("run", source, target, "--verify", "none", "--soak", "7d")
    report = migration.report(target)
    assert (report["goal"], report["soak_seconds"]) == ("committed", 7 * 86400)

    def held() -> bool:
        hold = migration.report(target)["hold"]
        return bool(hold) and hold["reason"] == "soak"

    cluster.wait_for(held, 20, "the soak time")
    migration.text("set", target, "--soak", "0")
    migration.wait(target, "committed")


def test_a_refused_plan_leaves_the_migration_of_another_as_it_is(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]", plan: Plan, tmp_path: Path
) -> None:
    source, target = ends
    plan.create(policy={"goal": "executed"})
    plan.do("start")
    plan.state("done")
    before = record(client, target)
    other = Plan(plan.cluster, migration, plan.pools, tmp_path)
    listed = {"images": [{"source": source, "target": target}], "policy": {"goal": "committed"}}
    migration.text("plan", "create", "-i", other.write(select=[], map={}, **listed))
    other.do("start")
    assert f"belongs to the plan {plan.name}" in other.state("done-with-failures")["problems"][0]
    other.do("rm")
    assert record(client, target) == before
    migration.text("abort", target)
    migration.wait(target, "aborted")


def test_what_joins_a_plan_is_compared_and_waits_as_the_plan_says(
    cluster: Cluster, migration: Commands, ends: "tuple[str, str]", plan: Plan
) -> None:
    source, target = ends
    migration.text("run", "--method", "live", source, target, "--goal", "executed")
    migration.wait(target, "executed")
    policy = {"goal": "committed", "verify": "full", "soak": "7d"}
    plan.create(select=[], map={}, images=[{"source": source, "target": target}], policy=policy)
    plan.do("start")
    report = migration.wait(target, "verified")
    assert (report["plan"], report["verify"]) == (plan.name, "full")
    assert (report["goal"], report["soak_seconds"]) == ("committed", 7 * 86400)
    assert report["verification"]["outcome"] == "passed"
    said = migration.refused(EPERM, "set", target, "--verify", "none")
    assert f"The plan {plan.name}" in said
    migration.text("commit", target)
    migration.wait(target, "committed")
    plan.state("done")


REFUSED = [
    (EEXIST, "run", ["--object-size", "64K"], "another layout"),
    (EEXIST, "prepare", ["--flatten"], "another layout"),
    (EEXIST, "run", ["--window", "Sat", "--soak", "1h", "--verify", "full"], "another window"),
]


def test_a_refused_request_changes_nothing(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]"
) -> None:
    source, target = ends
    migration.text(
        "run",
        "--method",
        "live",
        source,
        target,
        "--goal",
        "executed",
        "--window",
        "Sun,Mon-Fri,Sat",
    )
    migration.wait(target, "executed")
    before = record(client, target)
    for errno, command, more, said in REFUSED:
        assert said in migration.refused(errno, command, source, target, *more)
        assert record(client, target) == before


def test_an_abort_that_was_accepted_while_a_commit_waits_goes_back(
    migration: Commands, client: rados.Rados, ends: "tuple[str, str]", no_steps: None
) -> None:
    source, target = ends
    migration.text("limit", "set", "--max-steps", "2")
    before = digests(client, source)
    migration.text("run", "--method", "live", source, target, "--goal", "executed")
    migration.wait(target, "executed")
    migration.text("limit", "set", "--max-steps", "0")
    migration.text("commit", target)
    assert migration.report(target)["goal"] == "committed"
    migration.text("abort", target)
    accepted = record(client, target)
    for command in ("commit", "pause", "verify", "execute"):
        assert "being aborted" in migration.refused(EBUSY, command, target)
    for change in (["--goal", "committed"], ["--verify", "full"], ["--soak", "1h"]):
        assert "being aborted" in migration.refused(EBUSY, "set", target, *change)
    assert "being aborted" in migration.refused(EBUSY, "run", source, target)
    assert record(client, target) == accepted
    migration.text("limit", "set", "--max-steps", "2")
    migration.wait(target, "aborted")
    assert digests(client, source) == before
    assert names(client, target.split("/", maxsplit=1)[0]) == []


def test_a_commit_that_was_called_off_does_not_come_back_without_its_soak_time(
    cluster: Cluster, migration: Commands, ends: "tuple[str, str]", no_steps: None
) -> None:
    source, target = ends
    migration.text("limit", "set", "--max-steps", "2")
    migration.text("run", "--method", "live", source, target, "--goal", "executed", "--soak", "7d")
    migration.wait(target, "executed")
    migration.text("limit", "set", "--max-steps", "0")
    migration.text("commit", target, "--force")
    migration.text("set", target, "--goal", "executed")
    migration.text("limit", "set", "--max-steps", "2")
    migration.text("set", target, "--goal", "committed")

    def held() -> bool:
        hold = migration.report(target)["hold"]
        return bool(hold) and hold["reason"] == "soak"

    cluster.wait_for(held, 20, "the soak time")
    migration.text("abort", target)
    migration.wait(target, "aborted")
