"""Over the fake cluster: writes of records that time out may have been done all the same."""

from collections.abc import Iterator
from dataclasses import replace
from errno import EAGAIN, EUCLEAN
from typing import Any, Callable
from unittest.mock import Mock

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Migration
from rbdmigrate.model.migration_codec import decode
from rbdmigrate.model.plan import Definition, Plan, PlanState
from rbdmigrate.model.plan import decode as decode_plan
from rbdmigrate.model.states import Goal, State
from tests import slow_writes
from tests.fakes import rados_module as rados
from tests.fakes.bare import bare_cluster, connected
from tests.fakes.cluster import Cluster
from tests.fakes.loading import load
from tests.slow_writes import SlowPool, slow_pool

POOL = "aside"
Settings = load().settings.Settings
Owner, Store = load().store.Owner, load().store.Store
Registry = load().module("engine.records.registry").Registry
PlanRegistry = load().module("engine.records.plan_registry").PlanRegistry
TrackedPlan = load().module("engine.records.tracked_plan").TrackedPlan
PlanStore = load().module("cluster.plan_store").PlanStore
TranslatedErrors = load().module("engine.requests.errors").TranslatedErrors
Lookup = load().module("engine.requests.lookup").Lookup
view = load().module("engine.requests.report").view


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster without managers."""
    with bare_cluster(POOL) as made:
        yield made


@pytest.fixture
def client(cluster: Cluster) -> rados.Rados:
    return connected()


def omap(client: rados.Rados, oid: str) -> "dict[str, bytes]":
    """The omap of an object, empty when it is not there."""
    found = client.cluster.pool_named(POOL).objects.get(("", oid))
    return dict(found.omap) if found is not None else {}


def change(client: rados.Rados, oid: str, change: Callable[[rados.WriteOp], None]) -> None:
    """Change an object as plain ``rados`` does."""
    with rados.WriteOpCtx() as op:
        change(op)
        client.open_ioctx(POOL).operate_write_op(op, oid)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowPool:
    return slow_pool(monkeypatch, Store, rados.TimedOut)


@pytest.fixture
def registry(client: rados.Rados, slow: SlowPool) -> Registry:
    return Registry(client=client, owner=Owner(1, "first"), settings=Settings)


def asked(client: rados.Rados, number: int = 1, goal: Goal = Goal.COMMITTED) -> Migration:
    return slow_writes.asked(POOL, client.pool_lookup(POOL), number, goal)


def stored(client: rados.Rados) -> "dict[str, Migration]":
    """The records in the store."""
    found = omap(client, "rbd_migration")
    return {decode(raw).id: decode(raw) for key, raw in found.items() if key != "owner"}


def next_manager(client: rados.Rados) -> Registry:
    """What the manager reads that takes over now."""
    made = Registry(client=client, owner=Owner(2, "second"), settings=Settings)
    made.read(client.pool_lookup(POOL), "")
    return made


@pytest.mark.parametrize("takes", ["late", "never"])
@pytest.mark.parametrize("answered_by", ["create", "confirm"])
def test_a_request_that_was_answered_with_an_error_never_comes_to_life(
    client, registry: Registry, slow: SlowPool, takes: str, answered_by: str
):
    m = asked(client)
    if answered_by == "create":
        with slow.silent(takes), pytest.raises(rados.TimedOut):
            registry.create(m)
    else:
        tracked = registry.create(m)
        with slow.silent(takes), pytest.raises(rados.TimedOut):
            registry.confirm(tracked)
        registry.writer.resolve_pool(m.target.pool_id)  # the pool answers again
        assert stored(client) == {}
    assert registry.all() == []
    later = next_manager(client)
    assert later.all() == []
    assert stored(client) == {}


def test_a_request_whose_manager_died_before_it_answered_never_comes_to_life(
    client, registry: Registry
):
    registry.create(asked(client))
    assert next_manager(client).all() == []
    assert stored(client) == {}


@pytest.mark.parametrize("how", ["confirmed", "changed"])
def test_a_request_that_was_answered_with_success_is_known_to_the_next_manager(
    client, registry: Registry, how: str
):
    tracked = registry.create(asked(client))
    if how == "confirmed":
        registry.confirm(tracked)
    else:
        registry.update(tracked, lambda m: m.enter(State.PREPARING, 2.0))
    (known,) = next_manager(client).all()
    assert known.migration == tracked.migration


def test_a_migration_that_is_prepared_at_once_costs_no_further_write(
    client, registry: Registry, slow: SlowPool
):
    tracked = registry.create(asked(client))
    registry.update(tracked, lambda m: m)
    assert slow.writes == 1, "a look that changes nothing writes nothing"
    registry.update(tracked, lambda m: m.enter(State.PREPARING, 2.0))
    registry.confirm(tracked)
    assert slow.writes == 2


@pytest.mark.parametrize("takes", ["late", "never"])
def test_an_order_that_was_answered_with_an_error_is_taken_back_before_anything_else(
    client, registry: Registry, slow: SlowPool, takes: str
):
    """Otherwise the next manager would find it, and commit or abort."""
    first, second = (registry.create(asked(client, n, Goal.PREPARED)) for n in (1, 2))
    for tracked in (first, second):
        registry.confirm(tracked)
    with slow.silent(takes), pytest.raises(rados.TimedOut):
        registry.update(first, lambda m: replace(m, goal=Goal.ABORTED))
    assert first.migration.goal is Goal.PREPARED
    registry.update(second, lambda m: replace(m, priority=3))
    assert stored(client) == {t.migration.id: t.migration for t in (first, second)}
    assert registry.writer.unsure_pools() == set()


def test_what_is_not_sure_is_resolved_when_the_pool_answers(
    client, registry: Registry, slow: SlowPool
):
    number = client.pool_lookup(POOL)
    tracked = registry.create(asked(client))
    with slow.silent("late"):
        with pytest.raises(rados.TimedOut):
            registry.update(tracked, lambda m: replace(m, goal=Goal.ABORTED))
        with pytest.raises(rados.TimedOut):
            registry.create(asked(client, 2))
        with pytest.raises(rados.TimedOut):
            registry.writer.resolve_pool(number)
    assert registry.writer.unsure_pools() == {number}
    registry.writer.resolve_pool(number)
    assert registry.writer.unsure_pools() == set()
    assert stored(client) == {tracked.migration.id: tracked.migration}


def test_the_same_request_again_is_not_removed_with_the_first(
    client, registry: Registry, slow: SlowPool
):
    """Migrations of plans have their ids before they begin."""
    m = asked(client)
    with slow.silent("late"), pytest.raises(rados.TimedOut):
        registry.create(m)
    tracked = registry.create(m)
    registry.writer.resolve_pool(m.target.pool_id)
    assert stored(client) == {m.id: tracked.migration}


@pytest.mark.parametrize("over", ["end", "drop"])
@pytest.mark.parametrize("takes", ["late", "never"])
def test_an_end_that_was_cut_off_can_be_done_again(
    client, registry: Registry, slow: SlowPool, over: str, takes: str
):
    tracked = registry.create(asked(client))
    registry.update(tracked, lambda m: m.enter(State.COMMITTED, 2.0))
    with slow.silent(takes), pytest.raises(rados.TimedOut):
        getattr(registry, over)(tracked)
    assert registry.all() == [tracked]
    getattr(registry, over)(tracked)
    assert (registry.all(), stored(client)) == ([], {})


def test_a_plan_whose_start_was_answered_with_an_error_does_not_start_later(
    client, registry: Registry, slow: SlowPool
):
    loader = Mock()
    plan_registry = PlanRegistry(
        client=client, registry=registry, loader=loader, owner=Owner(1, "first")
    )
    store = plan_registry._store(client.pool_lookup(POOL))
    kept = TrackedPlan(Plan(Definition("move"), PlanState.DRAFT, 1.0), [], store, former=False)
    store.write_plan(kept.plan)
    with slow.silent("late"), pytest.raises(rados.TimedOut):
        plan_registry.update(kept, lambda plan: replace(plan, state=PlanState.STARTING))
    plan_registry.resolve_unsure(kept)
    raw = omap(client, "rbd_migration_plans")["plan.move"]
    assert decode_plan(Plan, raw).state is PlanState.DRAFT
    assert isinstance(store, PlanStore)


@pytest.fixture
def doubled(client, registry: Registry) -> Registry:
    """A manager that finds two records about one source."""
    one = asked(client, 1)
    other = replace(asked(client, 2), source=one.source)
    for m in (one, other, asked(client, 3)):
        registry.create(m, confirmed=True)
    return next_manager(client)


def test_two_records_about_one_image_are_both_shown_and_neither_is_acted_on(
    client, doubled: Registry
):
    one, other, third = doubled.all()
    assert one.conflict
    assert other.conflict
    assert not third.conflict
    assert len(doubled.conflicts()) == 2
    hold = view(one)["hold"]
    assert hold["reason"] == "operator"
    assert "rmomapkey" in hold["message"]
    for tracked in (one, other):
        with pytest.raises(MigrationError, match="more than one record") as refused:
            doubled.update(tracked, lambda m: replace(m, goal=Goal.ABORTED))
        assert refused.value.errno == EUCLEAN
    doubled.update(third, lambda m: replace(m, goal=Goal.ABORTED))
    assert doubled.find_source(one.migration.source.spec) is one, "the image is taken"


def test_the_other_record_counts_again_when_one_was_removed(client, doubled: Registry):
    change(client, "rbd_migration", lambda op: op.remove_omap_keys((f"migration.{2:012d}",)))
    after = Registry(client=client, owner=Owner(3, "third"), settings=Settings)
    after.read(client.pool_lookup(POOL), "")
    assert [(t.migration.id, t.conflict) for t in after.all()] == [
        (f"{1:012d}", ""),
        (f"{3:012d}", ""),
    ]


def test_unreadable_records_go_with_their_pool(client):
    registry = Registry(client=client, owner=Owner(1, "first"), settings=Settings)
    number = client.pool_lookup(POOL)
    registry.store(number, "").take()
    for oid in ("rbd_migration", "rbd_migration_history"):
        change(client, oid, lambda op: op.set_omap(("migration.broken",), (b"{}",)))
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

    return Lookup(client=client, registry=registry, loader=loader, translated=answers)


def test_it_is_not_said_that_there_is_no_migration_while_a_pool_is_silent(
    client, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    number = client.pool_lookup(POOL)
    target = asked(client).target.spec
    look = finder(client, registry, [number])
    with pytest.raises(MigrationError, match="There is no migration"):
        look.ended(target)

    def read(self: Store, **named: object) -> None:
        raise rados.TimedOut("the test wants it", errno=110)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", read)
        for _ in range(2):  # the second time it is not asked again, and left out
            with pytest.raises(MigrationError, match=f"the pool {POOL} does not answer") as e:
                look.ended(target)
            assert e.value.errno == EAGAIN


def test_a_manager_that_is_shut_out_notices_it_as_it_reads_the_history(
    client, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    def read(self: Store, **named: object) -> None:
        raise rados.ConnectionShutdown("the test wants it", errno=108)

    monkeypatch.setattr(Store, "read", read)
    with pytest.raises(rados.ConnectionShutdown):
        registry.history([client.pool_lookup(POOL)])
