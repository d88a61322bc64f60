"""Plans: many images, wave by wave, each exactly once, whatever is in the way."""

import itertools
import json
from collections.abc import Iterator
from errno import EBUSY, EEXIST, EINVAL, ENOENT
from pathlib import Path
from typing import Any, Callable

import pytest
import rados

from qa.devcluster import Cluster
from qa.faults.managers import start_dead
from qa.workload.images import KIB, MIB, content, digests, make_image, names, opened
from qa.workload.sources import qemu
from tests.cluster.commands import Commands, Report
from tests.cluster.importing import Place, place  # noqa: F401 - a fixture

_numbers = itertools.count(1)
Pools = "tuple[str, str]"


class Plan:
    """A plan from the first pool to the second, as an administrator handles it."""

    def __init__(self, cluster: Cluster, migration: Commands, pools: Pools, folder: Path) -> None:
        self.cluster = cluster
        self.migration = migration
        self.pools = pools
        self.name = f"plan-{next(_numbers)}"
        self._file = folder / "plan.yaml"

    def write(self, **more: Any) -> str:
        """The file of it, with ``more`` than select and map."""
        plain = {
            "plan": self.name,
            "select": [{"pool": self.pools[0], "name": "vm-*"}],
            "map": {"target_pool": self.pools[1]},
            **more,
        }
        self._file.write_text(json.dumps(plain), encoding="utf-8")
        return str(self._file)

    def create(self, **more: Any) -> None:
        self.migration.text("plan", "create", "-i", self.write(**more))

    def do(self, act: str) -> Report:
        """``plan start`` and so on."""
        found: Report = self.migration.ask(f"plan {act}", plan=self.name)
        return found

    def show(self) -> Report:
        return self.do("show")

    def phases(self) -> "dict[str, str]":
        """The phase of each image, by its bare name."""
        return {item["source"].split("/")[-1]: item["phase"] for item in self.show()["items"]}

    def wait(self, holds: "Callable[[Report], Any]", what: str, timeout: float = 60) -> Report:
        """Wait until something holds."""

        def there() -> "Report | None":
            report = self.show()
            return report if holds(report) else None

        found: Report = self.cluster.wait_for(there, timeout, f"{self.name}: {what}")
        return found

    def ended(self, target: str) -> "list[Report]":
        """Its ended migrations to a target; pools are used again, and remember former ones."""
        return [r for r in self.migration.ended(target) if r["plan"] == self.name]

    def state(self, state: str, timeout: float = 60) -> Report:
        return self.wait(lambda report: report["state"] == state, state, timeout)


@pytest.fixture
def plan(cluster: Cluster, migration: Commands, pools: Pools, tmp_path: Path) -> Iterator[Plan]:
    made = Plan(cluster, migration, pools, tmp_path)
    yield made
    for armed in cluster.faults.iterdir():
        armed.unlink()
    start_dead(cluster)
    cluster.wait_module()
    if any(found["name"] == made.name for found in migration.ask("plan ls")):
        if made.show()["state"] not in ("done", "cancelled"):
            migration.ask("plan cancel", plan=made.name, force=True)
            made.state("cancelled")
        made.do("rm")


@pytest.fixture
def disks(client: rados.Rados, pools: Pools) -> "Callable[[int], dict[str, Any]]":
    """Makes images vm-1, vm-2 and so on in the first pool; their digests by target."""

    def make(count: int, size: int = 512 * KIB) -> "dict[str, Any]":
        found = {}
        for number in range(1, count + 1):
            source = f"{pools[0]}/vm-{number}"
            make_image(client, source, size=size, object_size=64 * KIB, snapshots=(), seed=number)
            found[f"{pools[1]}/vm-{number}"] = digests(client, source)
        return found

    return make


def moved(client: rados.Rados, plan: Plan, before: "dict[str, Any]") -> None:
    """Each image is where it was to go, with its content, by one migration."""
    for target, digest in before.items():
        assert digests(client, target) == digest
        assert [report["state"] for report in plan.ended(target)] == ["committed"]


def test_a_plan_moves_its_images_wave_by_wave(
    migration: Commands, client: rados.Rados, pools: Pools, plan: Plan, disks: Any
) -> None:
    before = disks(6)
    make_image(client, f"{pools[0]}/other", size=MIB, snapshots=())
    plan.create(waves={"size": 3})
    draft = plan.show()
    assert (draft["state"], draft["total"], draft["items"]) == ("draft", 0, [])
    found = migration.json("plan", "check", plan.name)
    while not found["done"]:
        found = migration.json("plan", "check", plan.name)
    assert (found["ok"], found["total"], found["blocked"]) == (True, 6, 0)
    assert [pool["fits"] for pool in found["pools"]] == [True]
    assert "all of them can begin" in migration.text("plan", "check", plan.name)
    assert names(client, pools[1]) == []

    migration.text("plan", "start", plan.name)
    done = plan.state("done")
    assert (done["wave"], done["waves"], done["percent"]) == (2, 2, 100)
    assert done["counts"] == {
        "queued": 0, "waiting": 0, "running": 0, "paused": 0, "done": 6, "failed": 0,
        "cancelled": 0, "skipped": 0,
    }  # fmt: skip
    moved(client, plan, before)
    assert names(client, pools[0]) == ["other"]
    ended = {r["target"]: r for target in before for r in plan.ended(target)}
    waves = [[ended[i["target"]] for i in done["items"] if i["wave"] == n] for n in (1, 2)]
    assert max(r["ended"] for r in waves[0]) <= min(r["created"] for r in waves[1])
    assert "6 done" in migration.text("plan", "show", plan.name)
    migration.text("plan", "start", plan.name)  # once more is the same plan
    assert plan.show()["state"] == "done"


