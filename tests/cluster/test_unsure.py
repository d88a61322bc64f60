"""Writes of records that time out: they may have been done all the same, and nobody knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from errno import EAGAIN, EUCLEAN
from typing import Any, Callable
from unittest.mock import Mock

import pytest
import rados

from qa.devcluster import Cluster
from qa.workload.images import omap, place
from rbdmigrate.cluster.plan_store import PlanStore
from rbdmigrate.cluster.store import Owner, Store
from rbdmigrate.engine import Settings
from rbdmigrate.engine.records.plan_registry import PlanRegistry, TrackedPlan
from rbdmigrate.engine.records.registry import Registry
from rbdmigrate.engine.requests.errors import TranslatedErrors
from rbdmigrate.engine.requests.lookup import Lookup
from rbdmigrate.engine.requests.report import view
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Goal, Migration, Place, State, decode
from rbdmigrate.model.plan import Definition, Plan, PlanState
from rbdmigrate.model.plan import decode as decode_plan
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


def test_a_request_whose_manager_died_before_it_answered_never_comes_to_life(
    client, aside: str, registry: Registry
):
    registry.create(asked(client, aside))
    assert next_manager(client, aside).all() == []
    assert stored(client, aside) == {}


@pytest.mark.parametrize("how", ["confirmed", "changed"])
def test_a_request_that_was_answered_with_success_is_known_to_the_next_manager(
    client, aside: str, registry: Registry, how: str
):
    tracked = registry.create(asked(client, aside))
    if how == "confirmed":
        registry.confirm(tracked)
    else:
        registry.update(tracked, lambda m: m.enter(State.PREPARING, 2.0))
    (known,) = next_manager(client, aside).all()
    assert known.migration == tracked.migration


def test_a_migration_that_is_prepared_at_once_costs_no_further_write(
    client, aside: str, registry: Registry, slow: Pool
):
    tracked = registry.create(asked(client, aside))
    registry.update(tracked, lambda m: m)
    assert slow.writes == 1, "a look that changes nothing writes nothing"
    registry.update(tracked, lambda m: m.enter(State.PREPARING, 2.0))
    registry.confirm(tracked)
    assert slow.writes == 2


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


def test_what_is_not_sure_is_settled_when_the_pool_answers(
    client, aside: str, registry: Registry, slow: Pool
):
    number = client.pool_lookup(aside)
    tracked = registry.create(asked(client, aside))
    with silent(slow, "late"):
        with pytest.raises(rados.TimedOut):
            registry.update(tracked, lambda m: replace(m, goal=Goal.ABORTED))
        with pytest.raises(rados.TimedOut):
            registry.create(asked(client, aside, 2))
        with pytest.raises(rados.TimedOut):
            registry.settle(number)
    assert registry.unsure_pools() == {number}
    registry.settle(number)
    assert registry.unsure_pools() == set()
    assert stored(client, aside) == {tracked.migration.id: tracked.migration}


def test_the_same_request_again_is_not_removed_with_the_first(
    client, aside: str, registry: Registry, slow: Pool
):
    """Migrations of plans have their ids before they begin."""
    m = asked(client, aside)
    with silent(slow, "late"), pytest.raises(rados.TimedOut):
        registry.create(m)
    tracked = registry.create(m)
    registry.settle(m.target.pool_id)
    assert stored(client, aside) == {m.id: tracked.migration}


@pytest.mark.parametrize("over", ["end", "drop"])
@pytest.mark.parametrize("takes", ["late", "never"])
def test_an_end_that_was_cut_off_can_be_done_again(
    client, aside: str, registry: Registry, slow: Pool, over: str, takes: str
):
    tracked = registry.create(asked(client, aside))
    registry.update(tracked, lambda m: m.enter(State.COMMITTED, 2.0))
    with silent(slow, takes), pytest.raises(rados.TimedOut):
        getattr(registry, over)(tracked)
    assert registry.all() == [tracked]
    getattr(registry, over)(tracked)
    assert (registry.all(), stored(client, aside)) == ([], {})


def test_a_plan_whose_start_was_answered_with_an_error_does_not_start_later(
    client, aside: str, registry: Registry, slow: Pool
):
    loader = Mock()
    keeping = PlanRegistry(client, registry, loader, Owner(1, "first"))
    store = keeping._store(client.pool_lookup(aside))
    kept = TrackedPlan(Plan(Definition("move"), PlanState.DRAFT, 1.0), [], store, former=False)
    store.write_plan(kept.plan)
    with silent(slow, "late"), pytest.raises(rados.TimedOut):
        keeping.update(kept, lambda plan: replace(plan, state=PlanState.STARTING))
    keeping.settle_unsure(kept)
    with place(client, f"{aside}/-") as ioctx:
        raw = omap(ioctx, "rbd_migration_plans")["plan.move"]
    assert decode_plan(Plan, raw).state is PlanState.DRAFT
    assert isinstance(store, PlanStore)


@pytest.fixture
def doubled(client, aside: str, registry: Registry) -> Registry:
    """A manager that finds two records about one source."""
    one = asked(client, aside, 1)
    other = replace(asked(client, aside, 2), source=one.source)
    for m in (one, other, asked(client, aside, 3)):
        registry.create(m, confirmed=True)
    return next_manager(client, aside)


def test_two_records_about_one_image_are_both_shown_and_neither_is_acted_on(
    client, aside: str, doubled: Registry
):
    one, other, third = doubled.all()
    assert one.double
    assert other.double
    assert not third.double
    assert len(doubled.doubles()) == 2
    hold = view(one)["hold"]
    assert hold["reason"] == "operator"
    assert "rmomapkey" in hold["message"]
    for tracked in (one, other):
        with pytest.raises(MigrationError, match="more than one record") as refused:
            doubled.update(tracked, lambda m: replace(m, goal=Goal.ABORTED))
        assert refused.value.errno == EUCLEAN
    doubled.update(third, lambda m: replace(m, goal=Goal.ABORTED))
    assert doubled.find_source(one.migration.source.spec) is one, "the image is taken"


def test_the_other_record_counts_again_when_one_was_removed(client, aside: str, doubled: Registry):
    with place(client, f"{aside}/-") as ioctx, rados.WriteOpCtx() as op:
        ioctx.remove_omap_keys(op, (f"migration.{2:012d}",))
        ioctx.operate_write_op(op, "rbd_migration")
    after = Registry(client, Owner(3, "third"), Settings)
    after.read(client.pool_lookup(aside), "")
    assert [(t.migration.id, t.double) for t in after.all()] == [
        (f"{1:012d}", ""),
        (f"{3:012d}", ""),
    ]


def test_unreadable_records_go_with_their_pool(cluster: Cluster, client, make_pool: MakePool):
    pool = make_pool(application="test")
    registry = Registry(client, Owner(1, "first"), Settings)
    number = client.pool_lookup(pool)
    registry.store(number, "").take()
    for oid in ("rbd_migration", "rbd_migration_history"):
        with place(client, f"{pool}/-") as ioctx, rados.WriteOpCtx() as op:
            ioctx.set_omap(op, ("migration.broken",), (b"{}",))
            ioctx.operate_write_op(op, oid)
    registry.read(number, "")
    registry.history([number])
    assert [g.object for g in registry.garbage] == ["rbd_migration", "rbd_migration_history"]
    registry.forget_pools({number})
    assert len(registry.garbage) == 2
    registry.forget_pools(set())
    assert registry.garbage == []


def finder(client: rados.Rados, registry: Registry, pools: "list[int]") -> Lookup:
    loader = Mock()
    loader.pools.return_value, loader.unread.return_value = pools, []

    def answers(target: Any) -> TranslatedErrors:
        return TranslatedErrors(target, False, lambda reason: None)

    return Lookup(client, registry, loader, answers)


def test_it_is_not_said_that_there_is_no_migration_while_a_pool_is_silent(
    client, aside: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    number = client.pool_lookup(aside)
    target = asked(client, aside).target.spec
    look = finder(client, registry, [number])
    with pytest.raises(MigrationError, match="There is no migration"):
        look.ended(target)

    def read(self: Store, **named: object) -> None:
        raise rados.TimedOut("the test wants it", errno=110)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", read)
        for _ in range(2):  # the second time it is not asked again, and left out
            with pytest.raises(MigrationError, match=f"the pool {aside} does not answer") as e:
                look.ended(target)
            assert e.value.errno == EAGAIN


def test_a_manager_that_is_shut_out_notices_it_as_it_reads_the_history(
    client, aside: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    def read(self: Store, **named: object) -> None:
        raise rados.ConnectionShutdown("the test wants it", errno=108)

    monkeypatch.setattr(Store, "read", read)
    with pytest.raises(rados.ConnectionShutdown):
        registry.history([client.pool_lookup(aside)])
