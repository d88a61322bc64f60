"""Parts of the engine over the fake cluster: what only a slow pool or a race shows."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from errno import EAGAIN
from typing import Any, Callable
from unittest.mock import Mock

import pytest

from rbdmigrate.control.lifecycle.requests import to_commit
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import ActKind, Goal, State
from tests.fakes import rados_module as rados
from tests.fakes import stdlib
from tests.fakes.bare import bare_cluster, connected
from tests.fakes.cluster import Cluster
from tests.fakes.loading import load
from tests.fakes.simulation import active

Settings = load().settings.Settings
Identity, Owner = load().client.Identity, load().store.Owner
ClusterMonitor = load().module("engine.pace.cluster_monitor").ClusterMonitor
Scheduler = load().module("engine.reconcile.scheduler").Scheduler
Slot = load().module("engine.reconcile.worker_slot").Slot
Loader = load().module("engine.records.loader").Loader
Registry = load().module("engine.records.registry").Registry
POOL = "nvme"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster without managers."""
    with bare_cluster("hdd", POOL) as made:
        yield made


@pytest.fixture
def client(cluster: Cluster) -> rados.Rados:
    return connected()


def wait_for(holds: Callable[[], Any], seconds: float, what: str) -> None:
    """Let up to so many seconds pass until something holds."""
    end = active().now + seconds
    while not holds():
        assert active().now < end, f"waited {seconds:g} s for {what}"
        active().sleep(0.05)


def stored(client: rados.Rados) -> "dict[str, bytes]":
    """The records in the pool."""
    found = client.cluster.pool_named(POOL).objects.get(("", "rbd_migration"))
    return {k: v for k, v in found.omap.items() if k != "owner"} if found is not None else {}


class SlowStores:
    """A registry whose pools take as long to read as a test wants, and fail then if it wants."""

    def __init__(self) -> None:
        self.changed = stdlib.threading.Condition()
        self.answer = stdlib.threading.Event()
        self.begun: list[int] = []
        self.fails = False
        self.writer = self  # which has nothing that is not sure

    def unsure_pools(self) -> "set[int]":
        return set()

    def forget_pools(self, there: object) -> None:
        pass

    def read(self, pool_id: int, namespace: str) -> None:
        self.begun.append(pool_id)
        assert self.answer.wait(30)
        if self.fails:
            raise rados.TimedOut("the test wants it", errno=110)


@contextmanager
def loading(client: rados.Rados, stores: SlowStores) -> Iterator[Loader]:
    loader = Loader(client, stores, pytest.fail)  # type: ignore[arg-type]
    loader.start(0.2)
    try:
        yield loader
    finally:
        stores.answer.set()
        loader.stop()
        assert loader.join(30)


def test_records_are_not_all_known_while_a_pool_is_slow(client):
    stores = SlowStores()
    with loading(client, stores) as loader:
        assert loader.unread() == [], "it did not fail, either"
        assert not loader.complete()
        stores.answer.set()
        wait_for(loader.complete, 20, "the pools to be read")


def test_a_silent_pool_is_read_once_at_a_time(client):
    """Otherwise those that are healthy would wait behind all the attempts."""
    stores = SlowStores()
    stores.fails = True
    number = client.pool_lookup(POOL)
    with loading(client, stores) as loader:
        for _ in range(20):
            loader.look()
        stores.answer.set()
        wait_for(lambda: POOL in loader.unread(), 20, "the pool to be given up")
        assert stores.begun.count(number) == 1
        loader.look()
        wait_for(lambda: stores.begun.count(number) == 2, 20, "the next attempt")


def test_a_silent_pool_that_is_removed_is_no_trouble_any_more(client, cluster: Cluster):
    stores = SlowStores()
    stores.fails = True
    stores.answer.set()
    with loading(client, stores) as loader:
        wait_for(lambda: POOL in loader.unread(), 20, "the pool to be given up")
        del cluster.pools[cluster.pool_named(POOL).ident]
        loader.look()
        assert POOL not in loader.unread()


@pytest.fixture
def registry(client) -> Registry:
    return Registry(client=client, owner=Owner(1, "test"), settings=Settings)


def queued(client: rados.Rados) -> Migration:
    number = client.pool_lookup(POOL)
    ends = Place(POOL, "", "a", number, "1"), Place(POOL, "", "b", number)
    return Migration("123456789abc", *ends, goal=Goal.COMMITTED, state=State.QUEUED, created=1.0)


@pytest.mark.parametrize("over", ["end", "drop"])
def test_a_record_does_not_come_back(client, registry: Registry, over: str):
    """A command that found the migration a moment ago changes it when it is over."""
    tracked = registry.create(queued(client))
    registry.update(tracked, lambda m: m.enter(State.COMMITTED, 2.0, ""))
    getattr(registry, over)(tracked)
    with pytest.raises(MigrationError, match="try again") as refused:
        registry.update(tracked, lambda m: replace(m, goal=Goal.ABORTED))
    assert refused.value.errno == EAGAIN
    assert stored(client) == {}


def test_a_migration_has_one_owner_at_a_time(client, registry: Registry):
    tracked = registry.create(queued(client))
    assert registry.claim(tracked)
    assert not registry.claim(tracked), "the loop does not take what a command has"
    waiting = stdlib.threading.Thread(target=registry.claim, args=(tracked, 20.0))
    waiting.start()
    registry.release(tracked)
    waiting.join(10)
    assert not waiting.is_alive()
    assert tracked.busy


