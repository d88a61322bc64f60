"""Pace: throttles, limits, windows, health gates, who copies, and progress events."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.held_process import held_at
from qa.workload.images import MIB, digests, make_image, make_slow_image, opened
from qa.workload.module_options import module_options
from qa.workload.writer import writing
from tests.cluster.commands import LIVE, Commands, Report

OPS_KEY = "conf_rbd_concurrent_management_ops"
OBJECTS = 1024  # a client that copies them itself is seen while it does, also on a fast machine


@pytest.fixture(autouse=True)
def _unlimited(migration: Commands) -> Iterator[None]:
    """What was set for the whole cluster is taken away again, and nothing else is changed."""
    yield
    throttle = migration.ask("throttle get")
    if throttle["timetable"] != "off":
        migration.text("throttle", "clear")
    if throttle["guard"] is not None:
        migration.text("throttle", "set", "--guard", "off")
    if migration.ask("window get")["window"]:
        migration.text("window", "clear")
    limits = migration.ask("limit get")
    if (limits["max_copies"], limits["per_source_pool"]) != (4, 0):
        migration.text("limit", "set", "--max-copies", "4", "--per-source-pool", "0")


@pytest.fixture
def copy(migration: Commands, client: rados.Rados, pools: "tuple[str, str]") -> "tuple[str, str]":
    """A prepared migration of 8 MiB, whose copy is slow by its own rate until that is changed."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=8 * MIB)
    migration.text("prepare", source, target)
    return source, target


def held(cluster: Cluster, migration: Commands, target: str, reason: str) -> Report:
    """Wait until it is held for this reason and nothing acts on it."""

    def is_held() -> "Report | None":
        report = migration.report(target)
        hold = report["hold"]
        return report if hold and hold["reason"] == reason and not report["acting"] else None

    found: Report = cluster.wait_for(is_held, 20, f"{target} held: {reason}")
    return found


def finish(migration: Commands, client: rados.Rados, target: str, before: Any) -> None:
    migration.wait(target, "executed", timeout=60)
    migration.text("commit", target)
    assert digests(client, target) == before


ZEROES = [
    (["throttle", "set", "--rate", "0"], ["throttle", "clear"]),
    (["throttle", "set", "--pool", "{0}", "--rate", "0"], ["throttle", "clear", "--pool", "{0}"]),
    (["throttle", "set", "--pool", "{1}", "--rate", "0"], ["throttle", "clear", "--pool", "{1}"]),
    (["set", "{1}/disk", "--rate", "0"], ["set", "{1}/disk", "--rate", "off"]),
]


@pytest.mark.parametrize(("stop", "go"), ZEROES, ids=["cluster", "source", "target", "own"])
def test_a_rate_of_0_holds_a_copy_and_lets_it_go_on(
    stop: "list[str]",
    go: "list[str]",
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    copy: "tuple[str, str]",
) -> None:
    before = digests(client, copy[1])
    migration.text(*(word.format(*pools) for word in stop))
    migration.text("execute", copy[1])
    report = held(cluster, migration, copy[1], "limit")
    assert " 0" in report["hold"]["message"]
    migration.text(*(word.format(*pools) for word in go))
    finish(migration, client, copy[1], before)


def test_a_rate_of_0_stops_a_copy_that_runs(
    cluster: Cluster, migration: Commands, client: rados.Rados, copy: "tuple[str, str]"
) -> None:
    before = digests(client, copy[1])
    migration.text("throttle", "set", "--rate", "1M")
    migration.text("execute", copy[1])
    migration.wait_percent(copy[1], 5)
    migration.text("throttle", "set", "--rate", "0")
    stopped = held(cluster, migration, copy[1], "limit")
    assert 0 < stopped["bytes_copied"] < stopped["bytes_total"]
    migration.text("throttle", "set", "--rate", "1G")
    finish(migration, client, copy[1], before)


