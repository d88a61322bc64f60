"""Waves of a plan, and the space that it needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.plans.waves import (
    Move,
    Need,
    Phase,
    PlanStep,
    needs,
    next_step,
    seconds,
    waves,
)

PHASES = {phase.value[0].upper(): phase for phase in Phase}  # Q W R P D F C S


def step(text, size=3, stop_after=0, forgiven=0, postponed=()):
    return next_step([PHASES[letter] for letter in text], size, stop_after, forgiven, postponed)


@pytest.mark.parametrize(
    ("text", "stop_after", "forgiven", "expected"),
    [
        ("QQQQQ", 0, 0, PlanStep((0, 1, 2), 1)),
        ("RQQQQ", 0, 0, PlanStep((1, 2), 1)),
        ("RRRQQ", 0, 0, PlanStep((), 1)),
        ("DDRQQ", 0, 0, PlanStep((), 1)),
        ("DDWQQ", 0, 0, PlanStep((2,), 1)),
        ("DDDQQ", 0, 0, PlanStep((3, 4), 2)),
        ("DFCQQ", 0, 0, PlanStep((3, 4), 2)),
        ("DFDQQ", 1, 0, PlanStep((), 2, stop=True)),
        ("DFDQQ", 1, 1, PlanStep((3, 4), 2)),
        ("DFDQQ", 2, 0, PlanStep((3, 4), 2)),
        ("FFRQQ", 2, 0, PlanStep((), 1, stop=True)),
        ("DDDRF", 1, 0, PlanStep((), 2)),
        ("DDDDF", 1, 0, PlanStep((), 2, done=True)),
        ("DDDDC", 0, 0, PlanStep((), 2, done=True)),
        ("DDSQQ", 0, 0, PlanStep((3, 4), 2)),
        ("DDPQQ", 0, 0, PlanStep((), 1)),
        ("DDDSS", 0, 0, PlanStep((), 2, done=True)),
        ("DWSFQ", 1, 0, PlanStep((), 1, stop=True)),
    ],
)
def test_what_a_plan_does_next(text, stop_after, forgiven, expected):
    assert step(text, stop_after=stop_after, forgiven=forgiven) == expected


@pytest.mark.parametrize(
    ("text", "postponed", "expected"),
    [
        ("DWDQQ", [1], PlanStep((3, 4), 2)),
        ("DWDRQ", [1], PlanStep((4,), 2)),
        ("DWDRR", [1], PlanStep((), 2)),
        ("DWDDW", [1], PlanStep((4,), 2)),
        ("DWDDD", [1], PlanStep((1,), 2, most=3)),
        ("WWDDW", [0, 1, 4], PlanStep((0, 1, 4), 2, most=3)),
        ("RWDDR", [0, 1, 4], PlanStep((1,), 2, most=1)),
        ("DSDDD", [1], PlanStep((), 2, done=True)),
    ],
)
def test_an_image_that_is_postponed_is_tried_again_when_all_others_have_ended(
    text, postponed, expected
):
    assert step(text, postponed=postponed) == expected


def test_failures_stop_also_what_was_postponed():
    assert step("FWDDD", stop_after=1, postponed=[1]) == PlanStep((), 2, stop=True)


@given(
    st.lists(st.sampled_from(Phase), min_size=1, max_size=30),
    st.integers(1, 8),
    st.integers(0, 4),
    st.sets(st.integers(0, 29)),
)
def test_nothing_begins_out_of_its_wave_or_twice(phases, size, stop_after, postponed):
    found = next_step(phases, size, stop_after, postponed=postponed)
    ended = (Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED)
    for number in found.begin:
        assert phases[number] in (Phase.QUEUED, Phase.WAITING)
        if number in postponed:
            earlier = [n for n in range(len(phases)) if n not in postponed]
        else:
            assert number // size == found.wave - 1
            earlier = [n for n in range(number // size * size) if n not in postponed]
        assert all(phases[n] in ended for n in earlier)
    if not found.done and not found.stop and not found.begin:
        assert any(phase in (Phase.RUNNING, Phase.PAUSED) for phase in phases)
    assert 1 <= found.wave <= waves(len(phases), size)
    if stop_after and sum(p is Phase.FAILED for p in phases) >= stop_after:
        assert not found.begin


def test_the_space_at_the_peak():
    moves = [Move("nvme", 10, "hdd", 10), Move("nvme", 20, "hdd", 20), Move("ec", 5)]
    assert needs(moves, 1) == {"nvme": Need(30, 30), "ec": Need(5, 5)}
    within = [Move("hdd", 10, "hdd", 10), Move("hdd", 20, "hdd", 20), Move("hdd", 5, "hdd", 5)]
    assert needs(within, 1) == {"hdd": Need(20, 35)}
    assert needs(within, 2) == {"hdd": Need(30, 35)}
    kept = [Move("hdd", 10, "hdd"), Move("hdd", 20, "hdd")]
    assert needs(kept, 1) == {"hdd": Need(30, 30)}


def test_how_long_it_takes():
    assert seconds(100, [None, 50, 10, 0]) == 10
    assert seconds(100, [None]) is None
