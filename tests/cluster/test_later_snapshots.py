"""Imports that go on to a later snapshot: only the difference, cut off anywhere, never mixed."""

import itertools
from errno import EAGAIN, EBUSY, EINVAL, ENOENT, EPERM

import pytest

from qa.workload.held_process import held_at
from qa.workload.images import MIB, content, make_image, names, opened, scribble
from tests.cluster.test_import_crash import arm, wait_through_failover
from tests.cluster.test_import_native import history, unprotect

_numbers = itertools.count(1)


def snap(client, spec, name, seed):
    """Write to an image and take a snapshot of it."""
    with opened(client, spec, read_only=False) as image:
        scribble(image, seed, [""])
        image.create_snap(name)


def begun(client, migration, pools, **more):
    """A source whose snapshot one was imported, and the target."""
    number = next(_numbers)
    source, target = f"{pools[0]}/src{number}", f"{pools[1]}/copy{number}"
    make_image(client, source, snapshots=("one",), protect=("one",))
    given = {"source_image": f"{source}@one", "import_only": True, "goal": "executed", **more}
    migration.ask("run", target_image=target, **given)
    migration.wait(target, "executed")
    return source, target


def test_only_the_difference_is_copied_until_the_commit(client, migration, pools):
    source, target = begun(client, migration, pools, verify="full")
    first = migration.report(target)
    for number, name in enumerate(("two", "three", "four")):
        with opened(client, source, read_only=False) as image:
            image.write(bytes([number + 1]) * 65536, number * MIB)
            image.create_snap(name)
    said = migration.text("execute", target, "--snap", "three")
    assert said.startswith(f"{source}@one -> {target}: ")
    report = migration.wait(target, "executed")
    assert (report["source"], report["source_spec"]["snap_name"]) == (f"{source}@three", "three")
    assert 0 < report["bytes_copied"] - first["bytes_copied"] <= 4 * MIB
    assert history(client, target) == history(client, source)[:3]
    assert content(client, target) == content(client, source, "three")
    migration.text("verify", target)
    assert migration.wait(target, "verified")["verification"]["outcome"] == "passed"
    migration.text("execute", target, "--snap", "four")
    report = migration.wait(target, "verified")  # as far as it was asked to go before
    assert report["source"] == f"{source}@four"
    assert migration.text("commit", target).startswith(f"{source}@four -> {target}: committed")
    assert history(client, target) == history(client, source)
    assert content(client, target) == content(client, source, "four")
    for spec in (source, target):
        unprotect(client, spec)


def test_what_clients_write_after_the_last_snapshot_is_noticed(client, migration, pools):
    source, target = begun(client, migration, pools)
    assert migration.report(target)["source_went_on"] is None

    def went_on(name):
        migration.text("execute", target, "--snap", name)
        return migration.wait(target, "executed")["source_went_on"]

    snap(client, source, "two", 5)
    with opened(client, source, read_only=False) as image:
        image.write(b"later" * 1024, MIB)
    assert went_on("two") == "clients wrote 5120 bytes to it"
    said = migration.refused(EPERM, "commit", target)
    assert f"went on after {source}@two, which {target} holds: clients wrote 5120 bytes" in said
    assert "What clients wrote to the source after that" in migration.text("status", target)
    with opened(client, source, read_only=False) as image:
        image.create_snap("three")
        assert went_on("three").startswith("it is open for writing by client.")
        image.resize(image.size() + 4096)
        image.create_snap("four")
        image.resize(image.size() + 4096)
    assert went_on("four").startswith("its size became ")
    snap(client, source, "five", 6)
    assert went_on("five") is None
    migration.text("commit", target)
    assert content(client, target) == content(client, source)
    for spec in (source, target):
        unprotect(client, spec)


def test_what_is_refused_changes_nothing(client, migration, pools):
    source, target = begun(client, migration, pools)
    plain = f"{pools[0]}/plain"
    make_image(client, plain, snapshots=())
    snap(client, source, "two", 5)

    def refused(errno, *args, of=target):
        return migration.refused(errno, "execute", of, *args)

    before = migration.report(target)
    assert "does not exist" in refused(ENOENT, "--snap", "none")
    assert "--snap" in refused(EINVAL, "--force")
    with opened(client, target, read_only=False) as image:
        image.write(b"of a client", 0)
        assert "is open for writing" in refused(EBUSY, "--snap", "two", "--force")
    assert "would be mixed" in refused(EPERM, "--snap", "two")
    after = migration.report(target)
    assert (after["state"], after["source"]) == (before["state"], before["source"])
    assert content(client, target)[:11] == b"of a client"
    migration.text("execute", target, "--snap", "two", "--force")
    migration.wait(target, "executed")
    migration.ask("prepare", source_image=plain, target_image=f"{pools[1]}/plain")
    assert "is not an import" in refused(EINVAL, "--snap", "two", of=f"{pools[1]}/plain")
    queued = f"{pools[1]}/later"
    migration.ask("prepare", source_image=f"{source}@one", target_image=queued, import_only=True)
    assert "wait for that" in refused(EAGAIN, "--snap", "two", of=queued)
    for ended in (f"{pools[1]}/plain", queued, target):
        migration.text("abort", ended, "--force")
    assert names(client, pools[1]) == []
    unprotect(client, source)