@pytest.mark.parametrize("whose", ["cluster", "own"])
def test_a_closed_window_stops_a_copy_until_it_opens(
    whose: str,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    copy: "tuple[str, str]",
) -> None:
    before = digests(client, copy[1])
    change = ["window", "set"] if whose == "cluster" else ["set", copy[1]]
    # The far side of the world from whatever time it is: an hour that begins in about 12 hours.
    closed = cluster.run(["date", "-u", "-d", "+12 hours", "+%H:00"], timeout=5).stdout.strip()
    until = cluster.run(["date", "-u", "-d", "+13 hours", "+%H:00"], timeout=5).stdout.strip()
    migration.text("throttle", "set", "--rate", "1M")
    migration.text("execute", copy[1])
    migration.wait_percent(copy[1], 5)
    migration.text(*change, "--window", f"{closed}-{until}")
    report = held(cluster, migration, copy[1], "window")
    assert f"opens at {report['hold']['until'][:10]}" in report["hold"]["message"]
    migration.text("throttle", "clear")
    migration.text(*change, "--window", "off")
    finish(migration, client, copy[1], before)


@contextlib.contextmanager
def nearly_full(cluster: Cluster) -> Iterator[None]:
    """The OSDs and with them the pools count as near full."""
    cluster.ceph("osd", "set-nearfull-ratio", "0.001")
    try:
        yield
    finally:
        cluster.ceph("osd", "set-nearfull-ratio", "0.85")


@pytest.fixture
def _quick_gates(cluster: Cluster) -> Iterator[None]:
    with module_options(cluster, gate_settle="1"):
        yield


@pytest.mark.usefixtures("_quick_gates")
def test_copies_wait_while_the_pool_is_near_full_and_then_go_on(
    cluster: Cluster, migration: Commands, client: rados.Rados, copy: "tuple[str, str]"
) -> None:
    before = digests(client, copy[1])
    migration.text("throttle", "set", "--rate", "500K")
    migration.text("execute", copy[1])
    migration.wait_percent(copy[1], 3)
    with nearly_full(cluster):
        report = held(cluster, migration, copy[1], "health")
        assert f"The pool {copy[1].split('/')[0]} is near full" in report["hold"]["message"]
        gates = migration.json("throttle", "get")["gates"]
        assert {"nearfull-osds", "pool-nearfull"} <= {gate["gate"] for gate in gates}
        assert "near full" in migration.text("throttle", "get")
    migration.text("throttle", "clear")
    finish(migration, client, copy[1], before)


@pytest.mark.usefixtures("_quick_gates")
def test_a_gate_that_says_slow_takes_a_part_of_the_rate(
    cluster: Cluster, migration: Commands, copy: "tuple[str, str]"
) -> None:
    with module_options(cluster, gate_nearfull_pool_wait="0", gate_slow_factor="0.25"):
        migration.text("throttle", "set", "--rate", "400K")
        migration.text("execute", copy[1])
        with nearly_full(cluster):
            shown = cluster.wait_for(lambda: slowed(migration, copy[1]), 20, "a slower copy")
            assert shown["rate_limit"] == 100 << 10
            assert "copies run at 25 % of their rate" in shown["slowed"][0]
            assert "slowed" in migration.text("status", copy[1])


def slowed(migration: Commands, target: str) -> "Report | None":
    report = migration.report(target)
    return report if report["slowed"] else None


def test_the_guard_is_shown_with_what_it_knows(
    cluster: Cluster, migration: Commands, copy: "tuple[str, str]"
) -> None:
    migration.text("throttle", "set", "--guard", "1.5")
    migration.text("set", copy[1], "--rate", "300K")
    migration.text("execute", copy[1])
    report = cluster.wait_for(lambda: slowed(migration, copy[1]), 20, "the guard's word")
    assert "latency" in report["slowed"][-1]
    guard = migration.json("throttle", "get")["guard"]
    assert guard["factor"] == 1.5
    assert guard["rate"] >= 1 << 20
    migration.text("throttle", "set", "--guard", "off")
    assert migration.json("throttle", "get")["guard"] is None


