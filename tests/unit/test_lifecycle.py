"""The decision table of the documentation, checked against the function for every combination."""

import csv
import itertools
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.decide import (
    ACTING,
    bounded_wait,
    decide,
    failed,
    retry_later,
)
from rbdmigrate.control.lifecycle.decision import End, Fail, Rest, RunAct
from rbdmigrate.control.lifecycle.observed import with_observation
from rbdmigrate.control.lifecycle.situation import HALF_DONE, Situation
from rbdmigrate.control.lifecycle.verification import soak_ends, soak_left, with_soaked
from rbdmigrate.model.migration import Hold, Migration, Place
from rbdmigrate.model.observation import ImageView, Observation
from rbdmigrate.model.rounds import Rounds
from rbdmigrate.model.states import ActKind, Goal, HoldReason, Method, State
from rbdmigrate.model.verification import Outcome, Verification, Verify

DESIGN = Path(__file__).parents[2] / "doc" / "design"
TABLES = {Method.LIVE: DESIGN / "recovery.csv", Method.WARM: DESIGN / "recovery_warm.csv"}
NOW = 1000.0
LINKED = (
    State.PREPARED,
    State.EXECUTING,
    State.EXECUTED,
    State.CUTTING_OVER,
    State.CUT_OVER,
    State.VERIFYING,
    State.VERIFIED,
    State.COMMITTING,
    State.ABORTING,
)
OUTCOMES = {"due": None, "equal": Outcome.PASSED, "partial": Outcome.PARTIAL}


def verification(outcome: Optional[Outcome]) -> Verification:
    return Verification(Verify.FULL, 1, 1.0, 2.0, outcome=outcome, at=NOW - 10)


def migration(
    state: State,
    goal: Goal = Goal.COMMITTED,
    contents: str = "none",
    method: Method = Method.LIVE,
) -> Migration:
    """A migration as it is recorded; one that was linked knows when. Nothing is in part."""
    policy = contents not in ("none", "unchecked")
    return Migration(
        id="1",
        source=Place("hdd", "", "vm", 1, "src"),
        target=Place("nvme", "", "vm", 2, "dst" if state in LINKED else ""),
        goal=goal,
        state=state,
        method=method,
        created=1.0,
        objects_complete=True,
        copy_checked=contents != "unchecked",
        prepared_at=2.0 if state in LINKED else None,
        verify=Verify.FULL if policy else Verify.NONE,
        verification=verification(OUTCOMES[contents]) if policy else None,
        rounds=Rounds(count=1, at=NOW) if method is Method.WARM else None,
    )


@lru_cache
def rows(method: Method) -> list[dict[str, str]]:
    with TABLES[method].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def matches(pattern: str, value: str) -> bool:
    return pattern == "any" or value in pattern.split("|")


def expected(
    method: Method, situation: Situation, goal: Goal, state: State, contents: str
) -> tuple[int, str]:
    """The first row of the documented table that matches."""
    for number, row in enumerate(rows(method)):
        if (
            matches(row["situation"], situation.value)
            and matches(row["goal"], goal.value)
            and matches(row["recorded state"], state.value)
            and matches(row["contents"], contents)
        ):
            return number, row["step"]
    raise AssertionError("no row")


def name_of(decision: object) -> str:
    if isinstance(decision, RunAct):
        return decision.act.value
    if isinstance(decision, End):
        return f"end {decision.state.value}"
    return {Fail: "fail", Rest: "rest"}[type(decision)]


# Ended migrations are in the history and never decided on again.
LIVING = [state for state in State if not state.ended]
# What only the methods have whose target is used at once, and what only the other one has.
OF_WARM = {Situation.CUT_OVER, Situation.HALF_CUT_OVER, State.CUTTING_OVER, State.CUT_OVER}
OF_WARM.add(Goal.CUT_OVER)
OF_OTHERS = {Situation.EXECUTING, Situation.SOURCE_LOST_AFTER, "unchecked"}
CONTENTS = ("none", "unchecked", *OUTCOMES)
NOT_OF = {Method.LIVE: OF_WARM, Method.WARM: OF_OTHERS}
COMBINATIONS = [
    (method, *combination)
    for method in TABLES
    for combination in itertools.product(Situation, Goal, LIVING, CONTENTS)
    if not NOT_OF[method] & set(combination)
]


