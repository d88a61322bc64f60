"""Parts of the engine in this process, at a real cluster: what only a slow pool or a race shows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import rados

from qa.devcluster import Cluster
from rbdmigrate.engine.loading import Loader
from tests.cluster.conftest import MakePool


class SlowStores:
    """A registry whose pools take as long to read as a test wants, and fail then if it wants."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.answer = threading.Event()
        self.begun: list[int] = []
        self.fails = False

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


def test_records_are_not_all_known_while_a_pool_is_slow(cluster: Cluster, client, pool: str):
    stores = SlowStores()
    with loading(client, stores) as loader:
        assert loader.unread() == [], "it did not fail, either"
        assert not loader.complete()
        stores.answer.set()
        cluster.wait_for(loader.complete, 20, "the pools to be read")


def test_a_silent_pool_is_read_once_at_a_time(cluster: Cluster, client, pool: str):
    """Otherwise those that are healthy would wait behind all the attempts."""
    stores = SlowStores()
    stores.fails = True
    number = client.pool_lookup(pool)
    with loading(client, stores) as loader:
        for _ in range(20):
            loader.look()
        stores.answer.set()
        cluster.wait_for(lambda: pool in loader.unread(), 20, "the pool to be given up")
        assert stores.begun.count(number) == 1
        loader.look()
        cluster.wait_for(lambda: stores.begun.count(number) == 2, 20, "the next attempt")


def test_a_silent_pool_that_is_removed_is_no_trouble_any_more(
    cluster: Cluster, client, make_pool: MakePool
):
    pool = make_pool()
    stores = SlowStores()
    stores.fails = True
    stores.answer.set()
    with loading(client, stores) as loader:
        cluster.wait_for(lambda: pool in loader.unread(), 20, "the pool to be given up")
        cluster.delete_pool(pool)
        loader.look()
        assert pool not in loader.unread()
