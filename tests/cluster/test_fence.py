"""Fencing: a worker that only sleeps stays shut out, one that is gone leaves no entry behind."""

import datetime
import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest.mock import Mock

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import digests, image_id, make_image, place
from rbdmigrate.cluster import fence as fencing
from rbdmigrate.cluster import headers
from rbdmigrate.cluster.client import Identity
from rbdmigrate.cluster.store import Owner
from rbdmigrate.cluster.worker_process import WorkerProcess
from rbdmigrate.engine import Settings
from rbdmigrate.engine.reconcile.executor import Executor
from rbdmigrate.engine.reconcile.worker_jobs import ActContext, act_of, ends_of
from rbdmigrate.engine.records.registry import Registry, TrackedMigration
from rbdmigrate.model.jobs.acts import ActOn
from rbdmigrate.model.jobs.protocol import Failed
from rbdmigrate.model.migration import Actor, Intent, Migration, Place
from rbdmigrate.model.states import ActKind, Goal, State
from tests.cluster.conftest import MakePool

HOUR = 3600.0


def entries(client: rados.Rados) -> "dict[str, float]":
    """The blocklisted addresses and for how many seconds each still is."""
    request = json.dumps({"prefix": "osd blocklist ls", "format": "json"})
    _, out, _ = client.mon_command(request, b"", timeout=20)
    found, _ = json.JSONDecoder().raw_decode(out.decode().lstrip())
    now = datetime.datetime.now(datetime.timezone.utc)
    ends = {
        e["addr"]: datetime.datetime.strptime(e["until"], "%Y-%m-%dT%H:%M:%S.%f%z") for e in found
    }
    return {address: (end - now).total_seconds() for address, end in ends.items()}


@pytest.fixture
def worker(cluster: Cluster) -> Iterator[WorkerProcess]:
    made = WorkerProcess(Identity("client.admin", str(cluster.conf), ""))
    yield made
    made.kill()
    if made.alive:
        os.kill(made.pid, signal.SIGCONT)
    made.reap()


@pytest.fixture
def tracked(
    cluster: Cluster, client: rados.Rados, registry: Registry, make_pool: MakePool, pool: str
) -> TrackedMigration:
    """A prepared migration, whose record is in a pool that the manager's own engine reads not."""
    aside = make_pool(application="test")
    make_image(client, f"{pool}/disk", snapshots=["one"])
    cluster.rbd("migration", "prepare", f"{pool}/disk", f"{aside}/disk")
    with place(client, f"{pool}/-") as source, place(client, f"{aside}/-") as target:
        ids = (image_id(client, f"{aside}/disk"), int(target.get_pool_id()))
        source_id = int(source.get_pool_id())
    with place(client, f"{pool}/-") as source:
        trash = _trash(source)
    return registry.create(
        Migration(
            "0123456789ab",
            Place(pool, "", "disk", source_id, trash[0]),
            Place(aside, "", "disk", ids[1], ids[0]),
            Goal.ABORTED,
            State.ABORTING,
            1.0,
            prepared_at=1.0,
        )
    )


def _trash(ioctx: rados.Ioctx) -> "list[str]":
    from rbdmigrate.cluster import headers

    return [ident for ident, _ in headers.trash(ioctx)]


@pytest.fixture
def registry(client: rados.Rados) -> Registry:
    return Registry(client=client, owner=Owner(1, "test"), settings=Settings)


@pytest.fixture
def acts(client: rados.Rados, registry: Registry) -> Executor:
    return Executor(
        client=client,
        registry=registry,
        manager="test",
        settings=Settings,
        throttle=Mock(),
        plans=Mock(),
    )


def begun(
    registry: Registry, tracked: TrackedMigration, worker: WorkerProcess, boot_id: str
) -> Actor:
    """The intent of an abort by ``worker``, on the host with this boot id (empty: on ours)."""
    process = replace(worker.process_identity, boot_id=boot_id or worker.process_identity.boot_id)
    actor = Actor("x", "host", worker.pid, worker.addresses, worker.clients, process)
    registry.update(tracked, lambda m: replace(m, intent=Intent(ActKind.ABORT, 1.0, actor)))
    return actor


