"""Parts of the engine in this process, at a real cluster: what only a slow pool or a race shows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import rados

from qa.devcluster import Cluster
from rbdmigrate.engine.loading import Loader


class SlowStores:
    """A registry whose pools take as long to read as a test wants."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.answer = threading.Event()
        self.begun: list[int] = []

    def read(self, pool_id: int, namespace: str) -> None:
        self.begun.append(pool_id)
        assert self.answer.wait(30)


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
