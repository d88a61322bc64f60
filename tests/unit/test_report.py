"""The Report: what every front end shows of a migration."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Failure, Hold, Place
from rbdmigrate.model.report import Live, brief_report, iso, percent, report, what_next
from rbdmigrate.model.states import Goal, HoldReason, State
from rbdmigrate.model.verification import Verify
from tests.unit.builders import NOON, holds, migration, migrations

lives = st.integers(0, 1 << 40).flatmap(
    lambda total: st.builds(
        Live,
        done=st.integers(0, total),
        total=st.just(total),
        hold=st.none() | holds,
        acting=st.booleans(),
    )
)

PERCENTS = [
    (State.QUEUED, None, Live(), 0),
    (State.PREPARED, None, Live(), 0),
    (State.EXECUTING, None, Live(), 0),
    (State.EXECUTING, None, Live(copied=0, size=10), 0),
    (State.EXECUTING, None, Live(copied=5, size=10), 50),
    (State.EXECUTING, None, Live(copied=1, size=1000), 0),
    (State.EXECUTING, None, Live(copied=999, size=1000), 99),
    (State.EXECUTING, None, Live(copied=10, size=10), 99),
    (State.EXECUTING, None, Live(copied=11, size=10), 99),
    (State.EXECUTED, NOON, Live(), 100),
    (State.COMMITTING, NOON, Live(), 100),
    (State.COMMITTED, NOON, Live(), 100),
    (State.COMMITTED, None, Live(), 100),
    (State.FAILED, NOON, Live(), 100),
    (State.FAILED, None, Live(copied=5, size=10), 50),
    (State.FAILED, None, Live(copied=10, size=10), 99),
    (State.ABORTED, NOON, Live(), 0),
]


@pytest.mark.parametrize(("state", "executed_at", "live", "shown"), PERCENTS)
def test_percent(state, executed_at, live, shown):
    assert percent(migration(state=state, executed_at=executed_at), live) == shown


@given(st.sampled_from(State), st.none() | st.floats(0, 4e9), lives)
def test_percent_is_100_only_when_the_copy_is_complete(state, executed_at, live):
    record = migration(state=state, executed_at=executed_at)
    copied = (
        State.EXECUTED,
        State.CUTTING_OVER,
        State.CUT_OVER,
        State.VERIFIED,
        State.COMMITTING,
        State.COMMITTED,
    )
    shown = percent(record, live)
    assert 0 <= shown <= 100
    if shown == 100:
        assert record.state in copied or record.executed_at is not None


COMMAND = "`ceph rbd migration {} ssd/b`"
ASKS_FOR = [
    (State.FAILED, Goal.COMMITTED, ["retry", "abort"]),
    (State.FAILED, Goal.ABORTED, ["retry", "abort"]),
    (State.PREPARED, Goal.PREPARED, ["execute", "abort"]),
    (State.EXECUTED, Goal.EXECUTED, ["commit", "abort"]),
    (State.EXECUTED, Goal.PREPARED, ["commit", "abort"]),
    (State.VERIFIED, Goal.VERIFIED, ["commit", "abort"]),
    (State.EXECUTING, Goal.PREPARED, ["execute"]),
]
BY_ITSELF = [
    (State.QUEUED, Goal.PREPARED, "until it is prepared."),
    (State.QUEUED, Goal.COMMITTED, "until it is committed."),
    (State.PREPARING, Goal.PREPARED, "until it is prepared."),
    (State.PREPARED, Goal.EXECUTED, "until it is executed."),
    (State.EXECUTING, Goal.EXECUTED, "until it is executed."),
    (State.EXECUTED, Goal.COMMITTED, "until it is committed."),
    (State.COMMITTING, Goal.COMMITTED, "cannot be stopped or undone."),
    (State.COMMITTING, Goal.ABORTED, "cannot be stopped or undone."),
    (State.ABORTING, Goal.COMMITTED, "the source given back."),
    (State.QUEUED, Goal.ABORTED, "the source given back."),
    (State.EXECUTED, Goal.ABORTED, "the source given back."),
    (State.ABORTING, Goal.ABORTED, "the source given back."),
]


class TestWhatNext:
    @pytest.mark.parametrize(("state", "goal", "names"), ASKS_FOR)
    def test_names_the_commands_that_the_administrator_has_to_choose_from(self, state, goal, names):
        text = what_next(migration(state=state, goal=goal), None)
        assert [name for name in names if COMMAND.format(name) not in text] == []

    @pytest.mark.parametrize(
        ("verify", "command"),
        [(Verify.FULL, "verify ssd/b`"), (Verify.SAMPLE, "verify ssd/b --mode sample`")],
    )
    def test_names_the_commit_that_compares_first_and_the_comparison_alone(self, verify, command):
        executed = migration(state=State.EXECUTED, goal=Goal.EXECUTED, verify=verify)
        text = what_next(executed, None)
        assert f"`ceph rbd migration {command}" in text
        assert f"migration commit ssd/b` compares it with its source ({verify.value})" in text

    @pytest.mark.parametrize("state", [State.EXECUTED, State.VERIFYING])
    def test_says_that_a_commit_waits_for_the_comparison(self, state):
        asked = migration(state=state, goal=Goal.COMMITTED, verify=Verify.FULL)
        assert "compared with its source (full); when nothing differs" in what_next(asked, None)

    @pytest.mark.parametrize(("state", "goal", "words"), BY_ITSELF)
    def test_says_how_far_it_goes_by_itself(self, state, goal, words):
        text = what_next(migration(state=state, goal=goal), None)
        assert text.endswith(words)
        assert "`" not in text

    @pytest.mark.parametrize(("state", "goal"), list(product(State, Goal)))
    def test_is_one_sentence_until_the_end_and_then_nothing(self, state, goal):
        text = what_next(migration(state=state, goal=goal), None)
        if state.ended:
            assert text == ""
        else:
            assert text.endswith(".")
            assert ". " not in text
            assert "\n" not in text

    @pytest.mark.parametrize("state", [s for s in State if not s.ended and s is not State.FAILED])
    def test_what_it_waits_for_comes_first(self, state):
        hold = Hold(HoldReason.LIMIT, "Two copies run; it is the next.")
        assert what_next(migration(state=state), hold) == hold.message

    def test_a_failure_is_not_hidden_by_a_hold(self):
        hold = Hold(HoldReason.PAUSED, "It is paused.")
        assert "retry" in what_next(migration(state=State.FAILED), hold)

    @pytest.mark.parametrize(
        ("state", "goal"),
        [
            (State.EXECUTING, Goal.PREPARED),
            (State.COMMITTING, Goal.PREPARED),
            (State.COMMITTING, Goal.EXECUTED),
            (State.ABORTING, Goal.PREPARED),
            (State.ABORTING, Goal.EXECUTED),
            (State.ABORTING, Goal.COMMITTED),
        ],
    )
    def test_never_promises_a_goal_that_it_has_passed_or_turned_from(self, state, goal):
        assert f"until it is {goal.value}" not in what_next(migration(state=state, goal=goal), None)

    def test_never_promises_the_source_back_once_it_is_committing(self):
        text = what_next(migration(state=State.COMMITTING, goal=Goal.ABORTED), None)
        assert "source given back" not in text


class TestReport:
    @given(migrations, lives)
    def test_is_json_with_the_same_fields_whatever_the_migration(self, record, live):
        shown = report(record, live)
        assert json.loads(json.dumps(shown)) == shown
        assert list(shown) == list(report(migration(), Live()))

    @given(migrations, lives)
    def test_a_table_shows_a_part_of_it(self, record, live):
        whole, brief = report(record, live), brief_report(record, live)
        assert brief == {name: whole[name] for name in brief}

    def test_names_both_ends_by_spec_and_id(self):
        places = {
            "source": Place("rbd", "", "a", 1, "a1"),
            "target": Place("ssd", "ns", "b", 2, "b2"),
        }
        shown = report(migration(**places), Live())
        assert (shown["source"], shown["source_image_id"]) == ("rbd/a", "a1")
        assert (shown["target"], shown["target_image_id"]) == ("ssd/ns/b", "b2")

    def test_counts_objects_only_while_they_are_known(self):
        shown = report(migration(), Live(0, 0))
        assert (shown["objects_done"], shown["objects_total"]) == (None, None)
        shown = report(migration(state=State.EXECUTING), Live(0, 7))
        assert (shown["objects_done"], shown["objects_total"]) == (0, 7)

    def test_shows_only_what_was_asked_of_the_layout(self):
        assert report(migration(), Live())["layout"] == {}
        layout = LayoutOptions(object_size=4096, features=("layering",), flatten=True)
        assert report(migration(layout=layout), Live())["layout"] == {
            "object_size": 4096,
            "features": ["layering"],
            "flatten": True,
        }

    def test_why_it_waits_now_goes_before_why_it_was_held(self):
        recorded = Hold(HoldReason.RETRY, "It failed.", NOON)
        waiting = Hold(HoldReason.LIMIT, "It waits.")
        shown = report(migration(hold=recorded), Live())
        assert shown["hold"] == {
            "reason": "retry",
            "message": "It failed.",
            "until": "2023-11-14T22:13:20Z",
        }
        assert shown["next"] == "It failed."
        shown = report(migration(hold=recorded), Live(hold=waiting))
        assert shown["hold"] == {"reason": "limit", "message": "It waits.", "until": None}
        assert shown["next"] == "It waits."

    def test_a_failure_has_its_errno_as_a_number_and_as_a_name(self):
        failure = Failure(16, "The target is open.", NOON, transient=True)
        assert report(migration(failure=failure), Live())["failure"] == {
            "errno": 16,
            "code": "EBUSY",
            "message": "The target is open.",
            "at": "2023-11-14T22:13:20Z",
            "transient": True,
        }


@pytest.mark.parametrize(
    ("at", "text"),
    [(None, None), (0, "1970-01-01T00:00:00Z"), (NOON + 0.999, "2023-11-14T22:13:20Z")],
)
def test_times_are_utc_to_the_second(at, text):
    assert iso(at) == text
