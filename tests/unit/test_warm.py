"""The method ``warm``: what is observed, what follows, and what may be asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from errno import EAGAIN, EBUSY, EINVAL
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.cutover import cut_over, cut_over_refused, to_cut_over
from rbdmigrate.control.lifecycle.decide import decide
from rbdmigrate.control.lifecycle.decision import Rest, RunAct
from rbdmigrate.control.lifecycle.observed import with_observation
from rbdmigrate.control.lifecycle.requests import (
    Changes,
    changed,
    to_commit,
    to_execute,
    to_verify,
)
from rbdmigrate.control.lifecycle.situation import Situation, diagnose
from rbdmigrate.control.lifecycle.warm import (
    is_refresh_round,
    kept_hold,
    may_go_back,
    names_changed,
    refresh_at,
    refresh_due,
    synchronized,
    to_refresh_round,
    way_back,
)
from rbdmigrate.model.client_warnings import client_warnings
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.jobs.answers import CutOverDone, Synchronized
from rbdmigrate.model.migration import Hold, Migration, Place
from rbdmigrate.model.migration_codec import decode, encode
from rbdmigrate.model.observation import (
    HeaderState,
    ImageView,
    MigrationHeader,
    NamesNow,
    Observation,
)
from rbdmigrate.model.report import Live, report
from rbdmigrate.model.rounds import Rounds, hidden_name, in_step
from rbdmigrate.model.states import ActKind, Goal, HoldReason, Method, State
from rbdmigrate.model.verification import Verify

S, H = Situation, HeaderState
NOW = 10_000.0
HIDDEN = hidden_name("m1")
BEFORE, HALF, AFTER = (
    NamesNow(source=True, target=False, complete=True),
    NamesNow(source=False, target=False, complete=True),
    NamesNow(source=False, target=True, complete=True),
)


def record(state: State = State.EXECUTED, **changes) -> Migration:
    in_place = changes.pop("in_place", False)
    plain = Migration(
        id="m1",
        source=Place("hdd", "", "vm", 1, "src"),
        target=Place("hdd", "", "vm", 1, "dst") if in_place else Place("ssd", "", "vm", 2, "dst"),
        goal=Goal.EXECUTED,
        state=state,
        created=1.0,
        method=Method.WARM,
        prepared_at=2.0,
        executed_at=3.0,
    )
    return replace(plain, **changes)


def source(name: str = "vm", *, listed: bool = True) -> ImageView:
    return ImageView("src", name, listed, not listed, None)


def target(state: Optional[HeaderState], name: str = HIDDEN, ident: str = "dst") -> ImageView:
    header = None if state is None else MigrationHeader(False, 1, "", "vm", "src", state)
    return ImageView(ident, name, True, False, header)


SEEN = [
    ("nothing yet", Observation(source(), None), S.UNTOUCHED),
    ("prepared", Observation(source(), target(H.PREPARED), names=BEFORE), S.PREPARED),
    ("in sync", Observation(source(), target(H.EXECUTED), names=BEFORE), S.EXECUTED),
    (
        "nameless",
        Observation(source(listed=False), target(H.EXECUTED), names=HALF),
        S.HALF_CUT_OVER,
    ),
    (
        "published, not listed",
        Observation(source(listed=False), target(H.EXECUTED), names=NamesNow(False, True, False)),
        S.HALF_CUT_OVER,
    ),
    (
        "cut over",
        Observation(source(listed=False), target(H.EXECUTED, "vm"), names=AFTER),
        S.CUT_OVER,
    ),
    ("source gone", Observation(None, target(H.EXECUTED, "vm"), names=AFTER), S.HALF_COMMITTED),
    ("committed", Observation(None, target(None, "vm"), names=AFTER), S.COMMITTED),
    ("source lost", Observation(None, target(H.EXECUTED), names=HALF), S.SOURCE_LOST),
    ("target going", Observation(source(), target(H.ABORTING), names=BEFORE), S.HALF_ABORTED),
    ("target gone, source nameless", Observation(source(listed=False), None), S.HALF_ABORTED),
    ("another one", Observation(source(), target(None, "vm", "other")), S.TARGET_TAKEN),
    ("both gone", Observation(None, None), S.LOST),
    ("source pool gone", Observation(None, None, source_gone=True), S.SOURCE_POOL_GONE),
    ("target pool gone", Observation(source(), None, target_gone=True), S.UNTOUCHED),
    (
        "target pool gone after the cutover",
        Observation(source(listed=False), None, target_gone=True),
        S.TARGET_POOL_GONE,
    ),
    (
        "the source was renamed",
        Observation(source("new"), target(H.EXECUTED), names=HALF),
        S.EXECUTED,
    ),
]


@pytest.mark.parametrize(("seen", "situation"), [pytest.param(*r[1:], id=r[0]) for r in SEEN])
def test_each_state_on_disk_has_its_situation(seen, situation):
    assert diagnose(record(), seen) is situation


def test_before_the_prepare_answered_the_target_goes_by_its_hidden_name():
    m = record(State.PREPARING, target=Place("ssd", "", "vm", 2), prepared_at=None)
    for state in (None, H.PREPARED):
        seen = Observation(source(), target(state), names=BEFORE)
        situation = diagnose(m, seen)
        assert decide(m, situation, NOW) == RunAct(ActKind.UNDO_PREPARE)
        assert with_observation(m, situation, seen, NOW) == m
    other = Observation(source(), target(None, "vm", "other"))
    assert diagnose(m, other) is S.TARGET_TAKEN
    in_place = replace(m, target=replace(m.source, image_id=""))
    assert diagnose(in_place, other) is S.UNTOUCHED


def test_nobody_trashes_a_source_by_accident_into_a_cutover():
    """Its name is gone as in the middle of a cutover, but none of ours was begun."""
    seen = Observation(source(listed=False), target(H.EXECUTED), names=HALF)
    m = record(State.EXECUTED, goal=Goal.COMMITTED)
    situation = diagnose(m, seen)
    assert decide(m, situation, NOW) == Rest()
    assert "rbd trash restore" in names_changed(m, situation, seen)
    linked = replace(source(listed=False), header=MigrationHeader(True, 2, "", "x", "", H.PREPARED))
    said = names_changed(m, situation, replace(seen, source=linked))
    assert "hdd/vm" in said
    assert "plain `rbd`" in said
    ours = replace(m, state=State.CUTTING_OVER)
    assert decide(ours, situation, NOW) == RunAct(ActKind.CUT_OVER)
    assert not names_changed(ours, situation, seen)
    assert decide(replace(ours, paused=True), situation, NOW) == RunAct(ActKind.CUT_OVER)
    assert decide(replace(ours, goal=Goal.ABORTED), situation, NOW) == RunAct(ActKind.ABORT)


@pytest.mark.parametrize("in_place", [False, True])
def test_images_that_users_rename_are_followed(in_place):
    seen = Observation(source("new"), target(H.EXECUTED), names=HALF)
    m = with_observation(record(in_place=in_place), S.EXECUTED, seen, NOW)
    assert m.source.image == "new"
    assert m.target.image == ("new" if in_place else "vm")
    after = record(State.CUT_OVER, in_place=in_place, cut_over_at=5.0)
    seen = Observation(source(listed=False), target(H.EXECUTED, "new"), names=HALF)
    situation = diagnose(after, seen)
    m = with_observation(after, situation, seen, NOW)
    assert (situation, m.target.image) == (S.CUT_OVER, "new")
    assert m.source.image == ("new" if in_place else "vm")


def test_a_round_that_was_cut_off_does_not_take_executed_away():
    seen = Observation(source(), target(H.PREPARED), names=BEFORE)
    m = with_observation(record(), S.PREPARED, seen, NOW)
    assert m.state is State.EXECUTED
    assert decide(m, S.PREPARED, NOW) == RunAct(ActKind.EXECUTE)


def test_what_is_compared_after_the_cutover_stays_verified():
    seen = Observation(source(listed=False), target(H.EXECUTED, "vm"), names=AFTER)
    m = record(State.VERIFIED, goal=Goal.VERIFIED, verify=Verify.FULL, cut_over_at=5.0)
    assert with_observation(m, S.CUT_OVER, seen, NOW).state is State.VERIFIED


def test_a_cutover_whose_answer_was_lost_is_not_over_until_its_snapshot_is_known():
    seen = Observation(source(listed=False), target(H.EXECUTED, "vm"), names=AFTER)
    m = record(State.CUTTING_OVER, goal=Goal.VERIFIED)
    assert with_observation(m, S.CUT_OVER, seen, NOW) == m
    assert decide(m, S.CUT_OVER, NOW) == RunAct(ActKind.CUT_OVER)
    aborted = with_observation(replace(m, goal=Goal.ABORTED), S.CUT_OVER, seen, NOW)
    assert aborted.state is State.CUT_OVER
    assert decide(aborted, S.CUT_OVER, NOW) == RunAct(ActKind.ABORT)


def test_a_goal_before_the_cutover_never_cuts_over():
    for goal in (Goal.PREPARED, Goal.EXECUTED):
        assert decide(fresh(goal=goal), S.EXECUTED, NOW) == Rest()
    for goal in (Goal.CUT_OVER, Goal.VERIFIED, Goal.COMMITTED):
        assert decide(record(goal=goal), S.EXECUTED, NOW) == RunAct(ActKind.CUT_OVER)
        assert decide(record(goal=goal, paused=True), S.EXECUTED, NOW) == Rest()


# -- rounds


def fresh(**changes) -> Migration:
    return record(rounds=Rounds(count=3, bytes=5, seconds=1.0, at=NOW), **changes)


@pytest.mark.parametrize(
    ("seconds", "idle", "age"),
    [
        (1.0, 0, 60),
        (10.0, 0, 200),
        (1.0, 1, 120),
        (1.0, 3, 480),
        (1.0, 30, 3600),
        (600.0, 9, 12000),
    ],
)
def test_rounds_become_rarer_while_they_copy_nothing(seconds, idle, age):
    m = record(rounds=Rounds(seconds=seconds, at=NOW, idle=idle))
    assert refresh_at(m) == NOW + age
    assert decide(m, S.EXECUTED, NOW + age - 1) == Rest()
    assert decide(m, S.EXECUTED, NOW + age) == RunAct(ActKind.EXECUTE)
    assert decide(replace(m, paused=True), S.EXECUTED, NOW + age) == Rest()


def test_a_clock_that_was_ahead_does_not_keep_a_target_stale():
    assert refresh_due(fresh(), NOW - 86400)


def test_a_copy_whose_worker_was_lost_before_it_told_of_its_rounds_is_refreshed_at_once():
    m = record(rounds=None)
    assert decide(m, S.EXECUTED, NOW) == RunAct(ActKind.EXECUTE)
    assert decide(to_refresh_round(m), S.EXECUTED, NOW) == RunAct(ActKind.EXECUTE)
    assert decide(replace(m, paused=True), S.EXECUTED, NOW) == Rest()


def test_another_round_can_be_asked_for():
    m = replace(to_refresh_round(to_execute(fresh())), bytes_total=7)
    assert decide(m, S.EXECUTED, NOW + 1) == RunAct(ActKind.EXECUTE)
    done = synchronized(m, Synchronized("p", 1, 0, 1.0, NOW + 1, 9))
    assert decide(done, S.EXECUTED, NOW + 2) == Rest()
    assert done.rounds == Rounds(count=4, bytes=0, seconds=1.0, at=NOW + 1, idle=1)
    assert (done.comparison_snapshot, done.bytes_total, done.bytes_copied) == ("p", 7, 7)
    first = synchronized(record(bytes_total=8), Synchronized("p", 2, 0, 1.0, NOW, 9))
    assert (first.bytes_total, first.bytes_copied) == (9, 9)


def test_a_round_that_refreshes_does_not_hide_why_a_cutover_was_refused():
    m = replace(fresh(), hold=Hold(HoldReason.OPERATOR, "Somebody has it open."))
    assert is_refresh_round(m, ActKind.EXECUTE)
    assert kept_hold(m, ActKind.EXECUTE) == m.hold
    assert kept_hold(m, ActKind.CUT_OVER) is None
    assert kept_hold(replace(m, hold=Hold(HoldReason.RETRY, "It waits.")), ActKind.EXECUTE) is None
    assert not is_refresh_round(record(State.PREPARED), ActKind.EXECUTE)
    assert not is_refresh_round(replace(m, method=Method.COPY), ActKind.EXECUTE)


# -- the cutover


def test_the_cutover_is_the_answer_to_what_it_took():
    m = record(State.CUTTING_OVER, goal=Goal.CUT_OVER, rounds=Rounds(count=2))
    m = cut_over(m, CutOverDone("p", 0.25, 4096), NOW)
    assert (m.state, m.cut_over_at, m.comparison_snapshot) == (State.CUT_OVER, NOW, "p")
    assert m.rounds is not None
    assert (m.rounds.count, m.rounds.pause) == (2, 0.25)


def refused(number, request, *args, **named) -> str:
    with pytest.raises(MigrationError) as error:
        request(*args, **named)
    assert error.value.errno == number
    return str(error.value)


@pytest.mark.parametrize(
    ("goal", "left"),
    [(Goal.CUT_OVER, Goal.EXECUTED), (Goal.VERIFIED,) * 2, (Goal.COMMITTED,) * 2],
)
def test_a_refused_cutover_waits_for_somebody_and_keeps_the_target_fresh(goal, left):
    m = record(State.CUTTING_OVER, goal=goal, rounds=Rounds(at=NOW))
    m = cut_over_refused(m, "Somebody has it open.", NOW)
    assert (m.state, m.goal) == (State.EXECUTED, left)
    assert m.hold == Hold(HoldReason.OPERATOR, "Somebody has it open.")
    assert decide(m, S.EXECUTED, NOW) == Rest()
    assert decide(m, S.EXECUTED, NOW + 60) == RunAct(ActKind.EXECUTE)
    again = to_cut_over(m)
    assert (again.hold, again.goal) == (None, goal)
    assert decide(again, S.EXECUTED, NOW) == RunAct(ActKind.CUT_OVER)


def test_an_abort_that_was_asked_for_meanwhile_survives_a_refused_cutover():
    m = record(State.CUTTING_OVER, goal=Goal.ABORTED)
    assert cut_over_refused(m, "Somebody has it open.", NOW).goal is Goal.ABORTED


def test_only_what_is_executed_can_be_cut_over():
    for state in (State.QUEUED, State.PREPARED, State.EXECUTING):
        assert "execute" in refused(EAGAIN, to_cut_over, record(state))
    assert "live" in refused(EINVAL, to_cut_over, record(method=Method.LIVE))
    refused(EBUSY, to_cut_over, record(goal=Goal.ABORTED))
    assert to_cut_over(record(paused=True)).goal is Goal.CUT_OVER
    assert not to_cut_over(record(paused=True)).paused
    assert to_cut_over(record(goal=Goal.COMMITTED)).goal is Goal.COMMITTED
    done = record(State.VERIFIED, cut_over_at=5.0)
    assert to_cut_over(done) == done


def test_nothing_is_committed_or_compared_before_the_cutover():
    for state in (State.PREPARED, State.EXECUTED, State.CUTTING_OVER):
        m = record(state)
        assert "cutover ssd/vm" in refused(EAGAIN, to_commit, m, force=True)
        assert "cutover ssd/vm" in refused(EAGAIN, to_verify, m, Verify.FULL, NOW)
    after = record(State.CUT_OVER, cut_over_at=5.0)
    assert to_commit(after, force=False).goal is Goal.COMMITTED
    assert to_verify(after, Verify.FULL, NOW).goal is Goal.VERIFIED


def test_the_goal_cut_over_is_for_warm_only():
    wanted = Changes(goal=Goal.CUT_OVER)
    assert changed(record(), wanted).goal is Goal.CUT_OVER
    for method in (Method.LIVE, Method.COPY):
        refused(EINVAL, changed, record(method=method), wanted)


def test_without_comparison_the_soak_time_begins_with_the_cutover():
    m = record(State.CUT_OVER, goal=Goal.COMMITTED, cut_over_at=NOW, soak=30.0)
    assert decide(m, S.CUT_OVER, NOW + 29) == Rest()
    m = replace(m, soak_ended=True)
    assert decide(m, S.CUT_OVER, NOW + 29) == RunAct(ActKind.COMMIT)


# -- what people are told


@pytest.mark.parametrize(
    ("method", "before", "after"),
    [
        (Method.LIVE, {"prepared_at": None}, {"prepared_at": 1.0}),
        (Method.COPY, {"executed_at": None}, {"executed_at": 1.0}),
        (Method.WARM, {"executed_at": 1.0}, {"cut_over_at": 1.0}),
    ],
)
def test_the_report_says_which_image_clients_use(method, before, after):
    m = record(method=method)
    assert report(replace(m, **before), Live())["clients"] == "source"
    assert report(replace(m, **after), Live())["clients"] == "target"
    back = replace(m, **after, state=State.ABORTED)
    assert report(back, Live())["clients"] == "source"


NEXT = [
    (State.PREPARED, Goal.PREPARED, {}, "execute ssd/vm"),
    (State.EXECUTED, Goal.EXECUTED, {}, "cutover ssd/vm"),
    (State.EXECUTING, Goal.EXECUTED, {}, "cutover ssd/vm"),
    (State.EXECUTED, Goal.COMMITTED, {}, "cuts over by itself"),
    (State.CUTTING_OVER, Goal.CUT_OVER, {}, "start no client now"),
    (State.CUT_OVER, Goal.CUT_OVER, {"cut_over_at": 5.0}, "commit ssd/vm"),
    (State.CUT_OVER, Goal.COMMITTED, {"cut_over_at": 5.0}, "by itself until it is committed"),
    (State.VERIFIED, Goal.VERIFIED, {"cut_over_at": 5.0}, "commit ssd/vm"),
    (State.ABORTING, Goal.ABORTED, {}, "nothing else changes"),
    (State.ABORTING, Goal.ABORTED, {"cut_over_at": 5.0}, "copied back"),
]


@pytest.mark.parametrize(("state", "goal", "changes", "said"), NEXT)
def test_every_state_says_what_comes_next(state, goal, changes, said):
    told = report(record(state, goal=goal, **changes), Live())["next"]
    assert said in told
    assert ("cutover ssd/vm" in told) == (said == "cutover ssd/vm")


def test_the_pause_that_a_cutover_would_take_is_told_before_it():
    rounds = Rounds(count=3, bytes=32 << 20, seconds=1.0, at=NOW, scan=0.2)
    told = report(record(rounds=rounds), Live())["rounds"]
    assert (told["pause_seconds"], told["pause_estimate_seconds"]) == (None, 0.85)
    little = replace(rounds, left=0)
    assert report(record(rounds=little), Live())["rounds"]["pause_estimate_seconds"] == 0.35


@pytest.mark.parametrize(
    ("copied", "seconds", "left", "wanted"),
    [
        (0, 0.1, None, True),
        (8 << 20, 90.0, None, True),
        (9 << 20, 0.1, None, False),
        (64 << 20, 0.5, 0, True),
        (64 << 20, 0.5, 8 << 20, True),
        (64 << 20, 0.5, 9 << 20, False),
        (64 << 20, 6.0, 0, False),
        (1 << 20, 6.0, 0, True),
        (0, 6.0, 9 << 20, False),
    ],
)
def test_rounds_follow_until_little_differs(copied, seconds, left, wanted):
    assert in_step(copied, seconds, left) is wanted


def test_the_rounds_are_reported_with_the_age_of_the_copy():
    m = record(rounds=Rounds(count=3, bytes=5, seconds=1.0, at=NOW, pause=0.25))
    assert report(m, Live(age=12.7))["rounds"] == {
        "count": 3,
        "bytes": 5,
        "seconds": 1.0,
        "age_seconds": 12,
        "pause_seconds": 0.25,
        "pause_estimate_seconds": None,
    }
    assert report(record(), Live())["rounds"] is None
    assert client_warnings(m) == []


def test_what_an_abort_would_copy_back_is_reported():
    m = record(state=State.CUT_OVER, rounds=Rounds(count=3, at=NOW, scan=0.2), cut_over_at=NOW)
    assert not may_go_back(m)  # nothing says since when
    m = replace(m, comparison_snapshot="p")
    assert may_go_back(m)
    told = report(m, Live(way_back=way_back(m, 32 << 20, NOW)))["way_back"]
    assert told == {"bytes": 32 << 20, "seconds": 0.85, "at": "1970-01-01T02:46:40Z"}
    told = report(m, Live(way_back=way_back(m, None, NOW)))["way_back"]
    assert (told["bytes"], told["seconds"]) == (None, None)
    assert report(m, Live())["way_back"] is None
    assert not may_go_back(replace(m, goal=Goal.ABORTED))
    assert not may_go_back(replace(m, state=State.COMMITTED))
    assert not may_go_back(replace(m, cut_over_at=None))


# -- records


def test_records_of_version_0_1_load():
    plain = json.loads(encode(record()))
    for name in ("method", "rounds", "cut_over_at"):
        plain.pop(name, None)
    old = decode(json.dumps(plain).encode())
    assert (old.method, old.rounds, old.cut_over_at) == (Method.LIVE, None, None)


@given(st.sampled_from(Goal), st.sampled_from(State), st.booleans())
def test_no_decision_removes_a_source_that_was_not_cut_over(goal, state, paused):
    if state.ended:
        return
    m = record(state, goal=goal, paused=paused)
    for situation in set(Situation) - {S.CUT_OVER, S.HALF_COMMITTED}:
        assert decide(m, situation, NOW) not in (
            RunAct(ActKind.COMMIT),
            RunAct(ActKind.FINISH_COMMIT),
        )
