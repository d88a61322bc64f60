"""What may be asked can be kept: the record of it is read back, and every report of it renders."""

import json
from dataclasses import replace
from errno import E2BIG, EINVAL

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rbdmigrate.control.pace.window import parse_window
from rbdmigrate.model import plan as plans
from rbdmigrate.model.bounds import (
    MAX_DURATION,
    MAX_RECORD,
    MAX_SPANS,
    MAX_TEXT,
    MAX_WINDOW,
    narrowed,
    shortened,
)
from rbdmigrate.model.errors import MigrationError, RecordError
from rbdmigrate.model.migration import Failure, Hold, TimelineEntry
from rbdmigrate.model.migration_codec import decode, encode, encode_readable
from rbdmigrate.model.plan import Definition, Item, Plan, PlanState
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.report import Live, iso, report
from rbdmigrate.model.spec import ImageSpec
from rbdmigrate.model.states import Goal, HoldReason, State
from tests.unit.builders import NOON, migration
from tests.unit.front_ends import FakeEngine

digits = st.integers(0, 10**25).map(str) | st.text("0123456789٣.eE-", max_size=400)
durations = st.tuples(digits, st.sampled_from(["", "s", "m", "h", "d", "D", "y"])).map("".join)
sizes = st.tuples(digits, st.sampled_from(["", "K", "M", "E", "EiB", "/s"])).map("".join)
spans = st.sampled_from(["22:00-04:00", "Sat-Sun", "Mon 8:00-9:00", "Fri-Mon 20:00-6:00", "never"])
windows = st.lists(spans, max_size=80).map(", ".join) | st.text(max_size=3000)
numbers = st.integers() | st.integers(-(1 << 70), 1 << 70)
TEXTS = {
    "soak": durations,
    "rate": sizes | st.just("off"),
    "window": windows | st.just("off"),
    "verify": st.sampled_from(["none", "sample", "full"]),
    "goal": st.sampled_from(["prepared", "executed", "verified", "committed"]),
    "object_size": sizes,
    "data_pool": st.text(max_size=5000),
    "journal_pool": st.text(max_size=40),
}
asked = st.fixed_dictionaries(
    {},
    optional={**TEXTS, "priority": numbers, "journal_splay_width": numbers},
)


def kept_and_shown(record) -> None:
    """The record of what was accepted is written, read back, and shown in every state."""
    for state in State:
        m = replace(record, state=state, executed_at=NOON, ended_at=NOON)
        assert decode(encode_readable(m)) == m
        json.dumps(report(m, Live()))


def recorded(policy, layout):
    return migration(
        goal=policy.goal,
        layout=layout,
        priority=policy.priority,
        rate=policy.rate,
        window=policy.window,
        verify=policy.verify,
        soak=policy.soak,
    )


@pytest.fixture(scope="module")
def commands(front_end):
    pytest.importorskip("prettytable")
    return front_end("cli.commands")


@pytest.fixture(scope="module")
def dispatch(front_end):
    pytest.importorskip("prettytable")
    return front_end("http.api.dispatch")


@pytest.fixture(scope="module")
def ready(front_end):
    from tests.unit.front_ends import FakeModule

    module = front_end("options")
    found = module.Options(FakeModule(module.OPTIONS))
    found.read()
    return found


class TestWhatFrontEndsAccept:
    @given(asked)
    @example({"soak": "1200000d"})
    @example({"soak": "9" * 309})
    @example({"window": ", ".join(["22:00-04:00"] * MAX_SPANS)})
    def test_of_a_command_is_read_back_and_shown(self, commands, ready, args):
        engine = FakeEngine()
        command = {"prefix": "rbd migration run", "source_image": "a", "target_image": "b", **args}
        code, _, sentence = commands.handle(engine, ready, command, lambda pool, namespace: True)
        for _, (_, _, layout, policy), _ in engine.calls:
            kept_and_shown(recorded(policy, layout))
        assert engine.calls or (code == -EINVAL and sentence), "it is refused with a sentence"

    @given(asked)
    @example({"soak": 9007199254740992})
    @example({"window": "Mon," * 300_000})
    def test_of_a_request_is_read_back_and_shown(self, dispatch, ready, body):
        layout = {k: v for k, v in body.items() if k not in _POLICY}
        body = {k: v for k, v in body.items() if k in _POLICY}
        engine = FakeEngine()
        context = dispatch.Context(engine, ready, "16.2.15")
        given_ = {"source": "a", "target": "b", "layout": layout, **body}
        answer = dispatch.dispatch(context, "create", "", {}, given_)
        for _, (_, _, layout_, policy), _ in engine.calls:
            kept_and_shown(recorded(policy, layout_))
        assert engine.calls or answer.status == 400
        assert len(json.dumps(answer.body)) < 20_000

    @given(st.fixed_dictionaries({}, optional={"soak": durations, "window": windows}))
    def test_of_a_change_is_read_back_and_shown(self, commands, ready, args):
        engine = FakeEngine()
        command = {"prefix": "rbd migration set", "target_image": "b", "priority": 1, **args}
        commands.handle(engine, ready, command, lambda pool, namespace: True)
        for _, (_, changes), _ in engine.calls:
            asked = {"soak": changes.soak, "window": changes.window}
            kept_and_shown(migration(**{k: v for k, v in asked.items() if v is not None}))


