"""Reverse rounds: when one is due, what comes of it, and what may be asked for."""

from dataclasses import replace
from errno import EINVAL

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.decide import decide
from rbdmigrate.control.lifecycle.decision import Rest, RunAct
from rbdmigrate.control.lifecycle.requests import Changes, changed, to_abort
from rbdmigrate.control.lifecycle.reverse import (
    common_snapshot,
    copied_back,
    is_reverse,
    reverse_at,
    reverse_due,
    reverse_failed,
    to_reverse,
)
from rbdmigrate.control.lifecycle.situation import Situation
from rbdmigrate.control.lifecycle.warm import is_refresh_round, to_refresh_round
from rbdmigrate.control.metrics.counting import Sample
from rbdmigrate.control.metrics.counting import changed as counted
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.jobs.answers import CopiedBack
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.migration_codec import decode, encode
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.reverse_rounds import ReverseRounds, parse_interval
from rbdmigrate.model.states import ActKind, Goal, Method, State
from rbdmigrate.model.verification import Outcome, Verification, Verify

NOW = 1_000_000.0
HOUR = 3600.0
EXECUTE = RunAct(ActKind.EXECUTE)


def record(state: State = State.CUT_OVER, **changes) -> Migration:
    plain = Migration(
        id="m1",
        source=Place("hdd", "", "vm", 1, "src"),
        target=Place("ssd", "", "vm", 2, "dst"),
        goal=Goal.CUT_OVER,
        state=state,
        created=1.0,
        method=Method.WARM,
        prepared_at=2.0,
        executed_at=3.0,
        cut_over_at=NOW - HOUR,
        comparison_snapshot="cut",
    )
    return replace(plain, **changes)


def done(**changes) -> CopiedBack:
    return replace(CopiedBack("r5", 4096, 2.0, NOW, 0.5), **changes)


def next_step(m, now=NOW):
    return decide(m, Situation.CUT_OVER, now)


def test_none_follows_unless_an_interval_is_set_or_one_is_asked_for():
    assert reverse_at(record()) is None
    assert next_step(record()) == Rest()
    assert reverse_at(record(refresh_source=2 * HOUR)) == NOW + HOUR
    assert next_step(record(refresh_source=2 * HOUR)) == Rest()
    assert next_step(record(refresh_source=HOUR)) == EXECUTE
    assert next_step(to_refresh_round(record())) == EXECUTE
    wanted = to_reverse(record())
    assert copied_back(wanted, done()).reverse == ReverseRounds(
        count=1, bytes=4096, seconds=2.0, at=NOW, scan=0.5, snapshot="r5"
    )


@pytest.mark.parametrize(
    ("seconds", "idle", "wait"),
    [
        (1.0, 0, HOUR),
        (1000.0, 0, 20_000.0),  # nothing for 20 times as long as it took
        (1.0, 2, 4 * HOUR),
        (1.0, 30, 24 * HOUR),
    ],
)
def test_the_next_one_follows_by_the_interval_what_it_took_and_how_often_nothing_changed(
    seconds, idle, wait
):
    rounds = ReverseRounds(count=1, seconds=seconds, at=NOW, idle=idle)
    assert reverse_at(record(refresh_source=HOUR, reverse=rounds)) == NOW + wait
    assert reverse_at(record(refresh_source=48 * HOUR, reverse=rounds)) == NOW + 48 * HOUR


@pytest.mark.parametrize(
    "changes",
    [
        {"state": State.VERIFYING},
        {"state": State.COMMITTING},
        {"state": State.FAILED},
        {"state": State.ABORTING},
        {"goal": Goal.ABORTED},
        {"paused": True},
        {"state": State.EXECUTED, "cut_over_at": None},
        {"method": Method.LIVE},
    ],
    ids=str,
)
def test_none_is_copied_in_other_states(changes):
    m = record(refresh_source=HOUR, **{"state": State.CUT_OVER, **changes})
    assert reverse_at(m) is None
    assert not reverse_due(m, NOW)
    if "paused" not in changes:
        assert to_reverse(m) is m


def test_comparison_and_commit_go_first():
    asked = {"refresh_source": HOUR, "goal": Goal.COMMITTED}
    assert next_step(record(verify=Verify.FULL, **asked)) == RunAct(ActKind.VERIFY)
    assert next_step(record(verify=Verify.NONE, **asked)) == RunAct(ActKind.COMMIT)
    passed = Verification(Verify.FULL, 1, 1.0, NOW, outcome=Outcome.PASSED, at=NOW)
    soaks = record(State.VERIFIED, verify=Verify.FULL, verification=passed, soak=HOUR, **asked)
    assert next_step(soaks) == EXECUTE
    assert next_step(replace(soaks, soak=0.0)) == RunAct(ActKind.COMMIT)
    assert next_step(to_abort(record(refresh_source=HOUR))) == RunAct(ActKind.ABORT)


