"""The snapshots of a warm migration: none is taken where nothing was written since the last round.

The monitors answer a question for one only once a second while they have much to do.
"""

import time
from dataclasses import replace

import pytest
import rbd

from qa.model.killed_worker import ActFailed, answer_of
from qa.workload.images import HEAD, content, digests, make_image, opened, place
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.rounds import round_prefix
from rbdmigrate.model.verification import Outcome, Verification, Verify
from tests.cluster.test_warm_worker import ends_of, wait_until

pytestmark = pytest.mark.timeout(300)

IDENT = "0000000000a1"
LOCK = ("layering", "exclusive-lock")
MAPS = (*LOCK, "object-map", "fast-diff")


@pytest.fixture
def specs(pools):
    return [f"{pool}/image" for pool in pools]


@pytest.fixture
def prepared(client, specs, worker):
    """Prepares the migration of the image that is there; its ends."""

    def prepare():
        ends = ends_of(client, int(IDENT, 16), *specs)
        made = worker.run(ends, acts.Prepare(LayoutOptions()))
        return replace(ends, target=replace(ends.target, image_id=made.target_id))

    return prepare


def of_rounds(client, spec):
    with opened(client, spec) as image:
        names = [snapshot["name"] for snapshot in image.list_snaps()]
    return [name for name in names if name.startswith(round_prefix(IDENT))]


def of_users(client, spec):
    found = digests(client, spec)
    return {name: found[name] for name in found if not name.startswith(round_prefix(IDENT))}


def is_equal(worker, ends, comparison_snapshot):
    wanted = Verification(Verify.FULL, 1, 1.0, time.time())
    done = worker.run(ends, acts.Verify(wanted, comparison_snapshot=comparison_snapshot))
    return (done.verification.outcome, done.verification.reasons) == (Outcome.PASSED, ())


@pytest.mark.parametrize("features", [MAPS, LOCK], ids=["maps", "no maps"])
@pytest.mark.parametrize("clients_wait", [False, True], ids=["closed", "agent"])
def test_an_image_that_nobody_writes_to_is_cut_over_with_the_snapshot_of_the_round(
    client, specs, worker, prepared, clients_wait, features
):
    source, target = specs
    make_image(client, source, features=features)
    before, ends = of_users(client, source), prepared()
    worker.run(ends, acts.Execute())
    if clients_wait:
        worker.run(ends, acts.Arm())
    there = of_rounds(client, source)
    done = worker.run(ends, acts.CutOver(clients_wait=clients_wait))
    assert done.comparison_snapshot == there[-1]
    assert of_users(client, target) == before
    assert set(of_rounds(client, target)) == set(there)
    assert is_equal(worker, ends, done.comparison_snapshot)
    with opened(client, target, read_only=False) as image:
        image.write(b"after the cutover", 4096)
    written = content(client, target)
    worker.run(ends, acts.Abort(clients_wait=True, cut_over=True))
    assert content(client, source) == written


CHANGES = {
    "write": lambda image: image.write(b"x", 12345),
    "discard": lambda image: image.discard(0, image.size()),
    "resize": lambda image: image.resize(image.size() + 4096),
    "rollback": lambda image: image.rollback_to_snap("one"),
    "new snapshot": lambda image: image.create_snap("new"),
    "removed snapshot": lambda image: image.remove_snap("one"),
    "renamed snapshot": lambda image: image.rename_snap("one", "renamed"),
    "protected snapshot": lambda image: image.protect_snap("one"),
    "metadata": lambda image: image.metadata_set("owner", "somebody"),
}


