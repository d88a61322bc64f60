"""Writes of records that time out: they may have been done all the same, and nobody knows."""

from dataclasses import replace

import pytest
import rados

from qa.workload.images import omap, place
from rbdmigrate.cluster.store import Owner, Store
from rbdmigrate.engine import Settings
from rbdmigrate.engine.records.registry import Registry
from rbdmigrate.model.migration import Migration
from rbdmigrate.model.migration_codec import decode
from rbdmigrate.model.states import Goal
from tests import slow_writes
from tests.cluster.conftest import MakePool
from tests.slow_writes import SlowPool, slow_pool


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowPool:
    return slow_pool(monkeypatch, Store, rados.TimedOut)


@pytest.fixture
def aside(make_pool: MakePool) -> str:
    """A pool whose records the manager's own engine does not read: it is not RBD's."""
    return make_pool(application="test")


@pytest.fixture
def registry(client: rados.Rados, slow: SlowPool) -> Registry:
    return Registry(client=client, owner=Owner(1, "first"), settings=Settings)


def asked(
    client: rados.Rados, pool: str, number: int = 1, goal: Goal = Goal.COMMITTED
) -> Migration:
    return slow_writes.asked(pool, client.pool_lookup(pool), number, goal)


def stored(client: rados.Rados, pool: str) -> "dict[str, Migration]":
    """The records in the store."""
    with place(client, f"{pool}/-") as ioctx:
        found = omap(ioctx, "rbd_migration")
    return {decode(raw).id: decode(raw) for key, raw in found.items() if key != "owner"}


def next_manager(client: rados.Rados, pool: str) -> Registry:
    """What the manager reads that takes over now."""
    made = Registry(client=client, owner=Owner(2, "second"), settings=Settings)
    made.read(client.pool_lookup(pool), "")
    return made


@pytest.mark.parametrize("takes", ["late", "never"])
@pytest.mark.parametrize("answered_by", ["create", "confirm"])
def test_a_request_that_was_answered_with_an_error_never_comes_to_life(
    client, aside: str, registry: Registry, slow: SlowPool, takes: str, answered_by: str
):
    m = asked(client, aside)
    if answered_by == "create":
        with slow.silent(takes), pytest.raises(rados.TimedOut):
            registry.create(m)
    else:
        tracked = registry.create(m)
        with slow.silent(takes), pytest.raises(rados.TimedOut):
            registry.confirm(tracked)
        registry.writer.resolve_pool(m.target.pool_id)  # the pool answers again
        assert stored(client, aside) == {}
    assert registry.all() == []
    later = next_manager(client, aside)
    assert later.all() == []
    assert stored(client, aside) == {}


@pytest.mark.parametrize("takes", ["late", "never"])
def test_an_order_that_was_answered_with_an_error_is_taken_back_before_anything_else(
    client, aside: str, registry: Registry, slow: SlowPool, takes: str
):
    """Otherwise the next manager would find it, and commit or abort."""
    first, second = (registry.create(asked(client, aside, n, Goal.PREPARED)) for n in (1, 2))
    for tracked in (first, second):
        registry.confirm(tracked)
    with slow.silent(takes), pytest.raises(rados.TimedOut):
        registry.update(first, lambda m: replace(m, goal=Goal.ABORTED))
    assert first.migration.goal is Goal.PREPARED
    registry.update(second, lambda m: replace(m, priority=3))
    assert stored(client, aside) == {t.migration.id: t.migration for t in (first, second)}
    assert registry.writer.unsure_pools() == set()
