"""Who is at a half-done act of plain ``rbd``: it is not taken over while its client is alive."""

import time
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import digests, image_id, make_image, opened, place
from rbdmigrate.cluster.client import Identity
from rbdmigrate.cluster.headers import trash
from rbdmigrate.cluster.worker_process import WorkerProcess
from rbdmigrate.control.lifecycle.situation import Situation
from rbdmigrate.engine import Settings
from rbdmigrate.engine.reconcile.reconciler import _ABANDONED, Reconciler
from rbdmigrate.engine.records.tracked import TrackedMigration
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.jobs.protocol import Done
from rbdmigrate.model.jobs.questions import FindUsers
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import Goal, State
from rbdmigrate.model.verification import POINT_PREFIX
from tests.cluster.commands import Commands


@pytest.fixture
def worker(cluster: Cluster) -> Iterator[WorkerProcess]:
    made = WorkerProcess(Identity("client.admin", str(cluster.conf), ""))
    yield made
    made.kill()
    made.reap()


@pytest.fixture
def ends(
    cluster: Cluster, client: rados.Rados, pools: "tuple[str, str]"
) -> Iterator["tuple[Place, Place]"]:
    """The source, in the trash, and the target of a migration that plain rbd prepared."""
    make_image(client, f"{pools[0]}/disk", snapshots=["one"])
    with place(client, f"{pools[0]}/-") as source, place(client, f"{pools[1]}/-") as target:
        cluster.rbd("migration", "prepare", f"{pools[0]}/disk", f"{pools[1]}/disk")
        ((ident, _),) = list(trash(source))
        made = image_id(client, f"{pools[1]}/disk")
        yield (
            Place(pools[0], "", "disk", int(source.get_pool_id()), ident),
            Place(pools[1], "", "disk", int(target.get_pool_id()), made),
        )
        cluster.rbd("migration", "abort", f"{pools[1]}/disk")


def users(worker: WorkerProcess, *images: Place, fenced: "tuple[str, ...]" = ()) -> "list[str]":
    ending = worker.run(FindUsers(images, fenced), lambda report: None)
    assert isinstance(ending, Done), ending
    return list(ending.answer.addresses)


def test_who_has_an_image_open_is_found_and_a_missing_image_tells_nothing(
    client: rados.Rados, worker: WorkerProcess, ends: "tuple[Place, Place]"
):
    source, target = ends
    gone = Place(source.pool, "", "gone", source.pool_id, "0123456789ab")
    assert users(worker, source, target, gone) == []
    with opened(client, str(target.spec), read_only=False):
        found = users(worker, source, target)
        assert found
        assert users(worker, source) == []
        assert users(worker, source, target, fenced=tuple(found)) == [], "it is dead"
    assert users(worker, source, target) == []


@pytest.mark.parametrize("method", ["live", "warm"])
def test_a_commit_that_cannot_remove_the_source_says_who_has_it_open(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    method: str,
) -> None:
    """It ends by itself afterwards. The target of a live migration is an ordinary image from the
    first attempt on; that of a warm one keeps our snapshots until then."""
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    before = digests(client, source)
    ident = image_id(client, source)
    migration.text("prepare", source, target, "--method", method)
    migration.ask("execute", target_image=target)
    migration.wait(target, "executed")
    if method == "warm":
        migration.text("cutover", target)
        migration.wait(target, "cut-over")
    with cluster.connect() as other, place(other, source) as ioctx:
        watch = ioctx.watch(f"rbd_header.{ident}", lambda *_: None)
        migration.text("commit", target)
        failure = cluster.wait_for(lambda: migration.report(target)["failure"], 60, "a failure")
        said = f"is open for writing by client.{other.get_instance_id()} at "
        assert said in failure["message"]
        assert failure["code"] == "EBUSY"
        views = digests(client, target)
        ours = {name for name in views if name.startswith(POINT_PREFIX)}
        assert bool(ours) == (method == "warm")
        assert {name: views[name] for name in views.keys() - ours} == before
        watch.close()
    migration.wait(target, "committed")
    assert digests(client, target) == before


def test_an_abort_that_cannot_remove_the_target_says_who_has_it_open(
    cluster: Cluster, client: rados.Rados, migration: Commands, pools: "tuple[str, str]"
) -> None:
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source)
    before = digests(client, source)
    migration.text("prepare", source, target, "--method", "warm")
    ident = migration.wait(target, "prepared")["target_image_id"]
    with cluster.connect() as other, place(other, target) as ioctx:
        watch = ioctx.watch(f"rbd_header.{ident}", lambda *_: None)
        migration.raw("abort", target)
        failure = cluster.wait_for(lambda: migration.report(target)["failure"], 60, "a failure")
        who = f"client.{other.get_instance_id()} at "
        assert f"The target {target} is open for writing by {who}" in failure["message"]
        assert failure["code"] == "EBUSY"
        watch.close()
    migration.wait(target, "aborted")
    assert digests(client, source) == before


def observers(in_use: Mock) -> Reconciler:
    nothing = Mock()
    return Reconciler(
        client=nothing, registry=nothing, executor=nothing, secrets=nothing, on_fenced=nothing,
        wake=nothing, settings=Settings, in_use=in_use,  # type: ignore[arg-type]
    )  # fmt: skip


def half_done(state: State) -> TrackedMigration:
    """Its act has looked cut off for longer than is waited for."""
    ends = Place("rbd", "", "a", 1, "a1"), Place("ssd", "", "b", 2, "b1")
    tracked = TrackedMigration(Migration("1", *ends, Goal.PREPARED, state, 1.0))
    tracked.half_since = time.monotonic() - _ABANDONED - 1
    return tracked


def test_an_act_of_somebody_else_is_abandoned_only_when_nobody_has_the_images_open():
    in_use = Mock(return_value=True)
    tracked = half_done(State.PREPARED)
    look = observers(in_use)
    assert not look._abandoned(tracked, Situation.HALF_ABORTED)
    assert not look._abandoned(tracked, Situation.HALF_ABORTED)
    assert in_use.call_count == 1, "it is not asked at every look"
    in_use.return_value = False
    tracked.half_since -= _ABANDONED
    assert look._abandoned(tracked, Situation.HALF_ABORTED)


def test_nothing_is_abandoned_while_it_cannot_be_told_who_has_the_images_open():
    in_use = Mock(side_effect=MigrationError(11, "The cluster did not answer in time."))
    with pytest.raises(MigrationError):
        observers(in_use)._abandoned(half_done(State.PREPARED), Situation.HALF_COMMITTED)


def test_an_act_of_our_own_that_was_cut_off_is_completed_whoever_looks_at_the_images():
    in_use = Mock(return_value=True)
    assert observers(in_use)._abandoned(half_done(State.ABORTING), Situation.HALF_ABORTED)
    assert in_use.call_count == 0