@pytest.mark.parametrize("clients_wait", [False, True], ids=["closed", "agent"])
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_was_changed_since_the_round_is_on_the_target(
    client, specs, worker, prepared, change, clients_wait
):
    source, target = specs
    make_image(client, source)
    ends = prepared()
    worker.run(ends, acts.Arm() if clients_wait else acts.Execute())
    with opened(client, source, read_only=False) as image:
        CHANGES[change](image)
        metadata = dict(image.metadata_list())
    wanted = of_users(client, source)
    done = worker.run(ends, acts.CutOver(clients_wait=clients_wait))
    assert of_users(client, target) == wanted
    with opened(client, target) as image:
        assert {key: dict(image.metadata_list()).get(key) for key in metadata} == metadata
    assert is_equal(worker, ends, done.comparison_snapshot)


@pytest.mark.parametrize("change", ["write", "discard", "resize", "rollback"])
def test_what_is_changed_during_the_cutover_undoes_it(client, specs, worker, prepared, change):
    """After it was seen that nothing was written since the round."""
    source, target = specs
    make_image(client, source, snapshots=("one",))
    with opened(client, source, read_only=False) as image:
        image.rollback_to_snap("one")  # all that follows is in no other snapshot
        image.write(b"new", 4096)
    ends = prepared()
    worker.run(ends, acts.Execute())
    with worker.held_at("cutover.before", "lock") as held:
        cutover = worker.begin(ends, acts.CutOver())
        wait_until(held.waits)
        ident = ends.source.image_id
        with place(client, source) as ioctx, rbd.Image(ioctx, image_id=ident) as image:
            image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)  # a rollback does not ask for it
            CHANGES[change](image)
    with pytest.raises(ActFailed, match=r"during the cutover|is open for writing by client|lock"):
        answer_of(cutover)
    wanted = of_users(client, source)
    done = worker.run(ends, acts.CutOver())
    assert of_users(client, target) == wanted
    assert is_equal(worker, ends, done.comparison_snapshot)


def test_a_client_that_opens_an_image_without_locks_before_its_snapshot(
    client, specs, worker, prepared
):
    """It may write into the snapshot, which is in no difference: that one is never used."""
    source, target = specs
    make_image(client, source, snapshots=(), features=("layering",))
    ends = prepared()
    worker.run(ends, acts.Execute())
    with worker.held_at("warm.before", "snapshot") as held:
        round_ = worker.begin(ends, acts.Execute())
        wait_until(held.waits)
        with opened(client, source, read_only=False) as image:
            held.let_go()
            with pytest.raises(ActFailed, match="has not the feature exclusive-lock"):
                answer_of(round_)
            image.write(b"late" * 1024, 0)
    [_, unused] = of_rounds(client, source)
    worker.run(ends, acts.Execute())
    assert unused not in of_rounds(client, source)
    wanted = of_users(client, source)
    worker.run(ends, acts.CutOver())
    assert of_users(client, target) == wanted


def test_a_clone_that_reads_less_from_its_parent_is_copied(client, specs, worker, prepared):
    """Smaller and larger again: what it had from the parent is zeros."""
    source, target = specs
    make_image(client, f"{source}-parent", snapshots=("base",), protect=("base",))
    with place(client, source) as ioctx:
        rbd.RBD().clone(ioctx, "image-parent", "base", ioctx, "image", features=None)
    ends = prepared()
    worker.run(ends, acts.Execute())
    with opened(client, source, read_only=False) as image:
        size = image.size()
        image.resize(size // 2)
        image.resize(size)
    wanted = content(client, source)
    assert not any(wanted[size // 2 :])
    done = worker.run(ends, acts.CutOver())
    assert content(client, target) == wanted
    assert is_equal(worker, ends, done.comparison_snapshot)


def test_a_commit_leaves_no_snapshot_of_a_round(client, specs, worker, prepared):
    source, target = specs
    make_image(client, source)
    wanted, ends = of_users(client, source), prepared()
    worker.run(ends, acts.Execute())
    worker.run(ends, acts.CutOver())
    assert of_rounds(client, target)
    worker.run(ends, acts.Commit())
    assert digests(client, target) == wanted
    assert HEAD in wanted
