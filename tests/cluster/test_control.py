"""Control: pause, resume, cancel, what plain ``rbd`` did behind our back, and many at once."""

import time
from collections.abc import Iterator
from errno import EBUSY, EPERM

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.burst import burst
from qa.workload.images import (
    KIB,
    MIB,
    content,
    data_objects,
    digests,
    make_image,
    make_slow_image,
    names,
    opened,
    records,
    speed_up,
    trash,
)
from qa.workload.writer import writing
from tests.cluster.commands import Commands

OBJECTS = 512


class Copy:
    """A migration whose copy is slow: by its rate, or by the number of its objects."""

    def __init__(
        self,
        migration: Commands,
        client: rados.Rados,
        pools: "tuple[str, str]",
        objects: int = OBJECTS,
        rate: str = "off",
    ) -> None:
        self.source, self.target = f"{pools[0]}/disk", f"{pools[1]}/disk"
        self._client = client
        self._migration = migration
        self._pools = pools
        make_slow_image(client, self.source, objects, snapshots=["one"])
        self.before = digests(client, self.source)
        self.base = content(client, self.source)
        migration.text("prepare", self.source, self.target)
        migration.text("set", self.target, "--rate", rate)
        self.ident = migration.report(self.target)["target_image_id"]

    def speed_up(self) -> None:
        """Let it copy as fast as it can; counts from the next start of the copy."""
        speed_up(self._client, self.target)
        self._migration.text("set", self.target, "--rate", "off")

    def copied(self) -> int:
        return data_objects(self._client, self.target, self.ident)

    def assert_given_back(self) -> None:
        """The source is as it was, and nothing of the target is left."""
        assert names(self._client, self._pools[0]) == ["disk"]
        assert names(self._client, self._pools[1]) == []
        assert trash(self._client, self._pools[0]) == []
        deadline = time.monotonic() + 30  # the record goes after the end was told
        while records(self._client, self._pools[1]) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert records(self._client, self._pools[1]) == []
        assert digests(self._client, self.source) == self.before


@pytest.fixture
def slow(migration: Commands, client: rados.Rados, pools: "tuple[str, str]") -> Copy:
    """Our worker needs about 10 s for it."""
    return Copy(migration, client, pools, rate="256K")


@pytest.fixture
def large(migration: Commands, client: rados.Rados, pools: "tuple[str, str]") -> Copy:
    """For copies that a client does, which keeps to no rate."""
    return Copy(migration, client, pools, objects=1024)


def until_it_stands(copy: Copy, seconds: float = 20.0) -> None:
    """Wait until the number of copied objects has not grown for two seconds."""
    deadline = time.monotonic() + seconds
    count, since = copy.copied(), time.monotonic()
    while time.monotonic() - since < 2.0:
        assert time.monotonic() < deadline, "it goes on copying"
        time.sleep(0.2)
        before, count = count, copy.copied()
        if before != count:
            since = time.monotonic()


def test_pause_and_resume(migration: Commands, client: rados.Rados, slow: Copy) -> None:
    migration.text("execute", slow.target)
    migration.wait_percent(slow.target, 10)
    migration.text("pause", slow.target)
    until_it_stands(slow)
    report = migration.report(slow.target)
    assert (report["paused"], report["hold"]["reason"], report["acting"]) == (True, "paused", False)
    assert "resume" in report["hold"]["message"]
    assert 0 < slow.copied() < OBJECTS
    # The content is all there meanwhile, and the image takes writes at once.
    assert digests(client, slow.target) == slow.before
    slow.speed_up()
    migration.text("resume", slow.target)
    migration.wait(slow.target, "executed")
    migration.text("commit", slow.target)
    assert digests(client, slow.target) == slow.before


