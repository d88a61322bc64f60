"""Reverse rounds: between cutover and commit the kept source is refreshed from the target."""

from errno import EINVAL
from pathlib import Path
from typing import Any

import pytest
import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.held_process import held_at
from qa.workload.images import (
    HEAD,
    content,
    digests,
    image_id,
    make_image,
    names,
    opened,
    place,
    trash,
)
from qa.workload.writer import writing
from rbdmigrate.cluster import headers
from rbdmigrate.cluster.lock_out import locked_out
from rbdmigrate.worker.verify.image_views import open_view
from tests.cluster.commands import Commands
from tests.cluster.test_warm import in_step, ours

Pools = "tuple[str, str]"
ROUND = ".rbd_migration."


def refreshed(cluster: Cluster, migration: Commands, target: str) -> "dict[str, Any]":
    """Ask for a reverse round, and wait for its end; the Report then."""
    before = migration.report(target)["reverse_rounds"]
    count = before["count"] if before else 0
    migration.text("execute", target)

    def done() -> bool:
        rounds = migration.report(target)["reverse_rounds"]
        return rounds is not None and rounds["count"] > count

    cluster.wait_for(done, 60, "the reverse round")
    return migration.report(target)


def rounds_of(client: rados.Rados, spec: str, ident: str) -> "dict[str, bytes]":
    """The content of each snapshot of a round of the image with this id."""
    found = {}
    with place(client, spec) as ioctx:
        with rbd.Image(ioctx, image_id=ident, read_only=True) as image:
            snapshots = [s["name"] for s in image.list_snaps() if s["name"].startswith(ROUND)]
        for name in snapshots:
            with open_view(ioctx, ident, name) as image:
                found[name] = bytes(image.read(0, image.size()))
    return found


def require_kept(client: rados.Rados, spec: str, ident: str) -> None:
    """The image is in the trash, has no name, and clients are locked out of it."""
    with place(client, spec) as ioctx:
        assert headers.image_name(ioctx, ident) is None
        assert headers.trash_entry(ioctx, ident) is not None
        assert locked_out(ioctx, ident)


def test_a_reverse_round_brings_the_source_up_to_date_and_an_abort_copies_the_rest(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, protect=["one"])
    base, ident = content(client, source), image_id(client, source)
    in_step(migration, source, target)
    migration.text("cutover", target)
    cut = ours(client, target)[-1]
    with writing(cluster, target, rate=100) as writer:
        writer.wait_acked(20)
        report = refreshed(cluster, migration, target)
        assert (report["state"], report["clients"]) == ("cut-over", "target")
        assert report["reverse_rounds"]["bytes"] > 0
        assert report["reverse_rounds"]["problem"] is None
        writer.wait_acked(writer.acked + 20)
        report = refreshed(cluster, migration, target)
        assert len(ours(client, target)) == 2
        assert cut in ours(client, target)
        require_kept(client, source, ident)
        copies = rounds_of(client, source, ident)
        assert copies == rounds_of(client, target, image_id(client, target))
        assert "the source has what the target had" in migration.text("status", target)
        with opened(client, target, read_only=False) as image:
            image.create_snap("theirs")
        writer.wait_acked(writer.acked + 20)
        writer.stop()
    migration.text("verify", target)
    report = migration.wait(target, "verified")
    assert (report["verification"]["outcome"], report["verification"]["mode"]) == ("passed", "full")
    expected = digests(client, target)
    migration.text("abort", target)
    migration.wait(target, "aborted")
    assert (names(client, pools[0]), names(client, pools[1])) == (["disk"], [])
    assert image_id(client, source) == ident
    assert writer.lost(client, source, base) == []
    found = digests(client, source)
    assert {n: d for n, d in expected.items() if not n.startswith(ROUND)} == found
    with opened(client, source, read_only=False) as image:
        image.write(b"again", 0)
        assert headers.COPY_KEY not in dict(image.metadata_list())