def test_the_client_that_copies_itself_is_paced_by_its_configuration(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_slow_image(client, source, OBJECTS)
    with opened(client, source, read_only=False) as image:
        image.metadata_remove(OPS_KEY)
    migration.text("prepare", source, target)
    # A gate of a test before slows for a while after its reason has gone.
    cluster.wait_for(lambda: not migration.ask("throttle get")["gates"], 60, "no gate in force")
    with writing(cluster, target, rate=50) as writer:
        writer.wait_acked(15)
        migration.text("set", target, "--rate", "80K")
        with held_at(cluster.faults, "librbd.before", "execute"):
            migration.text("execute", target)
            cluster.wait_for(lambda: configured(client, target) == "2", 60, "the number of objects")
        shown = cluster.wait_for(lambda: migration.report(target)["copied_by"], 30, "who copies")
        assert f"client.{writer.client_id} at" in shown
        migration.text("set", target, "--rate", "8M")
        migration.wait(target, "executed", timeout=200)
        assert configured(client, target) is None
        writer.stop()


def test_what_a_user_configured_is_left_alone(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_slow_image(client, source, OBJECTS)  # it comes with a number of its own: 1
    migration.text("prepare", source, target)
    with writing(cluster, target, rate=50) as writer:
        writer.wait_acked(15)
        migration.text("set", target, "--rate", "800K")
        migration.text("execute", target)
        cluster.wait_for(lambda: migration.report(target)["copied_by"], 30, "who copies")
        assert configured(client, target) == "1"
        migration.wait(target, "executed", timeout=200)
        assert configured(client, target) == "1"
        writer.stop()


def configured(client: rados.Rados, spec: str) -> "str | None":
    with opened(client, spec) as image:
        return dict(image.metadata_list()).get(OPS_KEY)


def test_limits_hold_back_and_priorities_go_first(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    targets = [f"{pools[1]}/disk{number}" for number in range(4)]
    migration.text("limit", "set", "--max-copies", "1")
    for number, target in enumerate(targets):
        source = f"{pools[0]}/disk{number}"
        make_image(client, source, size=16 * MIB, seed=number)
        migration.text("prepare", source, target)
        migration.text("set", target, "--rate", "100K")
    migration.text("set", targets[3], "--priority", "9")
    for target in targets:
        migration.text("execute", target)

    def states() -> "list[str]":
        return [migration.report(target)["state"] for target in targets]

    def waiting() -> "list[Report]":
        return [r for r in migration.under_way() if r["hold"] and r["hold"]["reason"] == "limit"]

    cluster.wait_for(lambda: len(waiting()) == 3, 15, "three that wait")
    assert sum(r["acting"] for r in migration.under_way()) == 1
    assert "It waits for a free slot" in waiting()[0]["hold"]["message"]
    migration.text("set", targets[0], "--rate", "off")
    cluster.wait_for(lambda: states()[3] == "executing", 30, "the one that goes first")
    assert states()[1:3] == ["prepared", "prepared"]
    for target in targets:
        migration.text("set", target, "--rate", "off")
    for target in targets:
        migration.wait(target, "executed")


@pytest.fixture
def _one_event(cluster: Cluster) -> Iterator[None]:
    with module_options(cluster, progress_events="1"):
        yield


@pytest.mark.usefixtures("_one_event")
def test_many_migrations_share_an_event_and_all_events_end(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    migration.text("throttle", "set", "--rate", "1M")
    for number in range(3):
        make_image(client, f"{pools[0]}/d{number}", size=16 * MIB, seed=number)
        migration.text(*LIVE, f"{pools[0]}/d{number}", f"{pools[1]}/d{number}")

    def messages() -> "list[str]":
        events = json.loads(cluster.ceph("progress", "json"))["events"]
        return sorted(e["message"] for e in events if "origin" in e.get("refs", {}))

    cluster.wait_for(lambda: "Migrating 2 more images" in messages(), 60, "a common event")
    assert len(messages()) == 2
    migration.text("throttle", "clear")
    for number in range(3):
        migration.wait(f"{pools[1]}/d{number}", "committed")
    cluster.wait_for(lambda: not messages(), 60, "the end of all events")
