"""Parts of plans over the fake cluster: stored plans that are refused now, endless choosing."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_policy import ImportPolicy
from rbdmigrate.model.plan import Candidate, Definition, Item, Plan, PlanState, Rule, Selector
from rbdmigrate.model.request import MigrationRequest
from rbdmigrate.model.source import StreamSpec
from rbdmigrate.model.source_list import ListRead, SourceList
from rbdmigrate.model.spec import ImageSpec
from tests.fakes import rados_module as rados
from tests.fakes import stdlib
from tests.fakes.bare import bare_cluster, connected
from tests.fakes.cluster import Cluster
from tests.fakes.loading import load
from tests.fakes.simulation import active

Owner = load().store.Owner
PlanRegistry = load().module("engine.records.plan_registry").PlanRegistry
TrackedPlan = load().module("engine.records.tracked_plan").TrackedPlan
plan_check = load().module("engine.plans.checks")
choosing = load().module("engine.plans.choosing")
ItemStarter = load().module("engine.plans.create").ItemStarter
PlanChecks = plan_check.PlanChecks
PlanDriver = load().module("engine.plans.driver").PlanDriver


@pytest.fixture(autouse=True)
def cluster() -> Iterator[Cluster]:
    """A cluster without managers."""
    with bare_cluster("nvme") as made:
        yield made


@pytest.fixture
def client(cluster: Cluster) -> rados.Rados:
    return connected()


SLOW = r"(a+)\1b"  # an earlier version took some that are refused now


def plan(regex: str, state: PlanState, name: str = "old") -> Plan:
    selector = Selector("hdd", name="", regex=regex)
    return Plan(Definition(name, (selector,), Rule("nvme", "")), state, 1.0)


def plan_registry(client: rados.Rados, pool_id: int) -> PlanRegistry:
    return PlanRegistry(
        client=client, registry=Mock(), loader=Mock(pools=lambda: [pool_id]), owner=Owner(1, "test")
    )


def test_a_stored_plan_with_a_refused_expression_is_a_draft_that_says_why(client):
    pool_id = client.pool_lookup("nvme")
    store = plan_registry(client, pool_id)._store(pool_id)
    store.take()
    store.write_plan(plan(SLOW, PlanState.STARTING, "begun"))
    store.write_plan(plan(SLOW, PlanState.DRAFT, "draft"))
    store.write_plan(plan(SLOW, PlanState.PAUSED, "chosen"))
    store.write_plan(plan("vm-.*", PlanState.STARTING, "good"))
    fresh = plan_registry(client, pool_id)
    fresh.load()
    found = {kept.plan.name: kept.plan for kept in fresh.all()}
    assert {name: kept.state for name, kept in found.items()} == {
        "begun": PlanState.DRAFT,
        "draft": PlanState.DRAFT,
        "chosen": PlanState.PAUSED,
        "good": PlanState.STARTING,
    }
    assert "select[0].regex in the plan has a look-around, a reference" in found["begun"].problem
    assert found["draft"].problem == found["begun"].problem
    assert found["good"].problem == ""


def driver() -> PlanDriver:
    plans: Mock = Mock()
    plans.update = lambda one, change: setattr(one, "plan", change(one.plan))
    chooser = choosing.ItemChooser(Mock(), Mock(), Mock())
    return PlanDriver(
        plan_registry=plans,
        chooser=chooser,
        outcomes=Mock(),
        runner=Mock(),
        canceller=Mock(),
        ahead=Mock(),
        on_fenced=pytest.fail,
    )


def starting() -> TrackedPlan:
    return TrackedPlan(plan("vm-.*", PlanState.STARTING), [], Mock(), former=True)


def test_a_plan_whose_images_cannot_be_chosen_in_time_is_a_draft_again(monkeypatch):
    monkeypatch.setattr(choosing, "CHOOSING", 0.05)

    def endless(*_: Any) -> Any:
        while True:
            active().sleep(0.001)
            yield Candidate("vm-1")

    monkeypatch.setattr(choosing, "candidates", endless)
    kept = starting()
    driver()._round(kept)
    assert kept.plan.state is PlanState.DRAFT
    assert "could not be chosen within" in kept.plan.problem
    assert kept.refusal is not None


def test_a_plan_of_a_silent_pool_is_tried_again_and_then_a_draft(monkeypatch):
    monkeypatch.setattr(choosing, "CHOOSING", 0.2)
    silent = Mock(side_effect=rados.TimedOut("no answer", errno=110))
    monkeypatch.setattr(choosing, "candidates", silent)
    kept, drives = starting(), driver()
    drives._guarded(kept)
    assert kept.plan.state is PlanState.STARTING
    assert kept.trouble
    active().sleep(0.25)
    drives._guarded(kept)
    assert kept.plan.state is PlanState.DRAFT
    assert "try again" in kept.plan.problem


def with_lists(names: int) -> Definition:
    stream = StreamSpec("file", file_path="/srv")
    lists = (SourceList(stream, format="qcow"),) * names
    return Definition("listed", rule=Rule("nvme", "", "{index}"), lists=lists)


@pytest.mark.parametrize("order", [True, False])
def test_lists_are_read_by_workers_under_the_policy_of_imports(order):
    ask = Mock(return_value=ListRead("/srv", ("a.qcow2", "b.qcow2")))
    policy = ImportPolicy(("/srv",))
    chooser = choosing.ItemChooser(Mock(), ask, lambda: Mock(import_policy=policy))
    items = chooser.select(with_lists(2), order=order)
    assert [str(item.target) for item in items] == [f"nvme/{number}" for number in (1, 2, 3, 4)]
    for call in ask.call_args_list:
        assert call.args[0].policy == policy
        assert call.args[0].seconds == 25.0
        assert call.kwargs == {"order": order}


def test_lists_that_take_too_long_together_are_given_up(monkeypatch):
    monkeypatch.setattr(choosing, "CHOOSING", 0.05)

    def slow(*_: Any, **__: Any) -> ListRead:
        active().sleep(0.1)
        return ListRead("/srv", ("a.qcow2",))

    chooser = choosing.ItemChooser(Mock(), slow, Mock())
    with pytest.raises(MigrationError, match="could not be chosen within"):
        chooser.select(with_lists(2))


class Checking:
    """PlanChecks whose look at an image lasts until ``go``."""

    def __init__(self) -> None:
        self.go = stdlib.threading.Event()
        self.looked = 0

        def gather(*_: Any, **named: Any) -> Any:
            self.looked += 1
            assert self.go.wait(30)
            raise MigrationError(5, "The test found nothing.")

        items = [Item(str(n), ImageSpec("a", "", "x"), ImageSpec("b", "", "x")) for n in range(9)]
        self.checks = PlanChecks(
            preflight=Mock(gather=gather),
            starter=Mock(),
            select=lambda _: items,
            rate=lambda: None,
        )

    def check(self, name: str, patience: float = 0.0) -> "dict[str, Any]":
        return self.checks.check(plan("a", PlanState.DRAFT, name).definition, None, patience)


def test_only_the_last_checks_are_kept_and_none_of_a_plan_that_is_gone():
    checking = Checking()
    checking.go.set()
    for number in range(plan_check._KEPT + 5):
        assert checking.check(f"p{number}", 30)["done"]
    kept = checking.checks._checks
    assert len(kept) == plan_check._KEPT
    assert "p0" not in kept
    last = next(reversed(kept))
    checking.checks.forget(last)
    assert last not in kept


def test_a_check_of_a_plan_that_is_removed_or_changed_ends():
    checking = Checking()
    checking.check("p")
    active().sleep(1.0)  # it looks at the first image
    checking.checks.forget("p")
    checking.go.set()
    (thread,) = checking.checks._threads
    thread.join(10)
    assert not thread.is_alive()
    assert checking.looked < 9  # some looks had begun


def test_no_more_than_a_few_checks_run_at_once():
    checking = Checking()
    for number in range(plan_check._AT_ONCE):
        checking.check(f"p{number}")
    with pytest.raises(MigrationError, match="plans are being checked; try again"):
        checking.check("one more")
    checking.go.set()
    for number in range(plan_check._AT_ONCE):
        assert checking.check(f"p{number}", 30)["done"]
    assert checking.check("one more", 30)["done"]
    checking.checks.stop()
    assert checking.checks.join(10)


@pytest.mark.parametrize("as_raw", [False, True])
def test_a_source_is_imported_as_its_plan_says(as_raw: bool):
    source_spec = '{"type": "raw", "stream": {"type": "file", "file_path": "/srv/x"}}'
    target = ImageSpec("nvme", "", "x")
    item = Item("1", ImageSpec("", "", "x"), target, source_spec, as_raw=as_raw)
    starter = ItemStarter(
        registry=None,
        lookup=None,
        admission=None,
        preflight=None,
        import_request=MigrationRequest,
        translated=None,
    )
    assert starter.request(item, Definition("p")).as_raw is as_raw
