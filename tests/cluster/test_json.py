"""What programs see: JSON, lists and their filters, progress events, and what each user may."""

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, make_image, make_slow_image, names, records
from tests.cluster.commands import Commands
from tests.cluster.conftest import MakePool

FIELDS = {
    "id", "source", "source_image_id", "target", "target_image_id", "state", "goal", "percent",
    "objects_done", "objects_total", "hold", "failure", "attempts", "paused", "adopted", "acting",
    "copied_by", "layout", "created", "prepared", "executed", "ended", "timeline", "next",
}  # fmt: skip
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


def small(client: rados.Rados, spec: str) -> str:
    make_image(client, spec, size=MIB, object_size=64 * KIB, snapshots=())
    return spec


def test_status_fields(migration: Commands, client: rados.Rados, pools: "tuple[str, str]") -> None:
    source, target = small(client, f"{pools[0]}/disk"), f"{pools[1]}/disk"
    migration.text("prepare", source, target, "--object-size", "32K")
    report = migration.json("status", target)
    assert set(report) >= FIELDS
    assert (report["source"], report["target"]) == (source, target)
    assert (report["state"], report["goal"], report["percent"]) == ("prepared", "prepared", 0)
    assert (report["hold"], report["failure"], report["attempts"]) == (None, None, 0)
    assert (report["paused"], report["adopted"], report["acting"]) == (False, False, False)
    assert report["layout"] == {"object_size": 32 * KIB}
    assert report["source_image_id"]
    assert report["target_image_id"]
    assert report["source_image_id"] != report["target_image_id"]
    assert _TIME.match(report["created"])
    assert _TIME.match(report["prepared"])
    assert report["executed"] is report["ended"] is None
    assert [entry["state"] for entry in report["timeline"]] == ["queued", "preparing", "prepared"]
    assert all(_TIME.match(entry["at"]) for entry in report["timeline"])
    assert "execute" in report["next"]

    pretty = migration.text("status", target, "--format", "json-pretty")
    assert "\n    " in pretty
    assert json.loads(pretty) == report
    assert migration.json("status") == migration.json("ls")

    migration.text("execute", target)
    migration.wait(target, "executed")
    migration.text("commit", target)
    report = migration.json("status", target)
    assert set(report) >= FIELDS
    assert (report["state"], report["percent"], report["next"]) == ("committed", 100, "")
    assert _TIME.match(report["executed"])
    assert _TIME.match(report["ended"])


def test_acting_commands_answer_with_the_report(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = small(client, f"{pools[0]}/disk"), f"{pools[1]}/disk"
    ident = migration.json("prepare", source, target)["id"]
    for command, state in (("pause", "prepared"), ("resume", "prepared"), ("abort", "aborted")):
        report = migration.json(command, target)
        assert set(report) >= FIELDS
        assert (report["id"], report["state"]) == (ident, state)


def test_ls_filters(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]", make_pool: MakePool
) -> None:
    one, two = pools
    third = make_pool()
    for name in "abcd":
        small(client, f"{one}/{name}")
    migration.text("prepare", f"{one}/a", f"{two}/a")
    migration.text("run", f"{one}/b", f"{third}/b", "--goal", "executed")
    migration.wait(f"{third}/b", "executed")
    migration.text("run", f"{one}/c", f"{third}/c")
    migration.wait(f"{third}/c", "committed")
    migration.text("prepare", f"{one}/d", f"{third}/d")
    migration.text("abort", f"{third}/d")
    migration.wait(f"{third}/d", "aborted")

    def ls(*args: str) -> "list[str]":
        """Targets without their pools, of our pools alone: the cluster may have others."""
        ours = {one, two, third}
        listed = [r["target"].split("/") for r in migration.json("ls", *args)]
        return [name for pool, name in listed if pool in ours]

    assert ls() == ["a", "b"]
    assert ls("--pool", two) == ["a"]
    assert ls("--pool", one) == ["a", "b"]
    assert ls("--pool", third) == ["b"]
    assert ls("--state", "executed") == ["b"]
    assert ls("--state", "executed", "--pool", two) == []
    assert ls("--state", "committed") == []
    assert sorted(ls("--all", "--pool", third)) == ["b", "c", "d"]
    assert ls("--all", "--pool", third, "--state", "committed") == ["c"]
    assert ls("--all", "--pool", third, "--state", "aborted") == ["d"]
    assert ls("--pool", one, "--limit", "1") == ["a"]
    assert len(ls("--all", "--pool", third, "--limit", "2")) == 2
    assert ls("--pool", one, "--limit", "9") == ["a", "b"]
    table = migration.text("ls", "--pool", two)
    assert table.split()[:3] == ["SOURCE", "TARGET", "STATE"]
    assert f"{two}/a" in table
    assert f"{third}/b" not in table