@pytest.mark.parametrize("method", TABLES, ids=lambda method: method.value)
@pytest.mark.parametrize("situation", Situation)
@pytest.mark.parametrize("goal", Goal)
def test_every_combination_does_what_the_documented_table_says(method, situation, goal):
    if NOT_OF[method] & {situation, goal}:
        return  # the method does not have it
    decided, documented = {}, {}
    for state, contents in itertools.product(LIVING, CONTENTS):
        if NOT_OF[method] & {state, contents}:
            continue
        decision = decide(migration(state, goal, contents, method), situation, NOW)
        decided[state, contents] = name_of(decision)
        documented[state, contents] = expected(method, situation, goal, state, contents)[1]
    assert decided == documented
    assert decided


@pytest.mark.parametrize("method", TABLES)
@pytest.mark.parametrize("situation", Situation)
def test_the_comparison_snapshot_is_removed_when_all_else_is_over(situation, method):
    for goal, state, contents in itertools.product(Goal, LIVING, ("none", *OUTCOMES)):
        m = migration(state, goal, contents, method)
        without = decide(m, situation, NOW)
        decision = decide(replace(m, comparison_snapshot="p"), situation, NOW)
        assert decision == (
            RunAct(ActKind.REMOVE_COMPARISON_SNAPSHOT) if isinstance(without, End) else without
        )


def test_removing_the_comparison_snapshot_waits_for_its_next_attempt():
    m = replace(migration(State.COMMITTING), comparison_snapshot="p")
    later = retry_later(m, 16, "It is busy.", NOW, 30.0)
    assert decide(later, Situation.COMMITTED, NOW + 29) == Rest()
    assert decide(later, Situation.COMMITTED, NOW + 30) == RunAct(
        ActKind.REMOVE_COMPARISON_SNAPSHOT
    )


@pytest.mark.parametrize("method", TABLES)
def test_every_row_of_the_documented_table_is_needed(method):
    used = {expected(*combination)[0] for combination in COMBINATIONS if combination[0] is method}
    assert used == set(range(len(rows(method))))


def test_force_commits_what_was_not_checked_for_missing_objects():
    m = migration(State.EXECUTED, Goal.COMMITTED, "unchecked")
    assert decide(m, Situation.EXECUTED, NOW) == RunAct(ActKind.EXECUTE)
    assert decide(replace(m, force_commit=True), Situation.EXECUTED, NOW) == RunAct(ActKind.COMMIT)


def test_a_partial_verification_is_committed_by_force_only():
    m = migration(State.VERIFIED, Goal.COMMITTED, "partial")
    assert decide(m, Situation.EXECUTED, NOW) == Rest()
    assert decide(replace(m, force_commit=True), Situation.EXECUTED, NOW) == RunAct(ActKind.COMMIT)


def test_force_commits_without_comparing():
    m = replace(migration(State.EXECUTED, Goal.COMMITTED, "due"), force_commit=True)
    assert decide(m, Situation.EXECUTED, NOW) == RunAct(ActKind.COMMIT)


def test_a_difference_is_never_committed_by_itself():
    v = verification(Outcome.FAILED)
    m = replace(migration(State.VERIFYING, Goal.COMMITTED, "due"), verification=v)
    assert decide(m, Situation.EXECUTED, NOW) == Rest()


def test_a_sample_is_not_enough_where_all_was_asked_for():
    v = replace(verification(Outcome.PASSED), mode=Verify.SAMPLE)
    m = replace(migration(State.VERIFIED, Goal.COMMITTED, "due"), verification=v)
    assert decide(m, Situation.EXECUTED, NOW) == RunAct(ActKind.VERIFY)
    assert decide(replace(m, verify=Verify.SAMPLE), Situation.EXECUTED, NOW) == RunAct(
        ActKind.COMMIT
    )


