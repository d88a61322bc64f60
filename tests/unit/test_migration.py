"""The record: how it changes state, how it is stored, and what is not a record."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rbdmigrate.model.errors import RecordError
from rbdmigrate.model.migration import TIMELINE_LENGTH, Migration, TimelineEntry
from rbdmigrate.model.migration_codec import SCHEMA, decode, encode
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.states import State
from tests.unit.builders import NOON, few, full_of, migration, migrations

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


FULL = encode(full_of(Migration))
OTHERS = [None, True, -1, 1 << 70, 1.5, float("nan"), "", "x" * 2000, [], [None], {}, {"a": {}}]


def stored(**changes) -> bytes:
    """A stored record with fields that may be of any kind."""
    return json.dumps({**json.loads(encode(migration())), **changes}).encode()


def spots(plain, path=()):
    """The path of every value inside a JSON value."""
    items = plain.items() if isinstance(plain, dict) else enumerate(plain)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from spots(value, (*path, key))


def reads_or_refuses(raw: bytes) -> None:
    with suppress(RecordError):
        assert isinstance(decode(raw), Migration)


class TestStoring:
    @given(migrations)
    def test_what_is_stored_comes_back_the_same_and_is_plain_ascii_with_its_schema(self, record):
        raw = encode(record)
        assert decode(raw) == record
        assert json.loads(raw)["schema"] == SCHEMA
        assert raw.isascii()


class TestWhatIsNoRecord:
    @given(st.binary(max_size=64))
    @example(b"")
    @example(b"\xff\xfe{}")
    @example(b"\xef\xbb\xbf{}")
    @example(b"[" * 100_000)
    @example(b'{"schema":' + b"9" * 5000 + b"}")
    def test_bytes_are_refused_and_nothing_else_happens(self, raw):
        with pytest.raises(RecordError):
            decode(raw)

    @given(anything)
    def test_json_that_is_no_record_is_refused(self, plain):
        with pytest.raises(RecordError):
            decode(json.dumps(plain).encode())

    @pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
    def test_a_record_with_any_value_swapped_is_read_or_refused(self, value):
        for *way, last in spots(json.loads(FULL)):
            plain = json.loads(FULL)
            place = plain
            for part in way:
                place = place[part]
            place[last] = value
            reads_or_refuses(json.dumps(plain).encode())

    @given(st.integers(0, len(FULL) - 1), st.integers(0, 255))
    def test_a_record_with_any_byte_changed_is_read_or_refused(self, place, byte):
        reads_or_refuses(FULL[:place] + bytes([byte]) + FULL[place + 1 :])

    def test_a_record_with_any_byte_left_out_is_read_or_refused(self):
        for place in range(len(FULL)):
            reads_or_refuses(FULL[:place] + FULL[place + 1 :])

    def test_a_record_cut_short_anywhere_is_refused(self):
        for length in range(len(FULL)):
            with pytest.raises(RecordError):
                decode(FULL[:length])

    @pytest.mark.parametrize("schema", [0, 2, -1, "1", None, [], {}, 1.5])
    def test_an_unknown_schema_is_refused_by_name(self, schema):
        with pytest.raises(RecordError, match=r"^its schema is .*, this version reads 1$"):
            decode(stored(schema=schema))

    def test_the_schema_is_looked_at_before_the_fields(self):
        with pytest.raises(RecordError, match="schema"):
            decode(stored(schema=SCHEMA + 1, unheard_of=True))

    def test_an_unknown_field_is_refused_not_dropped(self):
        with pytest.raises(RecordError, match="unknown field 'unheard_of'"):
            decode(stored(unheard_of=True))

    @pytest.mark.parametrize("field", ["created", "ended_at"])
    def test_a_whole_number_too_big_for_a_time_is_refused(self, field):
        with pytest.raises(RecordError):
            decode(stored(**{field: 10**400}))

    def test_a_value_nested_as_deep_as_json_can_read_is_refused(self):
        head, tail = stored(timeline=[{"at": 1, "state": "?"}]).split(b'"?"')
        for depth in range(
            600, 1000, 4
        ):  # where JSON still can and repr() cannot depends on Python
            with pytest.raises(RecordError):
                decode(head + b"[" * depth + b"]" * depth + tail)

    @pytest.mark.parametrize(
        "time",
        [
            *[0, 4e9, 9e10, -6e10, -9e10, 1e15, 1e300],
            *[float("nan"), float("inf"), float("-inf")],
        ],
    )
    def test_what_is_read_can_be_reported(self, time):
        try:
            record = decode(stored(created=time))
        except RecordError:
            return
        report(record, Live())


class TestEnteringAState:
    def test_puts_the_change_on_the_timeline(self):
        record = migration().enter(State.PREPARING, NOON).enter(State.FAILED, NOON + 5, "no.")
        assert record.state is State.FAILED
        assert record.timeline == (
            TimelineEntry(NOON, State.PREPARING, ""),
            TimelineEntry(NOON + 5, State.FAILED, "no."),
        )

    def test_that_it_is_in_changes_nothing_unless_there_is_something_to_say(self):
        record = migration().enter(State.PREPARED, NOON)
        assert record.enter(State.PREPARED, NOON + 5) == record
        said = record.enter(State.PREPARED, NOON + 5, "again.")
        assert said.timeline[-1] == TimelineEntry(NOON + 5, State.PREPARED, "again.")

    def test_keeps_the_newest_entries_of_a_long_timeline(self):
        record = migration()
        for turn in range(3 * TIMELINE_LENGTH):
            record = record.enter((State.PREPARING, State.QUEUED)[turn % 2], NOON + turn)
        times = [entry.at - NOON for entry in record.timeline]
        assert times == list(range(2 * TIMELINE_LENGTH, 3 * TIMELINE_LENGTH))

    def test_remembers_when_it_was_first_prepared(self):
        record = migration().enter(State.PREPARED, 1.0).enter(State.EXECUTING, 2.0)
        assert record.enter(State.PREPARED, 3.0).prepared_at == 1.0

    def test_remembers_when_it_was_last_executed(self):
        record = migration().enter(State.EXECUTED, 1.0).enter(State.EXECUTING, 2.0)
        assert record.enter(State.EXECUTED, 3.0).executed_at == 3.0

    @pytest.mark.parametrize("state", State)
    def test_only_committed_and_aborted_are_the_end(self, state):
        ended = state in (State.COMMITTED, State.ABORTED)
        before = State.PREPARED if state is State.QUEUED else State.QUEUED
        record = migration(state=before).enter(state, NOON)
        assert state.ended is ended
        assert record.ended_at == (NOON if ended else None)

    @few
    @given(migrations, st.sampled_from(State), st.text(max_size=4))
    def test_changes_nothing_but_the_state_and_its_times(self, record, state, message):
        after = record.enter(state, NOON, message)
        same = {"state", "timeline", "prepared_at", "executed_at", "cut_over_at", "ended_at"}
        assert after == replace(record, **{name: getattr(after, name) for name in same})