_POLICY = ("soak", "rate", "window", "verify", "goal", "priority")


class TestWhatIsWritten:
    @pytest.mark.parametrize("soak", [1e11, 1e300, float("inf"), float("nan"), -1.0])
    def test_is_read_back_before_it_is_written(self, soak):
        with pytest.raises(MigrationError, match="nothing was changed") as refused:
            encode_readable(migration(soak=soak))
        assert refused.value.errno == EINVAL

    def test_is_refused_when_it_is_too_large_to_be_read(self):
        with pytest.raises(MigrationError, match="nothing was changed") as refused:
            encode_readable(migration(window="x" * MAX_RECORD))
        assert refused.value.errno == E2BIG
        assert len(str(refused.value)) < 400

    def test_of_a_plan_is_read_back_before_it_is_written(self):
        plan = Plan(Definition("move", policy=Policy(soak=float("inf"))), PlanState.DRAFT, NOON)
        with pytest.raises(MigrationError, match="plan 'move'"):
            plans.encode_readable(plan)
        item = Item("1", ImageSpec("a", "", "b"), ImageSpec("a", "", "c"), "x" * MAX_RECORD)
        with pytest.raises(MigrationError) as refused:
            plans.encode_readable(item)
        assert refused.value.errno == E2BIG

    @pytest.mark.parametrize(
        "made",
        [
            lambda text: Failure(5, text, NOON),
            lambda text: Hold(HoldReason.RETRY, text),
            lambda text: TimelineEntry(NOON, State.FAILED, text),
            lambda text: Item("1", ImageSpec("", "", "a"), ImageSpec("", "", "b"), message=text),
        ],
    )
    def test_has_no_sentence_longer_than_the_bound(self, made):
        """A server may send names of 64 KiB."""
        assert made("x" * MAX_TEXT).message == "x" * MAX_TEXT
        long = made("export " * 10_000).message
        assert len(long) == MAX_TEXT
        assert long.endswith("...")


class TestWhatVersion01Wrote:
    def stored(self, **changes) -> bytes:
        return json.dumps({**json.loads(encode(migration())), **changes}).encode()

    @pytest.mark.parametrize("soak", [1.0368e11, 2.5e11, 1e300, float("inf")])
    def test_is_read_with_a_soak_time_of_a_year_in_place_of_a_longer_one(self, soak):
        record = decode(self.stored(soak=soak))
        assert record.soak == MAX_DURATION
        kept_and_shown(record)

    def test_is_read_with_the_first_spans_of_a_window_that_has_too_many(self):
        text = ", ".join(f"{n % 23:02d}:00-{n % 23:02d}:30" for n in range(76_000))
        record = decode(self.stored(window=text))
        assert len(parse_window(record.window).spans) == MAX_SPANS
        kept_and_shown(record)

    def test_is_read_with_its_long_sentences_cut(self):
        entry = {"at": NOON, "state": "failed", "message": "x" * 70_000}
        record = decode(self.stored(timeline=[entry] * 40))
        assert {len(entry.message) for entry in record.timeline} == {MAX_TEXT}
        kept_and_shown(record)

    def test_of_plans_is_read_with_its_window_cut(self):
        window = ", ".join(["22:00-04:00"] * 1000)
        definition = Definition("move", policy=Policy(Goal.EXECUTED, window=window))
        raw = plans.encode(Plan(definition, PlanState.DRAFT, NOON))
        kept = plans.decode(Plan, raw).definition.policy.window
        assert len(parse_window(kept).spans) == MAX_SPANS

    @pytest.mark.parametrize("soak", [-1.0, "1h", True, None])
    def test_is_refused_where_it_makes_no_sense(self, soak):
        with pytest.raises(RecordError):
            decode(self.stored(soak=soak))


@given(st.floats() | st.integers())
def test_every_time_can_be_shown(at):
    text = iso(at)
    assert text is None or len(text) == len("2026-11-23T06:22:26Z")


@given(st.lists(spans, min_size=1, max_size=MAX_SPANS).map(", ".join))
def test_a_window_within_the_bounds_is_kept_as_it_is(text):
    assert narrowed(text) == text
    assert shortened(text, MAX_WINDOW) == text