def abort_of(client: rados.Rados, tracked: TrackedMigration) -> ActOn:
    m = tracked.migration
    with place(client, str(m.target.spec)) as ioctx:
        moment = ActContext(allowed_version=headers.version(ioctx, m.target.image_id))
    return ActOn(ends_of(m, Settings().import_policy), act_of(ActKind.ABORT, m, moment))


@pytest.mark.parametrize("boot_id", ["another-host", ""], ids=["another host", "this host"])
def test_a_worker_that_sleeps_for_long_cannot_write_when_it_wakes(
    client: rados.Rados,
    registry: Registry,
    acts: Executor,
    tracked: TrackedMigration,
    worker: WorkerProcess,
    boot_id: str,
):
    """As on a manager's host that was paused: nobody can tell it from one that is dead."""
    os.kill(worker.pid, signal.SIGSTOP)
    begun(registry, tracked, worker, boot_id)
    target = str(tracked.migration.target.spec)
    before = digests(client, target)
    acts.recover(tracked)
    assert tracked.migration.intent is None
    left = entries(client)
    for address in worker.addresses:
        assert 23 * HOUR < left[address] <= 24 * HOUR, "a minute would be over when it wakes"
    acts.blocklist.clean(client)
    os.kill(worker.pid, signal.SIGCONT)
    ending = worker.run(abort_of(client, tracked), lambda report: None)
    assert isinstance(ending, Failed), ending
    assert digests(client, target) == before, "it changed nothing"
    assert worker.addresses[0] in entries(client)


def test_the_entry_of_a_worker_that_ends_later_is_removed(
    client: rados.Rados,
    registry: Registry,
    acts: Executor,
    tracked: TrackedMigration,
    worker: WorkerProcess,
    monkeypatch: pytest.MonkeyPatch,
):
    """Else entries of a day would pile up."""
    monkeypatch.setattr(fencing, "_LOOK", 0.0)
    monkeypatch.setattr(fencing, "_IN_FLIGHT", 0.0)
    begun(registry, tracked, worker, "")
    acts.recover(tracked)
    acts.blocklist.clean(client)
    assert set(worker.addresses) <= entries(client).keys(), "it is alive"
    worker.kill()
    worker.reap()
    for _ in range(2):  # it is noticed, and removed a few seconds later
        acts.blocklist.clean(client)
    assert not set(worker.addresses) & entries(client).keys()


def test_the_entry_of_a_worker_that_is_gone_ends_soon(
    client: rados.Rados,
    registry: Registry,
    acts: Executor,
    tracked: TrackedMigration,
    worker: WorkerProcess,
):
    begun(registry, tracked, worker, "")
    worker.kill()
    worker.reap()
    acts.recover(tracked)
    assert all(entries(client)[address] <= fencing.DEAD for address in worker.addresses)


def test_a_worker_of_another_host_is_never_taken_for_dead(
    client: rados.Rados,
    registry: Registry,
    acts: Executor,
    tracked: TrackedMigration,
    worker: WorkerProcess,
    monkeypatch: pytest.MonkeyPatch,
):
    """Its process id is not there, but that says nothing: both hosts may even have one name."""
    monkeypatch.setattr(fencing, "_LOOK", 0.0)
    monkeypatch.setattr(fencing, "_IN_FLIGHT", 0.0)
    begun(registry, tracked, worker, "another-host")
    worker.kill()
    worker.reap()
    acts.recover(tracked)
    acts.blocklist.clean(client)
    assert all(entries(client)[address] > 23 * HOUR for address in worker.addresses)


def test_many_workers_are_fenced_at_once(monkeypatch: pytest.MonkeyPatch):
    """As when the throttle is set to 0: all slots kill theirs in the same moment."""
    monkeypatch.setattr(fencing, "fence", lambda client, addresses, expire: None)
    blocklist = fencing.Blocklist()
    every = [[f"127.0.0.1:0/{1000 * slot + n + 1}" for n in range(400)] for slot in range(8)]

    def fence(addresses: "list[str]") -> None:
        for address in addresses:
            blocklist.fence(None, [address])  # type: ignore[arg-type]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(every)) as pool:
            list(pool.map(fence, every))
    finally:
        sys.setswitchinterval(before)
    assert set(blocklist.fenced()) == {address for some in every for address in some}