@pytest.mark.parametrize("command", ["prepare", "run"])
def test_the_same_request_again_is_the_same_migration(
    command: str, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = small(client, f"{pools[0]}/disk"), f"{pools[1]}/disk"
    options = ["--goal", "executed"] if command == "run" else []
    first = migration.json(command, source, target, *options)
    again = migration.json(command, source, target, *options)
    assert first["id"] == again["id"]
    if command == "run":
        migration.wait(target, "executed")
        assert migration.json(command, source, target, *options)["id"] == first["id"]
    assert records(client, pools[1]) == [f"migration.{first['id']}"]


def test_execute_twice_is_one_copy(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = small(client, f"{pools[0]}/disk"), f"{pools[1]}/disk"
    migration.text("prepare", source, target)
    for _ in range(3):
        assert migration.json("execute", target)["goal"] == "executed"
    migration.wait(target, "executed")
    assert migration.json("execute", target)["state"] == "executed"
    timeline = migration.report(target)["timeline"]
    states = [entry["state"] for entry in timeline if entry["message"] != "execute"]
    assert states == ["queued", "preparing", "prepared", "executing", "executed"]
    assert len(timeline) == len(states) + 1  # the first one was a request that changed something


def test_run_raises_the_goal_of_a_prepared_migration(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    """`run` after `prepare` must not be lost without a word."""
    source, target = small(client, f"{pools[0]}/disk"), f"{pools[1]}/disk"
    ident = migration.json("prepare", source, target)["id"]
    assert migration.json("run", source, target)["id"] == ident
    migration.wait(target, "committed")


def test_a_repeat_with_another_layout_is_refused(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    """Otherwise the user gets a layout that he did not ask for."""
    source, target = small(client, f"{pools[0]}/disk"), f"{pools[1]}/disk"
    migration.text("prepare", source, target, "--object-size", "32K")
    migration.text("prepare", source, target, "--object-size", "32K")
    done = migration.raw("prepare", source, target, "--object-size", "1M")
    assert done.returncode != 0


def test_progress_events(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_slow_image(client, source, objects=1024)
    migration.text("run", source, target, "--rate", "512K")  # its 4 MiB take eight seconds
    ident = f"rbd_migration-{migration.report(target)['id']}"

    def event(kind: str) -> "dict[str, Any] | None":
        listed = cluster.ceph_json("progress", "json")[kind]
        return next((each for each in listed if each["id"] == ident), None)

    shown = cluster.wait_for(lambda: event("events"), 15, "the event")
    assert shown["refs"]["origin"] == "rbd_migration"
    assert source in shown["message"]
    assert target in shown["message"]
    moved = cluster.wait_for(
        lambda: (event("events") or {"progress": 1})["progress"] > shown["progress"], 20, "progress"
    )
    assert moved
    migration.wait(target, "committed", timeout=120)
    cluster.wait_for(lambda: event("events") is None, 10, "the end of the event")
    ended = event("completed")
    assert ended is not None
    assert not ended.get("failed")


# -- users -----------------------------------------------------------------------------------

Ceph = Callable[..., "subprocess.CompletedProcess[str]"]


@contextlib.contextmanager
def user(cluster: Cluster, folder: Path, mgr: str) -> "Iterator[Ceph]":
    """A user with these capabilities at the manager; yields its `ceph rbd migration ...`."""
    name = f"client.test{time.monotonic_ns()}"
    keyring = folder / f"{name}.keyring"
    cluster.ceph("auth", "get-or-create", name, "mon", "allow r", "mgr", mgr, "-o", str(keyring))

    def ceph(*args: str) -> "subprocess.CompletedProcess[str]":
        identity = ["--name", name, "--keyring", str(keyring)]
        return cluster.run(["ceph", *identity, "rbd", "migration", *args], check=False)

    try:
        yield ceph
    finally:
        cluster.ceph("auth", "del", name)


@pytest.fixture
def two_migrations(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> "tuple[str, str]":
    """Migrations to pools[0] and to pools[1]; returns the targets."""
    targets = []
    for here, there in (pools, pools[::-1]):
        small(client, f"{there}/from-{there}")
        targets.append(f"{here}/to")
        migration.text("prepare", f"{there}/from-{there}", targets[-1])
    return targets[0], targets[1]


@pytest.mark.parametrize("mgr", ["allow r", "allow module rbd_migration r"])
def test_a_reader_sees_all_and_does_nothing(
    mgr: str,
    cluster: Cluster,
    client: rados.Rados,
    pools: "tuple[str, str]",
    two_migrations: "tuple[str, str]",
    tmp_path: Path,
) -> None:
    small(client, f"{pools[0]}/idle")
    with user(cluster, tmp_path, mgr) as ceph:
        listed = ceph("ls", "--format", "json")
        assert listed.returncode == 0, listed.stderr
        assert {r["target"] for r in json.loads(listed.stdout)} >= set(two_migrations)
        assert ceph("status", two_migrations[0]).returncode == 0
        for command in (
            ["prepare", f"{pools[0]}/idle", f"{pools[1]}/new"],
            ["run", f"{pools[0]}/idle", f"{pools[1]}/new"],
            ["execute", two_migrations[0]],
            ["abort", two_migrations[0]],
        ):
            done = ceph(*command)
            assert done.returncode == 13, command
            assert "Traceback" not in done.stderr
    assert "idle" in names(client, pools[0])
    assert len(records(client, pools[0])) == len(records(client, pools[1])) == 1


def test_a_user_without_capabilities_does_nothing(
    cluster: Cluster, two_migrations: "tuple[str, str]", tmp_path: Path
) -> None:
    with user(cluster, tmp_path, "allow module status r") as ceph:
        assert ceph("ls").returncode == 13
        assert ceph("status", two_migrations[0]).returncode == 13


def test_a_user_of_one_pool_sees_and_touches_what_is_wholly_in_it(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    two_migrations: "tuple[str, str]",
    tmp_path: Path,
) -> None:
    """`allow module rbd_migration with pool=X rw`.

    The order matters: neither `... rw pool=X` nor `... pool=X rw` can be parsed, and `profile rbd`
    says nothing about this module.
    """
    across, back = two_migrations
    small(client, f"{pools[0]}/idle")
    small(client, f"{pools[0]}/own")
    mine = f"{pools[0]}/own-new"
    migration.text("prepare", f"{pools[0]}/own", mine)
    with user(cluster, tmp_path, f"allow module rbd_migration with pool={pools[0]} rw") as ceph:
        own = f"{pools[0]}/"
        for command in (["ls"], ["status"], ["ls", "--all"]):
            listed = json.loads(ceph(*command, "--format", "json").stdout)
            seen = {(r["source"], r["target"]) for r in listed}
            assert [each for each in seen if not all(end.startswith(own) for end in each)] == []
            assert (f"{pools[0]}/own", mine) in seen
        assert ceph("status", mine).returncode == 0
        assert ceph("pause", mine).returncode == 0
        assert ceph("resume", mine).returncode == 0
        for command in (
            ["status", across],
            ["status", back],
            ["execute", across],
            ["abort", back],
            ["abort", f"{pools[0]}/from-{pools[0]}", "--force"],  # by its source's name
            ["commit", f"{pools[0]}/from-{pools[0]}", "--force"],
            ["prepare", f"{pools[0]}/idle", f"{pools[1]}/new"],
            ["prepare", f"{pools[1]}/idle", f"{pools[0]}/new"],
            ["prepare", f"{pools[0]}/idle", f"{pools[0]}/new", "--data-pool", pools[1]],
            ["throttle", "set", "--rate", "1M", "--pool", pools[1]],
        ):
            done = ceph(*command)
            assert done.returncode == 13, command
            # The manager puts a sentence of its own behind ours.
            assert "Your capabilities do not cover" in done.stderr
            assert pools[1] in done.stderr
        for command in (
            ["throttle", "set", "--rate", "1M"],
            ["limit", "set", "--max-steps", "0"],
            ["window", "set", "--window", "off"],
        ):
            assert ceph(*command).returncode == 13, command
        assert ceph("throttle", "clear", "--pool", pools[0]).returncode == 0
        done = ceph("run", f"{pools[0]}/idle", f"{pools[0]}/new", "--goal", "prepared")
        assert done.returncode == 0, done.stderr


def test_a_user_of_one_namespace(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    tmp_path: Path,
) -> None:
    """`allow module rbd_migration with pool=X namespace=Y rw`."""
    for name in ("mine", "other"):
        cluster.rbd("namespace", "create", f"{pools[0]}/{name}")
        small(client, f"{pools[0]}/{name}/disk")
    migration.text("prepare", f"{pools[0]}/other/disk", f"{pools[0]}/other/new")
    caps = f"allow module rbd_migration with pool={pools[0]} namespace=mine rw"
    with user(cluster, tmp_path, caps) as ceph:
        assert json.loads(ceph("ls", "--format", "json").stdout) == []
        assert ceph("status", f"{pools[0]}/other/new").returncode == 13
        assert ceph("prepare", f"{pools[0]}/mine/disk", f"{pools[0]}/new").returncode == 13
        done = ceph("prepare", f"{pools[0]}/mine/disk", f"{pools[0]}/mine/new")
        assert done.returncode == 0, done.stderr
        listed = json.loads(ceph("ls", "--format", "json").stdout)
        assert [r["target"] for r in listed] == [f"{pools[0]}/mine/new"]