def test_clients_write_on_while_it_is_paused(
    cluster: Cluster, migration: Commands, client: rados.Rados, slow: Copy
) -> None:
    """The client comes when it is paused: nothing of the killed worker is in its way."""
    migration.text("execute", slow.target)
    migration.wait_percent(slow.target, 5)
    migration.text("pause", slow.target)
    with writing(cluster, slow.target, rate=50) as writer:
        writer.wait_acked(10)
        # What the client writes makes objects too: count only what cannot come from that.
        begin, writes = slow.copied(), writer.acked
        time.sleep(2)
        grown, written = slow.copied() - begin, writer.acked - writes
        assert written > 10
        assert grown <= written + 2, f"{grown} objects were made while {written} were written"
        slow.speed_up()
        migration.text("resume", slow.target)
        migration.wait(slow.target, "executed", timeout=60)
        writer.stop()
    assert writer.lost(client, slow.target, slow.base) == []
    assert digests(client, slow.target)["one"] == slow.before["one"]


def test_pause_of_a_copy_that_the_client_with_the_lock_does(
    cluster: Cluster, migration: Commands, client: rados.Rados, large: Copy
) -> None:
    with writing(cluster, large.target, rate=20) as writer:
        writer.wait_acked(15)
        assert writer.owns_lock
        migration.text("execute", large.target)
        migration.wait_percent(large.target, 3)
        shown = cluster.wait_for(
            lambda: migration.report(large.target)["copied_by"], 8, "who copies"
        )
        assert f"client.{writer.client_id} at" in shown
        migration.text("pause", large.target)
        report = migration.report(large.target)
        assert (report["paused"], report["hold"]["reason"]) == (True, "paused")
        assert f"client.{writer.client_id} at" in report["hold"]["message"]
        assert "--force" in report["hold"]["message"]
        writer.wait_acked(20)
        migration.wait(large.target, "executed", timeout=60)
        assert "resume" in migration.report(large.target)["hold"]["message"]
        migration.text("resume", large.target)
        writer.stop()
    migration.text("commit", large.target)
    assert writer.lost(client, large.target, large.base) == []


def test_a_pause_by_force_takes_the_lock_from_a_client(
    cluster: Cluster, migration: Commands, client: rados.Rados, large: Copy
) -> None:
    with opened(client, large.target, read_only=False) as image:
        image.write(b"lock", 0)
        assert image.is_exclusive_lock_owner()
        migration.text("execute", large.target)
        cluster.wait_for(lambda: migration.report(large.target)["copied_by"], 10, "who copies")
        migration.text("pause", large.target, "--force")
        until_it_stands(large)
        assert large.copied() < 1024
        image.write(b"and again", 0)
    large.speed_up()
    migration.text("resume", large.target)
    migration.wait(large.target, "executed", timeout=60)
    expected = b"and again" + large.base[len(b"and again") :]
    assert content(client, large.target) == expected


def test_no_write_of_a_busy_client_fails_however_its_copy_is_to_stop(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    """A client with many writes under way, each of which copies an object before it is done.

    To stop its copy it would have to give the lock away, and these writes would fail (EROFS).
    """
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=64 * MIB, object_size=64 * KIB, snapshots=["one"])
    with opened(client, source, read_only=False) as image:
        image.metadata_set("conf_rbd_concurrent_management_ops", "1")
    migration.text("prepare", source, target)
    with burst(cluster, target, depth=16, rate=200) as client_writes:
        client_writes.wait_written(50)
        migration.text("execute", target)
        cluster.wait_for(lambda: migration.report(target)["copied_by"], 10, "who copies")
        migration.text("pause", target)
        migration.text("resume", target)
        migration.text("set", target, "--rate", "0")
        client_writes.wait_written(200)
        assert "by itself" in " ".join(migration.report(target)["slowed"])
        migration.text("set", target, "--rate", "off")
        assert client_writes.errors() == {}
    migration.wait(target, "executed", timeout=60)


