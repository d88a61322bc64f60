"""Writes of records that time out: they may have been done all the same, and nobody knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Callable

import pytest
import rados

from qa.workload.images import omap, place
from rbdmigrate.cluster.store import Owner, Store
from rbdmigrate.engine import Settings
from rbdmigrate.engine.records.registry import Registry
from rbdmigrate.model.migration import Goal, Migration, Place, State, decode
from tests.cluster.conftest import MakePool

Sent = Callable[[rados.Ioctx, rados.WriteOp], None]


class Pool:
    """How the pool takes writes: at once, late (done, without an answer), or not at all."""

    def __init__(self) -> None:
        self.takes = "at once"
        self.writes = 0


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """Every store's pool, as a test wants it."""
    pool, real = Pool(), Store._guarded

    def guarded(self: Store, act: Sent, oid: str) -> None:
        pool.writes += 1
        if pool.takes != "never":
            real(self, act, oid)
        if pool.takes != "at once":
            raise rados.TimedOut("the test wants it", errno=110)

    monkeypatch.setattr(Store, "_guarded", guarded)
    return pool


@contextmanager
def silent(slow: Pool, takes: str) -> Iterator[None]:
    """A while in which the pool does not answer."""
    slow.takes = takes
    try:
        yield
    finally:
        slow.takes = "at once"


@pytest.fixture
def aside(make_pool: MakePool) -> str:
    """A pool whose records the manager's own engine does not read: it is not RBD's."""
    return make_pool(application="test")


@pytest.fixture
def registry(client: rados.Rados, slow: Pool) -> Registry:
    return Registry(client, Owner(1, "first"), Settings)


def asked(
    client: rados.Rados, pool: str, number: int = 1, goal: Goal = Goal.COMMITTED
) -> Migration:
    pool_id = client.pool_lookup(pool)
    source = Place(pool, "", f"a{number}", pool_id, f"source{number}")
    target = Place(pool, "", f"b{number}", pool_id)
    return Migration(f"{number:012d}", source, target, goal, State.QUEUED, created=float(number))


def stored(client: rados.Rados, pool: str) -> "dict[str, Migration]":
    """The records in the store."""
    with place(client, f"{pool}/-") as ioctx:
        found = omap(ioctx, "rbd_migration")
    return {decode(raw).id: decode(raw) for key, raw in found.items() if key != "owner"}


def next_manager(client: rados.Rados, pool: str) -> Registry:
    """What the manager reads that takes over now."""
    made = Registry(client, Owner(2, "second"), Settings)
    made.read(client.pool_lookup(pool), "")
    return made


@pytest.mark.parametrize("takes", ["late", "never"])
@pytest.mark.parametrize("answered_by", ["create", "confirm"])
def test_a_request_that_was_answered_with_an_error_never_comes_to_life(
    client, aside: str, registry: Registry, slow: Pool, takes: str, answered_by: str
):
    m = asked(client, aside)
    if answered_by == "create":
        with silent(slow, takes), pytest.raises(rados.TimedOut):
            registry.create(m)
    else:
        tracked = registry.create(m)
        with silent(slow, takes), pytest.raises(rados.TimedOut):
            registry.confirm(tracked)
        registry.settle(m.target.pool_id)  # the pool answers again
        assert stored(client, aside) == {}
    assert registry.all() == []
    later = next_manager(client, aside)
    assert later.all() == []
    assert stored(client, aside) == {}


@pytest.mark.parametrize("takes", ["late", "never"])
def test_an_order_that_was_answered_with_an_error_is_taken_back_before_anything_else(
    client, aside: str, registry: Registry, slow: Pool, takes: str
):
    """Otherwise the next manager would find it, and commit or abort."""
    first, second = (registry.create(asked(client, aside, n, Goal.PREPARED)) for n in (1, 2))
    for tracked in (first, second):
        registry.confirm(tracked)
    with silent(slow, takes), pytest.raises(rados.TimedOut):
        registry.update(first, lambda m: replace(m, goal=Goal.ABORTED))
    assert first.migration.goal is Goal.PREPARED
    registry.update(second, lambda m: replace(m, priority=3))
    assert stored(client, aside) == {t.migration.id: t.migration for t in (first, second)}
    assert registry.unsure_pools() == set()
