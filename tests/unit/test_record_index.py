"""The index of migrations by conditions of their records, against a look at all of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.hooks.questions import (
    commit_is_next,
    is_awaited,
    wants_commit,
    wants_cutover,
)
from rbdmigrate.control.lifecycle.cutover import in_cutover, may_be_released, waits_for_clients
from rbdmigrate.control.lifecycle.warm import may_go_back
from rbdmigrate.model.client_warnings import target_changes
from rbdmigrate.model.cutover import CutoverMode
from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load
from tests.unit.builders import migrations

CONDITIONS = {
    "ACTING": lambda m: m.intent is not None,
    "AWAITED": is_awaited,
    "COMMIT_NEXT": commit_is_next,
    "IN_CUTOVER": in_cutover,
    "TOUCHED": lambda m: any(target_changes(m)),
    "WAY_BACK": may_go_back,
}
records = st.lists(migrations, min_size=1, max_size=5, unique_by=lambda m: m.id)
steps = st.lists(st.tuples(st.integers(0, 4), st.none() | migrations), max_size=12)


@pytest.fixture(autouse=True, scope="module")
def _clock():
    with bare_cluster("hdd", "ssd"):
        yield


@given(records, steps)
def test_it_has_those_whose_record_satisfies_the_condition(begun, changes):
    module = load().module("engine.records.record_index")
    index = module.RecordIndex()
    tracked = [load().module("engine.records.tracked").TrackedMigration(m) for m in begun]
    for one in tracked:
        index.note(one)
    for number, change in changes:
        one = tracked[number % len(tracked)]
        if change is None:
            index.remove(one)
            tracked.remove(one)
        else:
            one.migration = replace(change, id=one.migration.id)
            index.note(one)
        if not tracked:
            return
        assert set(CONDITIONS) == {condition.name for condition in module.Condition}
        for name, holds in CONDITIONS.items():
            wanted = [t for t in tracked if holds(t.migration)]
            found = index.where(module.Condition[name])
            assert sorted(map(id, found)) == sorted(map(id, wanted))
            assert [t.migration.created for t in found] == sorted(
                t.migration.created for t in wanted
            )


@given(migrations, st.floats(0, 4e9))
def test_nobody_is_asked_about_others_whatever_the_time(record, now):
    if not commit_is_next(record):
        assert not wants_commit(record, now)
    if not is_awaited(record):
        assert not waits_for_clients(record)
        assert not wants_cutover(record, now)
        assert not any(may_be_released(record, mode, now) for mode in CutoverMode)
