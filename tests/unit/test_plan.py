"""The records of plans."""

import json
from pathlib import Path

import pytest
from hypothesis import given

from rbdmigrate.model.codec import to_plain
from rbdmigrate.model.errors import RecordError
from rbdmigrate.model.plan import Item, Outcome, Plan, PlanState, decode, encode
from tests.unit.builders import any_of

FORMER = json.loads(Path(__file__).with_name("former_plans.json").read_text(encoding="utf-8"))
"""What ``encode`` of former versions wrote, by commit: plans in all states, all kinds of items."""


@given(any_of(Plan))
def test_a_plan_is_read_as_it_was_written(plan):
    assert decode(Plan, encode(plan)) == plan


@given(any_of(Item))
def test_an_item_is_read_as_it_was_written(item):
    assert decode(Item, encode(item)) == item


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"schema": 9}', b"[" * 100_000])
def test_what_is_no_record(raw):
    with pytest.raises(RecordError):
        decode(Plan, raw)


@given(any_of(Item))
def test_what_is_not_known_is_not_dropped(item):
    newer = {**json.loads(encode(item)), "colour": "blue"}
    with pytest.raises(RecordError, match="colour"):
        decode(Item, json.dumps(newer).encode())


@pytest.mark.parametrize("version", FORMER)
def test_the_plans_of_a_former_version_are_understood(version):
    plans = [decode(Plan, raw.encode()) for raw in FORMER[version]["plans"]]
    items = [decode(Item, raw.encode()) for raw in FORMER[version]["items"]]
    assert {plan.state for plan in plans} == set(PlanState)
    assert {item.outcome for item in items} >= set(Outcome) - {Outcome.SKIPPED}  # it is newer
    for record, raw in zip(
        (*plans, *items), (*FORMER[version]["plans"], *FORMER[version]["items"])
    ):
        assert decode(type(record), encode(record)) == record
        assert contains({"schema": 1, **to_plain(record)}, json.loads(raw)), "nothing of it is lost"
    (plan,) = (plan for plan in plans if plan.state is PlanState.RUNNING)
    assert (plan.items, plan.forgiven, plan.definition.wave) == (2, 1, 4)
    assert plan.definition.policy.window == "Mon-Fri 22:00-06:00"
    assert items[-1].source_spec


def contains(now, former):
    """Whether ``now`` has all that the former record says, at the same places."""
    if isinstance(former, dict):
        return all(key in now and contains(now[key], value) for key, value in former.items())
    if isinstance(former, list):
        return len(now) == len(former) and all(map(contains, now, former))
    return now == former