SOAKING = replace(migration(State.VERIFIED, Goal.COMMITTED, "equal"), soak=30.0)
SOAKED = with_soaked(SOAKING, 30.0)


def test_the_soak_time_is_waited_for():
    assert decide(SOAKED, Situation.EXECUTED, NOW + 19) == Rest()
    assert decide(SOAKED, Situation.EXECUTED, NOW + 20) == RunAct(ActKind.COMMIT)


@pytest.mark.parametrize("seen", [0.0, 29.9])
def test_a_clock_that_is_ahead_does_not_end_the_soak_time(seen):
    """The commit cannot be taken back, and the next manager's clock may be set wrong."""
    m = with_soaked(SOAKING, seen)
    for now in (NOW + 20, NOW + 86400, NOW + 10**9):
        assert decide(m, Situation.EXECUTED, now) == Rest()
        assert soak_ends(m, now) == pytest.approx(now + 30 - seen)


def test_a_soak_time_that_began_by_a_clock_that_was_ahead_ends_when_it_was_seen_to_pass():
    then = NOW - 86400
    assert decide(with_soaked(SOAKING, 29.0), Situation.EXECUTED, then) == Rest()
    assert decide(SOAKED, Situation.EXECUTED, then) == RunAct(ActKind.COMMIT)


def test_a_soak_time_begins_again_with_another_verification():
    v = replace(SOAKED.verification, at=SOAKED.verification.at + 5)
    again = replace(SOAKED, verification=v)
    assert soak_left(again) == 30.0
    assert soak_left(with_soaked(with_soaked(again, 10.0), 5.0)) == 15.0


def test_a_soak_time_that_is_made_longer_counts_what_has_passed():
    assert soak_left(replace(SOAKED, soak=50.0)) == 20.0
    assert soak_left(replace(SOAKED, soak=10.0)) == 0.0


def test_without_a_soak_time_none_is_counted():
    m = replace(SOAKING, soak=0.0)
    assert with_soaked(m, 9.0) == m
    assert soak_ends(m, NOW) is None


@pytest.mark.parametrize(("ahead", "waits"), [(0.0, 20.0), (3600.0, 300.0), (-3600.0, 0.0)])
def test_a_retry_is_not_later_than_its_longest_wait_whoever_noted_it(ahead, waits):
    """Another manager's clock may have been ahead."""
    m = retry_later(migration(State.COMMITTING), 16, "It is busy.", NOW + ahead, 20.0)
    bounded = bounded_wait(m, NOW, 300.0)
    assert max(0.0, bounded.hold.until - NOW) == waits
    assert decide(bounded, Situation.EXECUTED, NOW + waits) == RunAct(ActKind.COMMIT)


def test_a_wait_that_is_no_retry_is_left_alone():
    hold = Hold(HoldReason.OPERATOR, "Look at it.", NOW + 10**6)
    m = replace(migration(State.COMMITTING), hold=hold)
    assert bounded_wait(m, NOW, 300.0) == m


def test_absorb_keeps_verified_and_what_is_being_compared():
    for state, contents in ((State.VERIFIED, "equal"), (State.VERIFYING, "due")):
        m = migration(state, Goal.COMMITTED, contents)
        assert with_observation(m, Situation.EXECUTED, seen(), NOW).state is state
    m = replace(migration(State.VERIFYING, Goal.COMMITTED, "due"), verify=Verify.NONE)
    assert with_observation(m, Situation.EXECUTED, seen(), NOW).state is State.EXECUTED


@pytest.mark.parametrize("situation", sorted(HALF_DONE))
def test_an_abandoned_half_done_act_of_somebody_else_is_completed(situation):
    m = migration(State.PREPARED)
    assert decide(m, situation, NOW) == Rest()
    assert isinstance(decide(m, situation, NOW, abandoned=True), RunAct)