@pytest.fixture
def acts() -> Mock:
    """Acts that find nothing to wait for, and take as long as their slot is there."""
    made = Mock()
    made.breaker.rests.return_value = False

    def work(slot: Slot, job: object) -> None:
        while not slot.stopping:
            active().sleep(0.02)

    made.work.side_effect = work
    return made


@pytest.fixture
def loop(client, registry: Registry, acts: Mock) -> Scheduler:
    """A loop around them that has no place for a copy."""
    identity = Identity("client.admin", "/etc/ceph/ceph.conf", "")
    settings = Settings(max_copies=0)
    around = {
        name: Mock() for name in ("loader", "throttle", "conditions", "secrets", "plans", "gates")
    }
    around["plans"].limits.return_value = {}
    around["plans"].hold.return_value = None
    return Scheduler(
        client=client, identity=identity, registry=registry, executor=acts,
        settings=lambda: settings, on_fenced=pytest.fail, in_use=lambda m, situation: False,
        **around,
    )  # fmt: skip


def test_what_a_command_asks_for_is_looked_at_whatever_it_waits_for(
    client, registry: Registry, loop: Scheduler
):
    tracked = registry.create(queued(client))
    loop.wake(tracked)
    tracked.wanted = ActKind.EXECUTE  # by an observer that began its look before the command came
    loop.start()
    try:
        wait_for(lambda: tracked.seen is not None, 20, "a look")
    finally:
        assert loop.stop(20)


def test_a_round_that_fails_forgets_nobody(client, registry: Registry, loop: Scheduler, caplog):
    tracked = registry.create(queued(client))
    look_at, failed = loop._look_at, []

    def fails_once(due: "list[object]", again: float) -> None:
        if due and not failed:
            failed.append(due)
            raise ZeroDivisionError
        look_at(due, again)

    loop._look_at = fails_once
    loop.start()
    try:
        wait_for(lambda: tracked.seen is not None, 20, "a look")
    finally:
        assert loop.stop(20)
    assert failed == [[tracked]]


def test_what_fails_every_second_is_logged_once(
    registry: Registry,
    acts: Mock,
    loop: Scheduler,
    caplog: pytest.LogCaptureFixture,
):
    around = Mock()
    around.health.side_effect = acts.blocklist.clean.side_effect = ZeroDivisionError("again")
    caplog.set_level(logging.ERROR, logger="fake")
    conditions = ClusterMonitor(around, registry, Settings)
    loop.start()
    conditions.start()
    try:
        wait_for(lambda: acts.blocklist.clean.call_count >= 3, 30, "three rounds")
        wait_for(lambda: around.health.call_count >= 2, 30, "two looks")
    finally:
        conditions.thread.stop()
        assert loop.stop(20)
        assert conditions.thread.join(20)
    failed = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert sorted(failed) == ["the cluster's health cannot be read", "the loop failed; it goes on"]
    assert "again" in conditions.troubles()[0]
    assert "again" in loop.crashed


def test_monitors_that_do_not_answer_do_not_stop_the_loop(
    registry: Registry, acts: Mock, loop: Scheduler, client
):
    """Windows close and rates change for copies that run on without a quorum."""
    quorum = stdlib.threading.Event()
    silent = Mock()
    silent.get_instance_id.return_value = 0
    silent.wait_for_latest_osdmap.side_effect = lambda: quorum.wait(60)
    loader = Loader(client, registry, pytest.fail)
    loader.start(5)
    loader._client = loop._client = silent
    loop._loader = loader
    loop.start()
    try:
        wait_for(lambda: silent.wait_for_latest_osdmap.called, 20, "a look at the pools")
        before = acts.blocklist.clean.call_count
        wait_for(lambda: acts.blocklist.clean.call_count > before + 2, 10, "more rounds")
    finally:
        quorum.set()
        loader.stop()
        assert loop.stop(20)
        assert loader.join(20)


def test_a_loop_that_is_stopped_in_a_round_leaves_no_slot(
    client, registry: Registry, acts: Mock, loop: Scheduler
):
    tracked = registry.create(queued(client))
    tracked.wanted = ActKind.PREPARE
    choosing, go_on = stdlib.threading.Event(), stdlib.threading.Event()

    def rests(*_: object) -> bool:
        choosing.set()
        assert go_on.wait(20)
        return False

    acts.breaker.rests.side_effect = rests
    loop.start()
    assert choosing.wait(20)
    stdlib.threading.Timer(0.5, go_on.set).start()
    assert loop.stop(20)
    left = [t.name for t in active()._tasks if t.name.startswith("rbdmigrate-step")]
    assert left == []
    assert not tracked.busy


def test_what_somebody_asked_for_again_is_not_forgotten(client, registry: Registry):
    """A prepare that was refused is dropped, unless it is tried again by then."""
    tracked = registry.create(queued(client))
    registry.drop(tracked, lambda m: m.state is State.FAILED)
    assert registry.get(tracked.migration.id) is tracked
    registry.update(tracked, lambda m: replace(m, state=State.FAILED))
    registry.drop(tracked, lambda m: m.state is State.FAILED)
    assert registry.all() == []


def test_what_an_update_refuses_is_written_nowhere(client, registry: Registry):
    tracked = registry.create(queued(client))
    before = stored(client)
    with pytest.raises(MigrationError, match="not executed yet"):
        registry.update(tracked, lambda m: to_commit(m, force=True))
    assert tracked.migration.goal is Goal.COMMITTED
    assert stored(client) == before