def test_pause_before_it_runs(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, size=MIB)
    migration.text("prepare", source, target)
    migration.text("pause", target)
    migration.text("execute", target)
    time.sleep(2)
    assert migration.report(target)["state"] == "prepared"
    migration.text("resume", target)
    migration.wait(target, "executed")


@pytest.mark.parametrize(
    ("command", "paused"), [("cancel", False), ("abort", False), ("cancel", True)]
)
def test_cancel_in_mid_copy(command: str, paused: bool, migration: Commands, slow: Copy) -> None:
    migration.text("execute", slow.target)
    migration.wait_percent(slow.target, 10)
    if paused:
        migration.text("pause", slow.target)
    migration.text(command, slow.target)
    report = migration.wait(slow.target, "aborted")
    assert report["executed"] is None
    slow.assert_given_back()


def test_abort_when_executed(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, protect=["one"])
    before = digests(client, source)
    migration.text("run", source, target, "--goal", "executed")
    migration.wait(target, "executed")
    migration.text("abort", target)
    migration.wait(target, "aborted")
    assert digests(client, source) == before
    assert names(client, pools[1]) == []
    # and once more, all the way
    migration.text("run", source, target)
    migration.wait(target, "committed")
    assert digests(client, target) == before


@pytest.fixture
def prepared(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> "tuple[str, str]":
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    migration.text("prepare", source, target)
    return source, target


@pytest.mark.parametrize("force", [False, True])
def test_abort_with_a_client_on_the_target_is_refused(
    force: bool,
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    prepared: "tuple[str, str]",
) -> None:
    base = content(client, prepared[1])
    with writing(cluster, prepared[1]) as writer:
        args = ["abort", prepared[1], *(["--force"] if force else [])]
        sentence = migration.refused(EBUSY, *args)
        assert f"client.{writer.client_id} at 127.0.0.1:" in sentence
        assert migration.report(prepared[1])["state"] == "prepared"
        assert migration.report(prepared[1])["goal"] == "prepared"
        writer.wait_acked(10)
        writer.stop()
    assert writer.lost(client, prepared[1], base) == []


def test_abort_after_a_client_wrote_needs_force(
    cluster: Cluster,
    migration: Commands,
    client: rados.Rados,
    pools: "tuple[str, str]",
    prepared: "tuple[str, str]",
) -> None:
    source, target = prepared
    base = content(client, target)
    with writing(cluster, target) as writer:
        writer.wait_acked(5)
        writer.stop()
    sentence = migration.refused(EPERM, "abort", target)
    assert "--force" in sentence
    assert migration.report(target)["state"] == "prepared"
    migration.text("abort", target, "--force")
    migration.wait(target, "aborted")
    # librbd copies what was written to the head back.
    assert writer.lost(client, source, base) == []
    assert names(client, pools[1]) == []


def test_abort_after_a_client_only_read(
    migration: Commands, client: rados.Rados, prepared: "tuple[str, str]"
) -> None:
    content(client, prepared[1])
    migration.text("abort", prepared[1])
    migration.wait(prepared[1], "aborted")


# -- together with plain rbd -----------------------------------------------------------------


@pytest.fixture
def plain(cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]") -> "Iterator[list[str]]":
    """Source and target of a migration that plain `rbd migration prepare` made."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    cluster.rbd("migration", "prepare", source, target)
    yield [source, target]
    cluster.run(["rbd", "migration", "abort", target], check=False)


def test_adopts_and_completes(
    migration: Commands, client: rados.Rados, plain: "list[str]", pools: "tuple[str, str]"
) -> None:
    source, target = plain
    before = digests(client, target)
    report = migration.json("status", target)
    assert (report["state"], report["goal"], report["adopted"]) == ("prepared", "prepared", False)
    assert (report["source"], report["target"]) == (source, target)
    assert len(records(client, pools[1])) == 0, "a look writes nothing"
    migration.text("execute", target)
    assert migration.json("status", target)["adopted"]
    assert len(records(client, pools[1])) == 1
    migration.wait(target, "executed")
    migration.text("commit", target)
    migration.wait(target, "committed")
    assert digests(client, target) == before
    assert names(client, pools[0]) == []


@pytest.mark.parametrize("command", ["execute", "abort"])
def test_adopts_without_being_asked_for_the_status(
    command: str, migration: Commands, client: rados.Rados, plain: "list[str]"
) -> None:
    """Nobody knows whether clients wrote to it, so that an abort needs force."""
    if command == "abort":
        assert "--force" in migration.refused(EPERM, "abort", plain[1])
        migration.text("abort", plain[1], "--force")
        migration.wait(plain[1], "aborted")
        assert names(client, plain[0].split("/")[0]) == ["disk"]
    else:
        migration.text("execute", plain[1])
        migration.wait(plain[1], "executed")


def test_adopts_an_executed_one(
    cluster: Cluster, migration: Commands, client: rados.Rados, plain: "list[str]"
) -> None:
    cluster.rbd("migration", "execute", plain[1])
    report = migration.json("status", plain[1])
    assert (report["state"], report["percent"]) == ("executed", 100)
    migration.text("commit", plain[1])
    migration.wait(plain[1], "committed")


def test_a_command_sees_at_once_what_was_done_behind_our_back(
    cluster: Cluster, migration: Commands, prepared: "tuple[str, str]"
) -> None:
    cluster.rbd("migration", "abort", prepared[1])
    migration.raw("execute", prepared[1])  # it cannot be executed any more
    report = migration.wait(prepared[1], "aborted", timeout=5)
    assert report["failure"] is None


# -- many at once ----------------------------------------------------------------------------


def test_no_more_copies_at_once_than_allowed(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    before = {}
    for number in range(6):
        make_slow_image(client, f"{pools[0]}/{number}", objects=192)
        before[number] = digests(client, f"{pools[0]}/{number}")
    assert cluster.ceph("config", "get", "mgr", "mgr/rbd_migration/max_copies").strip() in ("4", "")
    for number in range(6):
        ends = f"{pools[0]}/{number}", f"{pools[1]}/{number}"
        migration.text("run", *ends, "--goal", "prepared", "--rate", "200K")
    for number in range(6):
        migration.ask("execute", target_image=f"{pools[1]}/{number}")  # all at the same time
    most, deadline, waited = 0, time.monotonic() + 60, False
    while time.monotonic() < deadline:
        reports = [r for r in migration.under_way() if r["target"].startswith(f"{pools[1]}/")]
        acting = [r for r in reports if r["state"] == "executing" and r["acting"]]
        most = max(most, len(acting))
        waited |= any(r["hold"] and r["hold"]["reason"] == "limit" for r in reports)
        if all(r["state"] == "executed" for r in reports):
            break
        time.sleep(0.05)
    assert most == 4
    assert waited, "nobody was seen to wait for the limit"
    for number in range(6):
        migration.text("commit", f"{pools[1]}/{number}")
    for number in range(6):
        migration.wait(f"{pools[1]}/{number}", "committed")
        assert digests(client, f"{pools[1]}/{number}") == before[number]


def test_all_are_paused_and_resumed_at_once(
    migration: Commands, client: rados.Rados, pools: "tuple[str, str]"
) -> None:
    targets = [f"{pools[1]}/disk{i}" for i in range(3)]
    for i, target in enumerate(targets):
        make_image(client, f"{pools[0]}/disk{i}", size=MIB)
        migration.text("prepare", f"{pools[0]}/disk{i}", target)
    answer = migration.json("pause", "--all")
    assert (set(answer["done"]) >= set(targets), answer["left"]) == (True, 0)
    assert all(migration.report(target)["paused"] for target in targets)
    assert targets[0] in migration.text("resume", "--all")
    assert not any(migration.report(target)["paused"] for target in targets)
    assert migration.json("resume", "--all") == {"done": [], "refused": [], "left": 0}
