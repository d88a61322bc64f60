"""Lists of migrations: one that has just ended is in the list of the ended ones, once."""

import contextlib
from types import SimpleNamespace

import pytest

from rbdmigrate.control.query import Query
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import Goal, State
from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load


def record(ident, state):
    return Migration(
        id=ident,
        source=Place("hdd", "", ident, 1, f"{ident}s"),
        target=Place("ssd", "", ident, 2, f"{ident}t"),
        goal=Goal.COMMITTED,
        state=state,
        created=1.0,
        ended_at=2.0 if state.ended else None,
    )


@pytest.fixture(autouse=True)
def _clock():
    with bare_cluster("hdd", "ssd"):
        yield


def module(name):
    return load().module(name)


def listing(tracked, history):
    registry = SimpleNamespace(
        all=lambda: [module("engine.records.tracked").TrackedMigration(m) for m in tracked],
        history=lambda pools: SimpleNamespace(migrations=list(history)),
    )
    return module("engine.requests.listing").Listing(
        registry=registry,
        loader=SimpleNamespace(pools=lambda: [1]),
        fresh_look=SimpleNamespace(look=lambda tracked: None),
        translated=lambda spec: contextlib.nullcontext(),
    )


RUNS, DONE, OLD = (
    record("runs", State.EXECUTING),
    record("done", State.ABORTED),
    record("old", State.COMMITTED),
)


@pytest.mark.parametrize("history", [[OLD], [DONE, OLD]], ids=["not yet there", "there already"])
def test_what_has_just_ended_is_not_under_way_and_listed_once(history):
    found = listing([RUNS, DONE], history)
    assert [r["id"] for r in found.find(Query())] == ["runs"]
    assert [r["id"] for r in found.find(Query(ended=True))] == ["runs", "done", "old"]
    assert found.browse(Query())[0] == 1
    assert found.browse(Query(ended=True))[0] == 3
    assert [r["id"] for r in found.history(Query())[1]] == ["done", "old"]
    assert found.summary()["total"] == 1
