"""Verification: the choice of a sample, what differs, outcomes, and old records."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle import verification as control
from rbdmigrate.control.lifecycle.verification import (
    BLOCK,
    GRAIN,
    Blocks,
    at_least,
    begun,
    by_default,
    conclude,
    covers,
    describe_differences,
    differing,
    due,
    miss_probability,
    passed,
    sample,
    with_differences,
)
from rbdmigrate.model.bounds import MAX_RECORD
from rbdmigrate.model.migration_codec import decode, encode, encode_readable
from rbdmigrate.model.states import Goal
from rbdmigrate.model.verification import (
    MAX_REASONS,
    SHOWN,
    Compared,
    Extent,
    Outcome,
    Verification,
    Verify,
)
from tests.unit.builders import migration

NOW = 1000.0
FULL = Verification(Verify.FULL, 1, 1.0, NOW)
blocks = st.lists(st.integers(0, 1 << 40), unique=True, max_size=200).map(sorted)
fractions = st.floats(0.001, 1.0)


@given(blocks, fractions, st.integers(0, 1 << 32), st.text(max_size=5))
def test_a_sample_is_the_fraction_rounded_up_and_the_same_again(found, fraction, seed, view):
    chosen = list(sample(Blocks(found), fraction, seed, view))
    assert set(chosen) <= set(found)
    assert chosen == sorted(chosen)
    assert chosen == list(sample(Blocks(found), fraction, seed, view))
    assert len(chosen) >= fraction * len(found) - 1e-6
    assert len(chosen) <= max(1, fraction * len(found) + 1)
    assert bool(chosen) == bool(found)


def test_a_sample_of_all_is_all():
    assert list(sample(Blocks([1, 5, 9]), 1.0, 7, "")) == [1, 5, 9]


def test_a_sample_goes_on_as_an_earlier_version_chose_it():
    """A verification that was interrupted keeps its choice."""
    chosen = sample(Blocks(range(1000)), 0.01, 42, "snap")

    def rank(number):
        return hashlib.blake2b(f"42/snap/{number}".encode(), digest_size=8).digest()

    assert set(chosen) == set(sorted(range(1000), key=rank)[:10])


@given(blocks, st.integers(0, 1 << 40))
def test_blocks_know_which_they_are(found, other):
    made = Blocks(found)
    assert all(number in made for number in found)
    assert (other in made) == (other in set(found))
    assert None not in made


def test_every_block_is_chosen_as_often_as_every_other():
    """The stated probability is that of the choice: 1000 seeds, 5 of 50 blocks."""
    hits = [0] * 50
    for seed in range(1000):
        for number in sample(Blocks(range(50)), 0.1, seed, "head"):
            hits[number] += 1
    assert sum(hits) == 5000
    assert all(60 <= count <= 145 for count in hits)  # 100 expected, more than four deviations


def test_the_probability_of_missing_a_block_is_that_of_the_worst_view():
    views = [Compared("a", blocks=5, of_blocks=100), Compared("", blocks=1, of_blocks=3)]
    assert miss_probability(views) == pytest.approx(0.95)
    assert miss_probability([Compared("", blocks=4, of_blocks=4)]) == 0
    assert miss_probability([]) == 0


@given(st.binary(min_size=1, max_size=4), st.lists(st.integers(0, 15), unique=True))
def test_differing_finds_each_grain_that_differs_and_no_other(pad, changed):
    left = bytearray(GRAIN * 15) + pad
    right = bytearray(left)
    for number in changed:
        right[min(number * GRAIN, len(right) - 1)] ^= 1
    found = differing(bytes(left), bytes(right), BLOCK)
    grains = {
        at // GRAIN
        for e in found
        for at in range(e.offset - BLOCK, e.offset - BLOCK + e.length, GRAIN)
    }
    assert grains == set(changed)
    assert all(a.offset + a.length < b.offset for a, b in zip(found, found[1:]))
    assert sum(e.length for e in found) <= len(left)


def test_what_only_one_side_has_differs_whatever_it_holds():
    """Also zeros: a target that ends early is not the same as its source."""
    zeros, end = bytes(GRAIN * 2 + 5), GRAIN * 2 + 5
    for short in (0, 1, GRAIN, GRAIN + 7, GRAIN * 2):
        first = short // GRAIN * GRAIN
        expected = [Extent(BLOCK + first, end - first)]
        assert differing(zeros[:short], zeros, BLOCK) == expected
        assert differing(zeros, zeros[:short], BLOCK) == expected


def test_a_verification_of_many_snapshots_fits_into_its_record():
    """Each of them differs in many places, or could not be compared."""
    extents = tuple(Extent(n << 40, 1 << 30) for n in range(SHOWN))
    worst = [Compared(f"daily-{n:05d}", done=True, digest="f" * 64, different=10**6,
                      differences=extents, skipped="it was removed " * 50)
             for n in range(1500)]  # fmt: skip
    v = conclude(replace(FULL, views=tuple(worst)), NOW, "here")
    raw = encode_readable(migration(verification=v))
    assert len(raw) < MAX_RECORD
    kept = decode(raw).verification
    assert kept == v
    assert [view.different for view in kept.views] == [10**6] * 1500, "all are counted"
    assert len(kept.reasons) == MAX_REASONS
    assert kept.reasons[-1] == "and 1481 more snapshots were not compared"


def test_differences_that_are_left_out_have_the_next_view_read_whole():
    """Whoever compares looks at the count: less listed than counted is not all."""
    extents = tuple(Extent(n << 20, 1) for n in range(SHOWN))
    many = tuple(Compared(str(n), different=SHOWN, differences=extents) for n in range(60))
    last = replace(FULL, views=many).bounded().views[-1]
    assert last.different > len(last.differences)


def test_differences_are_joined_counted_and_the_first_kept():
    view = with_differences(Compared(""), [Extent(0, 4096)])
    view = with_differences(view, [Extent(4096, 4096)])
    assert (view.different, view.differences) == (1, (Extent(0, 8192),))
    view = with_differences(view, [Extent(n * 10000, 10) for n in range(2, 40)])
    assert (view.different, len(view.differences)) == (39, SHOWN)
    # What continues one that is counted and not kept does not lengthen the last kept one.
    assert with_differences(view, [Extent(view.differences[-1].offset + 10, 1)]).different == 40


def done(*views: Compared) -> Verification:
    return conclude(replace(FULL, views=views), NOW, "r")


def test_outcomes():
    equal = Compared("a", done=True)
    assert done(equal, Compared("", done=True)).outcome is Outcome.PASSED
    odd = with_differences(Compared("", done=True), [Extent(0, 4096), Extent(9000, 10)])
    v = done(equal, odd, Compared("b", done=True, skipped="it was removed"))
    assert v.outcome is Outcome.FAILED
    assert describe_differences(v) == "head at 0+4096, 9000+10"


def test_what_was_not_compared_never_passes():
    skipped = done(Compared("a", done=True), Compared("", done=True, skipped="it was written to"))
    assert (skipped.outcome, skipped.reasons) == (Outcome.PARTIAL, ("head: it was written to",))
    assert done(Compared("a", done=True), Compared("")).outcome is Outcome.PARTIAL
    assert done().outcome is Outcome.PARTIAL


@pytest.mark.parametrize("mode", [Verify.NONE, Verify.SAMPLE, Verify.FULL])
def test_a_verification_covers_what_wants_no_more(mode):
    assert covers(Verify.FULL, mode)
    assert covers(mode, Verify.NONE)
    assert covers(mode, mode)
    assert not covers(Verify.SAMPLE, Verify.FULL)


def test_a_verification_that_was_cut_off_goes_on_and_another_mode_begins_again():
    m = migration(verify=Verify.SAMPLE, goal=Goal.VERIFIED)
    first = begun(m, 0.05, 7, NOW)
    assert first.verification == Verification(Verify.SAMPLE, 7, 0.05, NOW)
    assert begun(first, 0.5, 8, NOW + 1) == first
    full = begun(replace(first, verify=Verify.FULL), 0.05, 9, NOW)
    assert full.verification == Verification(Verify.FULL, 9, 1.0, NOW)
    ended = replace(first, verification=conclude(first.verification, NOW, "r"))
    assert begun(ended, 0.05, 9, NOW).verification.seed == 9


@pytest.mark.parametrize("goal", Goal)
def test_contents_are_compared_on_the_way_to_verified_and_beyond(goal):
    m = migration(verify=Verify.FULL, goal=goal)
    assert due(m) == (goal in (Goal.VERIFIED, Goal.COMMITTED))
    assert not passed(m)
    ended = replace(m, verification=done(Compared("", done=True)))
    assert not due(ended)
    assert passed(ended)
    assert not due(replace(m, verify=Verify.NONE))


def test_the_goal_verified_cannot_be_reached_without_comparing():
    assert control.at_least(Goal.VERIFIED, Verify.NONE) is Verify.FULL
    assert control.at_least(Goal.VERIFIED, Verify.SAMPLE) is Verify.SAMPLE
    assert control.at_least(Goal.COMMITTED, Verify.NONE) is Verify.NONE


def test_a_record_without_the_fields_of_verification_is_read():
    plain = json.loads(encode(migration()))
    assert not {"verify", "verification", "soak", "point", "no_point"} & plain.keys()
    assert decode(json.dumps(plain).encode()) == migration()


def test_a_result_survives_the_record():
    odd = with_differences(Compared("", done=True, digest="ab"), [Extent(0, 4096)])
    m = migration(verification=done(Compared("one", done=True, bytes=5), odd))
    assert decode(encode(m)) == m


@pytest.mark.parametrize(
    ("snapshots", "parent", "amount", "mode"),
    [
        (False, False, 10, Verify.NONE),
        (False, False, None, Verify.NONE),
        (True, False, 99, Verify.FULL),
        (True, False, 100, Verify.SAMPLE),
        (True, False, None, Verify.SAMPLE),
        (False, True, 99, Verify.FULL),
        (False, True, 100, Verify.SAMPLE),
    ],
)
def test_images_with_snapshots_or_a_parent_are_compared_by_default(snapshots, parent, amount, mode):
    found = by_default(snapshots=snapshots, parent=parent, amount=amount, full_below=100)
    assert found is mode


def test_what_nobody_asked_for_lowers_nothing_and_the_goal_verified_compares_all():
    assert not covers(Verify.AUTO, Verify.NONE)
    assert covers(Verify.NONE, Verify.AUTO)
    assert at_least(Goal.VERIFIED, Verify.AUTO) is Verify.FULL