def test_an_older_one_is_refused_and_its_own_takes_the_request_back(client, migration, pools):
    source, target = begun(client, migration, pools)
    for number, name in enumerate(("two", "three")):
        snap(client, source, name, number)
    migration.text("execute", target, "--snap", "two")
    migration.wait(target, "executed")
    assert "taken after it" in migration.refused(EINVAL, "execute", target, "--snap", "one")
    migration.text("pause", target)
    migration.text("execute", target, "--snap", "three")
    migration.text("execute", target, "--snap", "two")
    migration.text("resume", target)
    assert "went on after" in migration.refused(EPERM, "commit", target)  # up to three
    said = migration.text("commit", target, "--force")
    assert said.startswith(f"{source}@two -> {target}: committed")
    assert content(client, target) == content(client, source, "two")
    for spec in (source, target):
        unprotect(client, spec)


def test_another_image_of_that_name_is_refused(cluster, client, migration, pools):
    source, target = begun(client, migration, pools)
    with opened(client, source, read_only=False) as image:
        image.unprotect_snap("one")
        image.remove_snap("one")
    cluster.rbd("rm", source)
    make_image(client, source, snapshots=("two",))
    migration.text("execute", target, "--snap", "two")
    report = migration.wait(target, "failed")
    assert "is another image than before" in report["failure"]["message"]
    migration.text("execute", target, "--snap", "one")  # takes it back
    assert migration.wait(target, "executed")["failure"] is None
    migration.text("abort", target)


POINTS = [
    ("librbd.before", "1 execute"),
    ("mover.before", "1 mark"),
    ("mover.after", "1 mark"),
    ("mover.piece", "1 two"),
    ("librbd.after", "1 execute"),
    ("worker.after", "1 execute"),
]
MANAGER = [
    ("store.write.before", "1 executing"),
    ("store.write.after", "1 executing"),
    ("store.write.before", "1 executed"),
]


def gone_on(cluster, client, migration, source, target):
    """All of the later snapshot is there in the end, and is what the record names."""
    wait_through_failover(cluster, migration, target, "executed")
    assert migration.report(target)["source"] == f"{source}@two"
    assert history(client, target) == history(client, source)
    assert content(client, target) == content(client, source, "two")
    migration.text("commit", target)
    for spec in (source, target):
        unprotect(client, spec)


def test_a_worker_that_dies_anywhere(cluster, client, migration, pools):
    for point, what in POINTS:
        source, target = begun(client, migration, pools)
        snap(client, source, "two", 3)
        arm(cluster, point, what)
        migration.text("execute", target, "--snap", "two")
        gone_on(cluster, client, migration, source, target)
        assert not (cluster.faults / point).exists(), f"{point} {what} was not reached"


@pytest.mark.parametrize(("point", "what"), MANAGER)
@pytest.mark.usefixtures("managers")
def test_a_manager_that_dies(cluster, client, migration, pools, point, what):
    source, target = begun(client, migration, pools)
    snap(client, source, "two", 3)
    arm(cluster, point, what)
    migration.raw("execute", target, "--snap", "two", timeout=120)
    gone_on(cluster, client, migration, source, target)


def test_another_later_one_after_a_copy_that_was_cut_off(cluster, client, migration, pools):
    """The copy of three has begun: the head is mixed, and neither one nor a part of it is kept."""
    source, target = begun(client, migration, pools)
    for number, name in enumerate(("two", "three")):
        snap(client, source, name, number)
    with held_at(cluster.faults, "mover.piece", "three") as held:
        migration.text("execute", target, "--snap", "three")
        cluster.wait_for(held.waits, 30, "the copy of three")
        cluster.rbd("snap", "rm", f"{source}@three")
    migration.wait(target, "failed")
    assert "has begun already" in migration.refused(EINVAL, "execute", target, "--snap", "one")
    snap(client, source, "four", 4)
    migration.text("execute", target, "--snap", "four")
    migration.wait(target, "executed")
    assert history(client, target) == history(client, source)
    assert content(client, target) == content(client, source, "four")
    migration.text("commit", target)
    for spec in (source, target):
        unprotect(client, spec)


def test_the_snapshot_that_was_copied_last_may_be_gone(cluster, client, migration, pools):
    """Both sides are read then, so that only what differs is written."""
    source, target = begun(client, migration, pools)
    snap(client, source, "two", 6)
    kept = history(client, target)
    with opened(client, source, read_only=False) as image:
        image.unprotect_snap("one")
        image.remove_snap("one")
    migration.text("execute", target, "--snap", "two")
    migration.wait(target, "executed")
    assert content(client, target) == content(client, source, "two")
    assert history(client, target) == [*kept, *history(client, source)]
    migration.text("commit", target)
    unprotect(client, target)
