"""The records of plans."""

import json

import pytest
from hypothesis import given

from rbdmigrate.model.errors import RecordError
from rbdmigrate.model.plan import Item, Plan, decode, encode
from tests.unit.builders import any_of


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