@pytest.mark.parametrize("situation", [s for s in Situation if s is not Situation.CUT_OVER])
def test_the_source_is_only_written_to_while_clients_use_the_target(situation):
    m = to_reverse(record(refresh_source=HOUR))
    assert decide(m, situation, NOW) != EXECUTE


def test_one_that_fails_holds_up_nothing_and_is_tried_again_later_and_later():
    m, waits = to_reverse(record()), []
    for _ in range(9):
        m = reverse_failed(m, "No space.", NOW)
        assert (m.state, m.failure, m.hold, m.attempts) == (State.CUT_OVER, None, None, 0)
        waits.append(reverse_at(m) - NOW)
        assert not reverse_due(m, NOW + waits[-1] - 1)
        assert reverse_due(m, NOW + waits[-1])
    assert waits[:3] == [60.0, 120.0, 240.0]
    assert waits[-1] == HOUR
    assert report(m, Live(source_age=7.5))["reverse_rounds"] == {
        "every_seconds": None,
        "count": 0,
        "bytes": 0,
        "seconds": 0.0,
        "age_seconds": 7,
        "problem": "No space.",
    }
    assert reverse_due(to_reverse(m), NOW)  # asked for again: at once
    assert copied_back(m, done()).reverse.problem == ""


def test_a_clock_that_was_ahead_holds_up_no_round():
    rounds = ReverseRounds(count=1, at=NOW + 10 * HOUR)
    assert reverse_due(record(refresh_source=HOUR, reverse=rounds), NOW)
    failed = reverse_failed(to_reverse(record()), "No space.", NOW + 10 * HOUR)
    assert reverse_due(failed, NOW)


def test_the_newest_snapshot_of_both_is_that_of_the_last_round():
    assert common_snapshot(record()) == "cut"
    assert common_snapshot(reverse_failed(record(), "No.", NOW)) == "cut"
    assert common_snapshot(copied_back(record(), done())) == "r5"


def test_it_is_the_act_execute_which_changes_no_state():
    assert is_reverse(record(), ActKind.EXECUTE)
    assert is_refresh_round(record(), ActKind.EXECUTE)
    assert not is_reverse(record(), ActKind.VERIFY)
    assert not is_reverse(record(State.EXECUTED, cut_over_at=None), ActKind.EXECUTE)


def test_records_without_reverse_rounds_are_those_of_older_versions():
    assert not {b"reverse", b"refresh_source"} & set(encode(record()).replace(b'"', b" ").split())
    with_all = copied_back(record(refresh_source=HOUR), done())
    assert decode(encode(with_all)) == with_all


def test_the_interval_is_set_for_warm_migrations_only():
    m = changed(record(), Changes(refresh_source=6 * HOUR))
    assert m.refresh_source == 6 * HOUR
    assert str(Changes(refresh_source=6 * HOUR)) == "set refresh-source 6h 00m"
    assert str(Changes(refresh_source=0.0)) == "set refresh-source off"
    live = record(State.EXECUTED, method=Method.LIVE, cut_over_at=None)
    with pytest.raises(MigrationError) as error:
        changed(live, Changes(refresh_source=HOUR))
    assert error.value.errno == EINVAL
    assert changed(live, Changes(refresh_source=0.0)).refresh_source == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("off", 0.0), ("0", 0.0), ("60s", 60.0), ("6h", 6 * HOUR)]
)
def test_intervals(text, seconds):
    assert parse_interval(text, "--refresh-source") == seconds


@pytest.mark.parametrize("text", ["", "soon", "59", "-1h", "400d", "inf"])
def test_intervals_that_make_no_sense(text):
    with pytest.raises(MigrationError) as error:
        parse_interval(text, "--refresh-source")
    assert error.value.errno == EINVAL
    assert "--refresh-source" in str(error.value)


def test_what_they_copied_and_that_they_failed_is_counted():
    before = record(refresh_source=HOUR)
    after = copied_back(before, done())
    assert counted(before, after) == [Sample("copied_back_bytes_total", (), 4096.0)]
    assert counted(after, copied_back(after, done(bytes=0))) == []
    failed = reverse_failed(after, "No space.", NOW)
    assert counted(after, failed) == [Sample("reverse_round_failures_total")]


@given(
    every=st.sampled_from([0.0, 60.0, HOUR, 366 * 24 * HOUR]),
    idle=st.integers(0, 2000),
    failures=st.integers(0, 2000),
    wanted=st.booleans(),
)
def test_a_round_that_will_come_comes_within_bounds(every, idle, failures, wanted):
    rounds = ReverseRounds(count=1, at=NOW, idle=idle, wanted=wanted, failures=failures)
    m = record(refresh_source=every, reverse=rounds)
    at = reverse_at(m)
    assert (at is None) == (not every and not wanted)
    if at is not None:
        assert at <= NOW + max(every, 24 * HOUR)