@pytest.mark.parametrize("situation", [Situation.PREPARED, Situation.EXECUTING, Situation.EXECUTED])
def test_a_paused_migration_rests_until_it_is_aborted(situation):
    paused = replace(migration(State.EXECUTING), paused=True)
    assert decide(paused, situation, NOW) == Rest()
    assert decide(replace(paused, goal=Goal.ABORTED), situation, NOW) == RunAct(ActKind.ABORT)


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("goal", Goal)
def test_what_a_copy_left_in_part_is_completed_before_all_but_an_abort(goal, paused):
    m = replace(migration(State.EXECUTING, goal), objects_complete=False, paused=paused)
    expected = RunAct(ActKind.ABORT) if goal is Goal.ABORTED else RunAct(ActKind.COMPLETE_OBJECTS)
    assert decide(m, Situation.EXECUTING, NOW) == expected
    for situation in set(Situation) - {Situation.EXECUTING}:
        assert decide(m, situation, NOW) == decide(
            replace(m, objects_complete=True), situation, NOW
        )


def test_completing_waits_for_its_next_attempt():
    m = replace(migration(State.EXECUTING), objects_complete=False)
    later = retry_later(m, 110, "Completing objects failed.", NOW, 30.0)
    assert decide(later, Situation.EXECUTING, NOW + 29) == Rest()
    assert decide(later, Situation.EXECUTING, NOW + 30) == RunAct(ActKind.COMPLETE_OBJECTS)


def test_a_record_of_an_older_version_does_not_know_that_its_objects_are_complete():
    assert not Migration(
        "1", Place("a", "", "b"), Place("c", "", "d"), Goal.EXECUTED, State.EXECUTING, 1.0
    ).objects_complete


@pytest.mark.parametrize("situation", sorted(HALF_DONE))
def test_a_pause_does_not_leave_an_act_of_ours_half_done(situation):
    state = {
        Situation.HALF_PREPARED: State.PREPARING,
        Situation.HALF_ABORTED: State.ABORTING,
        Situation.HALF_COMMITTED: State.COMMITTING,
    }[situation]
    paused = replace(migration(state), paused=True)
    assert isinstance(decide(paused, situation, NOW), RunAct)


def test_a_retry_waits_for_its_time():
    later = retry_later(migration(State.PREPARED), 110, "Copying failed.", NOW, 30.0)
    assert decide(later, Situation.PREPARED, NOW + 29) == Rest()
    assert decide(later, Situation.PREPARED, NOW + 30) == RunAct(ActKind.EXECUTE)
    assert later.hold is not None
    assert later.hold.reason is HoldReason.RETRY


def test_what_somebody_else_finished_is_recorded_even_while_a_retry_waits():
    later = retry_later(migration(State.PREPARED), 110, "Copying failed.", NOW, 30.0)
    assert decide(later, Situation.COMMITTED, NOW) == End(
        State.COMMITTED, "committed by somebody else"
    )


def test_what_somebody_else_aborted_is_never_failed():
    broken = failed(migration(State.PREPARED), 5, "It broke.", NOW)
    assert decide(broken, Situation.UNTOUCHED, NOW) == End(
        State.ABORTED, "aborted by somebody else"
    )


def seen(name: str = "vm", target: bool = True) -> Observation:
    source = ImageView("src", name, True, False, None)
    return Observation(source, ImageView("dst", "renamed", True, False, None) if target else None)


def test_absorb_learns_the_targets_id_and_new_name():
    adopted = replace(
        migration(State.PREPARED), target=Place("nvme", "", "vm", 2), prepared_at=None
    )
    m = with_observation(adopted, Situation.EXECUTING, seen(), NOW)
    assert (m.state, m.target.image, m.target.image_id) == (State.EXECUTING, "renamed", "dst")


def test_a_prepare_that_never_answered_is_not_taken_for_prepared():
    """librbd moves the source's clones after both headers say that it is prepared."""
    cut_off = migration(State.PREPARING)
    assert with_observation(cut_off, Situation.PREPARED, seen(), NOW) == cut_off
    for goal in Goal:
        m = replace(cut_off, goal=goal, paused=True)
        assert decide(m, Situation.PREPARED, NOW) == RunAct(ActKind.UNDO_PREPARE)


def test_absorb_follows_a_source_that_was_renamed_before_prepare():
    m = with_observation(
        migration(State.QUEUED), Situation.UNTOUCHED, seen("other", target=False), NOW
    )
    assert m.source.image == "other"