def test_each_image_has_its_own_method(
    client: rados.Rados,
    plan: Plan,
    disks: "Callable[[int], dict[str, Any]]",
    place: Place,  # noqa: F811
) -> None:
    before = disks(2)
    raw, file = place.folder / "own.raw", place.folder / "own.qcow2"
    raw.write_bytes(b"import" * 40000 + bytes(5760))
    qemu("img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(raw), str(file))
    source, target = plan.pools
    spec = {"type": "qcow", "stream": {"type": "file", "file_path": str(file)}}
    images = [
        {"source": f"{source}/vm-1", "method": "live"},
        {"source_spec": spec, "target": f"{target}/own", "method": "copy"},
    ]
    plan.create(images=images)
    checked = plan.do("check")
    assert {item["target"].split("/")[1]: item["method"] for item in checked["items"]} == {
        "vm-1": "live",
        "vm-2": "warm",
        "own": "copy",
    }
    assert checked["ok"]
    plan.do("start")
    shown = {item["target"]: item["method"] for item in plan.state("done")["items"]}
    ended = {target: plan.ended(target)[0]["method"] for target in shown}
    assert (
        ended
        == shown
        == {f"{target}/vm-1": "live", f"{target}/vm-2": "warm", f"{target}/own": "copy"}
    )
    moved(client, plan, before)
    assert content(client, f"{target}/own") == raw.read_bytes()


def test_what_is_in_use_waits_in_its_wave_and_goes_on(
    migration: Commands, client: rados.Rados, pools: Pools, plan: Plan, disks: Any
) -> None:
    before = disks(3)
    plan.create(waves={"size": 2, "stop_after_failures": 1})
    with opened(client, f"{pools[0]}/vm-2", read_only=False):
        plan.do("start")
        report = plan.wait(
            lambda r: r["counts"]["done"] == 1 and r["counts"]["waiting"] == 1, "one waits"
        )
        assert plan.phases() == {"vm-1": "done", "vm-2": "waiting", "vm-3": "queued"}
        assert any("vm-2 is open for writing by client." in said for said in report["problems"])
    plan.state("done")
    moved(client, plan, before)


def test_what_is_in_use_for_long_is_tried_again_after_the_later_waves(
    migration: Commands, client: rados.Rados, pools: Pools, plan: Plan, disks: Any
) -> None:
    before = disks(5, 128 * KIB)
    plan.create(waves={"size": 2, "stop_after_failures": 1, "wait": "2s"})
    with opened(client, f"{pools[0]}/vm-2", read_only=False):
        plan.do("start")
        report = plan.wait(
            lambda r: r["counts"]["done"] == 4 and r["counts"]["waiting"] == 1,
            "all waves but for one image",
            timeout=120,
        )
        assert report["state"] == "running"
        assert [item["source"] for item in report["items"] if item["postponed"]] == [
            f"{pools[0]}/vm-2"
        ]
        plan.wait(lambda r: "vm-2 is open for writing by" in str(r["problems"]), "it is tried")
        assert names(client, pools[0]) == ["vm-2"]
    report = plan.state("done")
    assert (report["counts"]["done"], report["counts"]["failed"]) == (5, 0)
    moved(client, plan, before)
    late = plan.ended(f"{pools[1]}/vm-2")[0]["created"]
    others = [plan.ended(target)[0]["ended"] for target in before if not target.endswith("/vm-2")]
    assert late >= max(others)


def test_it_stops_after_failures_and_goes_on_when_told(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: Pools,
    plan: Plan,
    disks: Any,
) -> None:
    before = disks(3)
    taken = f"{pools[1]}/vm-1"
    make_image(client, taken, size=64 * KIB, object_size=64 * KIB, snapshots=())
    plan.create(waves={"size": 1, "stop_after_failures": 1})
    plan.do("start")
    stopped = plan.state("stopped")
    assert plan.phases() == {"vm-1": "failed", "vm-2": "queued", "vm-3": "queued"}
    assert taken in stopped["problems"][0]
    assert "too many failures" in stopped["next"]
    plan.do("resume")
    done = plan.state("done-with-failures")
    assert (done["counts"]["failed"], done["counts"]["done"]) == (1, 2)
    cluster.rbd("rm", taken, "--no-progress")
    migration.text("retry", "--plan", plan.name)
    plan.wait(lambda r: r["counts"]["done"] == 3, "all are done")
    moved(client, plan, before)


def test_pause_holds_its_migrations_and_resume_lets_them_go_on(
    cluster: Cluster, migration: Commands, client: rados.Rados, plan: Plan, disks: Any
) -> None:
    before = disks(2, 4 * MIB)
    plan.create(waves={"size": 2}, policy={"rate": "400K"}, limits={"max_copies": 1})
    plan.do("start")
    plan.wait(lambda r: r["bytes_copied"] > 0, "a copy runs")
    running = [r for r in migration.ask("ls", plan=plan.name) if r["state"] == "executing"]
    assert [r["rate_limit"] for r in running] == [400 << 10]
    migration.text("pause", "--plan", plan.name)

    def stands() -> bool:
        found = migration.ask("ls", plan=plan.name)
        return len(found) == 2 and all(
            r["hold"] and r["hold"]["reason"] == "plan" and not r["acting"] for r in found
        )

    cluster.wait_for(stands, 30, "its migrations to be held")
    assert not any(r["paused"] for r in migration.ask("ls", plan=plan.name))
    migration.text("plan", "apply", "-i", plan.write(waves={"size": 2}))
    assert plan.show()["state"] == "paused"
    migration.text("plan", "resume", plan.name)
    plan.state("done")
    moved(client, plan, before)


def test_cancel_goes_back_and_leaves_what_is_done(
    migration: Commands, client: rados.Rados, pools: Pools, plan: Plan, disks: Any
) -> None:
    disks(3, 2 * MIB)
    plan.create(waves={"size": 2}, policy={"rate": "200K"})
    plan.do("start")
    plan.wait(lambda r: r["bytes_copied"] > 0, "a copy runs")
    migration.text("cancel", "--plan", plan.name)
    done = plan.state("cancelled")
    assert done["counts"]["cancelled"] == 3
    assert names(client, pools[0]) == ["vm-1", "vm-2", "vm-3"]
    assert names(client, pools[1]) == []


POINTS = {
    "plans.items.after": "1",
    "plans.begin": "1",
    "store.write.after": "1 queued",
    "store.remove.before": "1",
}


@pytest.mark.timeout(240)
def test_managers_that_are_killed_lose_nothing_and_do_nothing_twice(
    cluster: Cluster, migration: Commands, client: rados.Rados, plan: Plan, disks: Any
) -> None:
    """When the images are chosen, before a migration begins, when it has begun, at an end."""
    before = disks(6, 128 * KIB)
    plan.create(waves={"size": 3})
    begun = False
    for point, when in POINTS.items():  # the next is armed before another manager takes over
        (cluster.faults / point).write_text(when, encoding="ascii")
        if not begun:
            migration.raw("plan", "start", plan.name)
            begun = True

        def died(point: str = point) -> bool:
            start_dead(cluster)
            return not (cluster.faults / point).exists()

        cluster.wait_for(died, 60, f"a manager to die at {point}")
    start_dead(cluster)
    cluster.wait_module()
    plan.state("done", timeout=120)
    moved(client, plan, before)


REFUSED = [
    (EINVAL, {"select": [{"name": "x"}]}, "select[0].pool in the plan is missing"),
    (EINVAL, {"waves": {"size": "many"}}, "waves.size in the plan is 'many'"),
    (ENOENT, {"map": {"target_pool": "none"}}, "The pool 'none' does not exist"),
]


def test_refusals(
    migration: Commands, client: rados.Rados, pools: Pools, plan: Plan, disks: Any
) -> None:
    for errno, more, said in REFUSED:
        sentence = migration.refused(errno, "plan", "create", "-i", plan.write(**more))
        assert said in sentence
    plan.create()
    again = plan.write(waves={"size": 1})
    assert "plan apply" in migration.refused(EEXIST, "plan", "create", "-i", again)
    assert "No image fits" in migration.refused(ENOENT, "plan", "start", plan.name)
    assert "No image fits" in plan.show()["problems"][0]
    disks(2, 128 * KIB)
    same = plan.write(map={"target_pool": pools[1], "name": "same"})
    migration.text("plan", "apply", "-i", same)
    assert "would both go to" in migration.refused(EEXIST, "plan", "start", plan.name)
    assert "would both go to" in plan.do("check")["problem"]
    migration.text("plan", "apply", "-i", plan.write(policy={"rate": "1K"}))
    plan.do("start")
    assert "cancel" in migration.refused(EBUSY, "plan", "rm", plan.name)
    other = plan.write(map={"target_pool": pools[0], "name": "new-{name}"})
    assert "where they go" in migration.refused(EBUSY, "plan", "apply", "-i", other)
