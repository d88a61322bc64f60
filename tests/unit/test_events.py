"""Progress events: one for each migration, and above a number one for each plan."""

import pytest

from rbdmigrate.model.report import Live, report
from rbdmigrate.model.states import State
from tests.unit.builders import migration
from tests.unit.front_ends import PLAN


@pytest.fixture
def shown(front_end):
    """The events that are open, as text by id, and what updates them."""
    opened = {}

    def remote(module, method, ident, *args):
        assert module == "progress"
        if method == "update":
            opened[ident] = args[0]
        else:
            del opened[ident]

    return opened, front_end("progress_events").ProgressEvents(remote)


def running(ident, plan=""):
    return report(migration(id=ident, plan=plan, state=State.EXECUTING), Live())


def test_above_the_number_a_plan_has_one_event_in_place_of_its_migrations(shown):
    opened, events = shown
    few = [running("a", "move"), running("b", "move"), running("single")]
    plans = [dict(PLAN, total=9, counts=dict(PLAN["counts"], done=4))]
    events.update(few, 3, lambda: plans)
    assert set(opened) == {"rbd_migration-a", "rbd_migration-b", "rbd_migration-single"}
    events.update([*few, running("c", "move")], 3, lambda: plans)
    assert set(opened) == {"rbd_migration-plan-move", "rbd_migration-single"}
    assert opened["rbd_migration-plan-move"] == "Plan move: 4 of 9 images are done"
    events.update(few, 3, lambda: plans)  # it keeps it between two waves
    assert set(opened) == {"rbd_migration-plan-move", "rbd_migration-single"}
    events.update([], 3, lambda: [dict(PLAN, state="done")])
    assert not opened


def test_a_plan_that_stopped_has_its_event_as_long_as_something_is_under_way(shown):
    opened, events = shown
    many = [running(ident, "move") for ident in "abc"]
    events.update(many, 1, lambda: [dict(PLAN, state="stopped")])
    assert set(opened) == {"rbd_migration-plan-move"}
    counts = dict(PLAN["counts"], running=0)
    events.update([], 1, lambda: [dict(PLAN, state="stopped", counts=counts)])
    assert not opened


def test_at_the_end_all_are_gone(shown):
    opened, events = shown
    events.update([running(ident, "move") for ident in "abc"], 1, lambda: [PLAN])
    assert opened
    events.clear()
    assert not opened


def test_without_plans_those_that_are_too_many_share_one(shown):
    opened, events = shown
    events.update([running(ident) for ident in "abcd"], 2)
    assert len(opened) == 3
    assert opened["rbd_migration-others"] == "Migrating 2 more images"