@pytest.mark.parametrize("situation", Situation)
def test_absorb_never_takes_another_image_for_the_target(situation):
    """A half-done act goes by the name: that of the same image is followed."""
    m = migration(State.COMMITTING)
    other = replace(seen(), target=ImageView("another", "vm", True, False, None))
    linked = situation in (Situation.PREPARED, Situation.EXECUTING, Situation.EXECUTED)
    taken = with_observation(m, situation, other, NOW).target
    assert linked or (taken.image_id, taken.image) == ("dst", "vm")
    if situation in (Situation.HALF_ABORTED, Situation.HALF_COMMITTED):
        assert with_observation(m, situation, seen(), NOW).target.image == "renamed"


def test_a_commit_that_was_begun_makes_committed_the_goal():
    m = with_observation(
        migration(State.EXECUTED, Goal.ABORTED), Situation.HALF_COMMITTED, seen(), NOW
    )
    assert m.goal is Goal.COMMITTED


@pytest.mark.parametrize("situation", sorted(HALF_DONE))
def test_absorb_keeps_the_state_that_says_whose_act_was_cut_off(situation):
    m = migration(State.EXECUTED)
    assert with_observation(m, situation, seen(), NOW).state is State.EXECUTED


def test_absorb_does_not_wake_a_failed_migration():
    broken = failed(migration(State.PREPARED), 5, "It broke.", NOW)
    assert with_observation(broken, Situation.PREPARED, seen(), NOW).state is State.FAILED


@given(
    situation=st.sampled_from(Situation),
    goal=st.sampled_from(Goal),
    state=st.sampled_from(LIVING),
    paused=st.booleans(),
    until=st.none() | st.floats(0, 2000),
    abandoned=st.booleans(),
    objects_complete=st.booleans(),
    method=st.sampled_from(list(TABLES)),
)
def test_an_act_never_goes_against_what_is_there(
    situation, goal, state, paused, until, abandoned, objects_complete, method
):
    hold = None if until is None else Hold(HoldReason.RETRY, "It waits.", until)
    m = replace(
        migration(state, goal, method=method),
        paused=paused,
        hold=hold,
        objects_complete=objects_complete,
    )
    decision = decide(m, situation, NOW, abandoned=abandoned)
    if not isinstance(decision, RunAct) or situation in NOT_OF[method]:
        return
    allowed = {
        ActKind.PREPARE: {Situation.UNTOUCHED},
        ActKind.UNDO_PREPARE: {Situation.HALF_PREPARED, Situation.PREPARED, Situation.HALF_ABORTED},
        ActKind.EXECUTE: {Situation.PREPARED, Situation.EXECUTING},
        ActKind.COMPLETE_OBJECTS: {Situation.EXECUTING},
        ActKind.CUT_OVER: {
            Situation.EXECUTED,
            Situation.HALF_CUT_OVER,
            # Once more, when the answer to ours was lost.
            *({Situation.CUT_OVER} if state is State.CUTTING_OVER else ()),
        },
        ActKind.VERIFY: {Situation.EXECUTED, Situation.CUT_OVER},
        ActKind.COMMIT: {Situation.EXECUTED, Situation.CUT_OVER},
        ActKind.FINISH_COMMIT: {Situation.HALF_COMMITTED, Situation.SOURCE_LOST_AFTER},
        ActKind.ABORT: {
            Situation.PREPARED,
            Situation.EXECUTING,
            Situation.EXECUTED,
            Situation.HALF_ABORTED,
            Situation.CUT_OVER,
            Situation.HALF_CUT_OVER,
            Situation.TARGET_POOL_GONE,
            Situation.SOURCE_LOST,
            *({Situation.HALF_COMMITTED} if method is Method.WARM else ()),
        },
    }
    assert situation in allowed[decision.act]
    assert decision.act in ACTING
    if decision.act is ActKind.COMMIT:
        assert goal is Goal.COMMITTED
    if method is Method.WARM and decision.act in (ActKind.VERIFY, ActKind.COMMIT):
        assert situation is Situation.CUT_OVER