def test_a_commit_after_reverse_rounds_leaves_nothing_of_them(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    in_step(migration, source, target)
    migration.text("set", target, "--refresh-source", "60s")
    assert "60 s or more" in migration.refused(EINVAL, "set", target, "--refresh-source", "5s")
    migration.text("cutover", target)
    with opened(client, target, read_only=False) as image:
        image.write(b"later" * 1000, 1 << 20)
        image.discard(0, 1 << 17)
    refreshed(cluster, migration, target)
    migration.text("verify", target)
    report = migration.wait(target, "verified")
    assert report["verification"]["outcome"] == "passed"
    with opened(client, target, read_only=False) as image:
        image.write(b"last" * 1000, 2 << 20)
    assert refreshed(cluster, migration, target)["state"] == "verified"
    expected = digests(client, target)[HEAD]
    migration.text("commit", target)
    migration.wait(target, "committed")
    assert digests(client, target)[HEAD] == expected
    assert (ours(client, target), trash(client, pools[0])) == ([], [])


POINTS = (
    ("reverse.after", "let in"),
    ("warm.after", "snapshot"),
    ("mover.piece", ""),
    ("mover.before", "snapshot"),
    ("mover.after", "snapshot"),
    ("mover.after", "remove"),
    ("reverse.before", "lock"),
    ("reverse.after", "lock"),
    ("librbd.after", "reverse_round"),
)


def test_workers_that_die_in_reverse_rounds_leave_a_source_from_which_the_next_goes_on(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, protect=["one"])
    ident = image_id(client, source)
    in_step(migration, source, target)
    migration.text("cutover", target)
    for number, (point, detail) in enumerate(POINTS):
        with opened(client, target, read_only=False) as image:
            image.write(bytes([65 + number]) * 70000, number << 18)
            image.discard((number + 12) << 18, 1 << 16)
        armed = cluster.faults / point
        killed(cluster, migration, target, armed, detail)
        cluster.wait_for(lambda: shut_out(client, source, ident), 60, f"the lock after {point}")
        if number % 2:
            refreshed(cluster, migration, target)
            found = rounds_of(client, source, ident)
            assert found == rounds_of(client, target, image_id(client, target)), (point, detail)
            require_kept(client, source, ident)
    armed = cluster.faults / "mover.piece"
    with opened(client, target, read_only=False) as image:
        image.write(b"the last" * 1000, 3 << 20)
        killed(cluster, migration, target, armed)
        image.write(b"written later" * 1000, 4 << 20)
    expected = digests(client, target)
    migration.text("abort", target)
    migration.wait(target, "aborted")
    found = digests(client, source)
    assert found == {n: d for n, d in expected.items() if not n.startswith(ROUND)}
    assert (names(client, pools[0]), names(client, pools[1])) == (["disk"], [])


@pytest.mark.parametrize("asked", ["abort", "commit"])
def test_what_is_asked_for_during_a_reverse_round_ends_it(
    asked: str, cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    in_step(migration, source, target)
    migration.text("cutover", target)
    with opened(client, target, read_only=False) as image:
        image.write(b"later" * 1000, 1 << 20)
    expected = digests(client, target)[HEAD]
    with held_at(cluster.faults, "reverse.before", "lock") as worker:
        migration.text("execute", target)
        cluster.wait_for(worker.waits, 60, "a reverse round before its end")
        assert migration.report(target)["acting"]
        migration.text(asked, target)
    migration.wait(target, "aborted" if asked == "abort" else "committed")
    left = source if asked == "abort" else target
    assert digests(client, left)[HEAD] == expected
    assert ours(client, left) == []


def killed(
    cluster: Cluster, migration: Commands, target: str, armed: Path, detail: str = ""
) -> None:
    """Ask for a reverse round whose worker dies at this point, and wait until that is recorded.

    A request before that would be put off with the round that failed.
    """
    armed.write_text(f"1 {detail}".strip(), encoding="ascii")
    migration.text("execute", target)
    cluster.wait_for(lambda: not armed.exists(), 60, f"a worker that dies at {armed} {detail}")
    cluster.wait_for(lambda: not migration.report(target)["acting"], 60, "the record of that")


def problem(migration: Commands, target: str) -> str:
    """Why the last reverse round failed; empty if it did not."""
    return str(migration.report(target)["reverse_rounds"]["problem"] or "")


def shut_out(client: rados.Rados, spec: str, ident: str) -> bool:
    """Whether clients are locked out of the image."""
    with place(client, spec) as ioctx:
        return locked_out(ioctx, ident)


def test_snapshots_and_images_that_users_change_on_both_sides_are_made_up_for_or_told_of(
    cluster: Cluster, migration: Commands, client: rados.Rados, pools: Pools
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, protect=["one"])
    ident = image_id(client, source)
    in_step(migration, source, target)
    migration.text("cutover", target)
    with opened(client, target, read_only=False) as image:
        image.create_snap("mine")
        image.write(b"later" * 1000, 1 << 20)
        image.resize(9 << 20)
    refreshed(cluster, migration, target)
    with opened(client, target, read_only=False) as image:
        image.rollback_to_snap("mine")
        image.rename_snap("mine", "yours")
    refreshed(cluster, migration, target)
    for name in ours(client, target):  # by somebody who tidies up
        cluster.rbd("snap", "rm", f"{target}@{name}")
    with opened(client, target, read_only=False) as image:
        image.write(b"much later" * 1000, 2 << 20)
    refreshed(cluster, migration, target)
    require_kept(client, source, ident)
    assert rounds_of(client, source, ident) == rounds_of(client, target, image_id(client, target))
    with place(client, source) as ioctx, rbd.Image(ioctx, image_id=ident):
        migration.text("execute", target)
        cluster.wait_for(lambda: problem(migration, target), 60, "a round that is refused")

        def warned() -> bool:
            migration.text("execute", target)
            return "RBD_MIGRATION_REVERSE" in cluster.health()["checks"]

        cluster.wait_for(warned, 60, "the warning after three of them")
    assert "open for writing" in problem(migration, target)
    require_kept(client, source, ident)
    report = migration.report(target)
    assert (report["state"], report["failure"]) == ("cut-over", None)
    expected = digests(client, target)
    migration.text("abort", target)
    migration.wait(target, "aborted")
    assert digests(client, source) == {n: d for n, d in expected.items() if not n.startswith(ROUND)}
