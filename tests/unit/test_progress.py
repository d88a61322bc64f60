"""Bytes to copy, object by object; throughput and the estimated end."""

import random
import time
import tracemalloc
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbdmigrate.control.objects.copy_cost import (
    CHUNK,
    MAX_UNITS,
    UNIT,
    CopyCost,
    Throughput,
    eta,
    in_flight,
)
from tests.fakes.loading import load

K, M, T = 1 << 10, 1 << 20, 1 << 40


def costs(extents: CopyCost) -> list[int]:
    return [extents.cost(number) for number in range(extents.objects)]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 3 * CHUNK * 64 * K), st.integers(0, M)), max_size=8))
def test_the_objects_to_copy_are_those_that_cost_something(extents):
    found = CopyCost(size=3 * CHUNK * 64 * K, object_size=64 * K)
    for extent in sorted(extents):
        found.add(*extent)
    numbers = list(found.objects_to_copy())
    assert numbers == [n for n in range(found.objects) if found.cost(n)]


def test_an_object_costs_what_the_extents_have_of_it():
    extents = CopyCost.of(20 * M, 4 * M, [(0, 4 * M), (6 * M, 4 * M), (16 * M, 64 * K)])
    assert costs(extents) == [4 * M, 2 * M, 2 * M, 0, 64 * K]
    assert extents.total == 8 * M + 64 * K
    assert [extents.copied_up_to(n) for n in (-1, 0, 1, 2, 3, 4, 5, 99)] == [
        *[0, 0, 4 * M, 6 * M, 8 * M, 8 * M],
        *[8 * M + 64 * K] * 2,
    ]


def test_snapshots_add_up():
    extents = CopyCost.of(8 * M, 4 * M, [(0, 8 * M), (0, 4 * M), (4 * M, 4 * K), (0, 4 * M)])
    assert costs(extents) == [12 * M, 4 * M + 4 * K]


def test_what_lies_beyond_the_end_is_not_counted():
    extents = CopyCost.of(6 * M, 4 * M, [(0, 100 * M), (6 * M, M), (50 * M, M), (M, 0)])
    assert costs(extents) == [4 * M, 2 * M]
    assert extents.cost(2) == extents.cost(-1) == 0


def test_an_image_without_a_size():
    extents = CopyCost.of(0, 4 * M, [(0, 4 * M)])
    assert (extents.objects, extents.total, extents.cost(0)) == (0, 0, 0)


def test_what_is_no_multiple_of_the_unit_is_rounded_up():
    assert CopyCost.of(M, 64 * K, [(0, 1)]).total == UNIT


def test_a_cost_that_is_too_large_to_count_stays_the_largest():
    size = 1 << 35
    extents = CopyCost(size=size, object_size=size)
    for _ in range(100):
        extents.add(0, size)
    extents.add(0, K)
    assert extents.total == MAX_UNITS * UNIT


def test_the_total_follows_what_is_added():
    extents = CopyCost(size=64 * M, object_size=4 * M)
    for n in range(1, 17):
        extents.add((n - 1) * 4 * M, 4 * M)
        assert extents.total == n * 4 * M


def spelled_out(size, object_size, unit, count, extents) -> list[int]:
    """The cost of each object, half a kilobyte by half a kilobyte."""
    sets = -(-size // (object_size * count))
    found = [0] * sets * count
    for offset, length in extents:
        for at in range(offset, min(offset + length, size), UNIT):
            stripe, place = divmod(at // unit, count)
            found[stripe // (object_size // unit) * count + place] += UNIT
    return found


units = st.integers(0, 64).map(lambda n: n * UNIT)


@given(
    st.integers(1, 64).map(lambda n: n * UNIT),
    st.sampled_from([(4, 4, 1), (4, 1, 1), (4, 2, 3), (8, 1, 2), (4, 4, 3), (1, 1, 1), (2, 1, 5)]),
    st.lists(st.tuples(units, units), max_size=6),
)
def test_it_counts_as_the_layout_says(size, layout, extents):
    object_size, unit, count = layout[0] * UNIT, layout[1] * UNIT, layout[2]
    made = CopyCost(size=size, object_size=object_size, stripe_unit=unit, stripe_count=count)
    for offset, length in extents:
        made.add(offset, length)
    expected = spelled_out(size, object_size, unit, count, extents)
    assert [made.cost(number) for number in range(len(expected))] == expected
    assert made.total == sum(expected)
    for number in range(len(expected) + 1):
        assert made.copied_up_to(number) == sum(expected[:number])


@given(
    st.lists(st.tuples(st.integers(0, 3 * CHUNK), st.integers(0, 3 * CHUNK)), max_size=8),
    st.integers(1, 3 * CHUNK),
    st.integers(0, 3 * CHUNK),
)
def test_it_counts_across_chunks(runs, objects, number):
    """Runs of whole objects over images of a few chunks."""
    made = CopyCost.of(objects * M, M, [(first * M, count * M) for first, count in runs])
    expected = [0] * objects
    for first, count in runs:
        for n in range(first, min(first + count, objects)):
            expected[n] += M
    assert costs(made) == expected
    assert made.copied_up_to(number) == sum(expected[:number])


def memory_of(build) -> tuple[CopyCost, int]:
    tracemalloc.start()
    try:
        made = build()
        return made, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_hundred_tebibytes_of_holes_or_of_data_take_next_to_nothing():
    for extents in ([], [(0, 100 * T)], [(0, 100 * T), (50 * T, 10 * T)]):
        made, used = memory_of(lambda extents=extents: CopyCost.of(100 * T, 4 * M, extents))
        assert made.total == sum(length for _, length in extents)
        assert used < 2 * M


def test_a_hundred_tebibytes_of_anything_fit_into_memory():
    """Data in every chunk: the most that an image of this size can take."""

    def build() -> CopyCost:
        extents = CopyCost(size=100 * T, object_size=4 * M)
        for offset in range(0, 100 * T, CHUNK * 4 * M):
            extents.add(offset + 4 * K, 8 * K)
        assert extents.total == 8 * K * 100 * T // (CHUNK * 4 * M)
        return extents

    made, used = memory_of(build)
    assert made.cost(CHUNK) == 8 * K
    assert used < 120 * 10**6


def test_objects_that_are_added_one_by_one_are_counted_quickly():
    begin = time.process_time()
    extents = CopyCost.of(4 * T, 4 * M, ((n * 4 * M, 4 * M) for n in range(1 << 20)))
    assert extents.total == 4 * T
    assert (time.process_time() - begin) / (1 << 20) < 1e-5


def test_asking_is_quick():
    extents = CopyCost(size=100 * T, object_size=4 * M)
    chance = random.Random(1)
    for _ in range(2000):
        extents.add(chance.randrange(100 * T), 8 * K)
    assert extents.total > 0
    begin = time.process_time()
    for number in range(0, extents.objects, 10_000):
        extents.cost(number)
        extents.copied_up_to(number)
    assert (time.process_time() - begin) / (extents.objects / 10_000) < 1e-3


class Meter:
    def __init__(self) -> None:
        self.throughput, self.now, self.copied = Throughput(), 50.0, 0
        self.throughput.observe(self.now, 0)

    def go(self, seconds: float, rate: float, tick: float = 0.5):
        for _ in range(round(seconds / tick)):
            self.now += tick
            self.copied += int(rate * tick)
            self.throughput.observe(self.now, self.copied)
        return self.throughput.rate


def test_a_throughput_is_right_from_the_start():
    meter = Meter()
    assert meter.throughput.rate is None
    assert meter.go(0.5, 10 * M) is None, "half a second says nothing"
    for _ in range(60):
        assert meter.go(0.5, 10 * M) == pytest.approx(10 * M)


def test_it_follows_changes_within_some_ten_seconds():
    meter = Meter()
    meter.go(60, 10 * M)
    assert 10 * M < meter.go(5, 50 * M) < 30 * M
    assert meter.go(30, 50 * M) == pytest.approx(50 * M, rel=0.05)
    assert meter.go(60, 0) < 0.2 * M


def test_it_does_not_matter_how_often_it_is_observed():
    often, seldom = Meter(), Meter()
    for rate in (10 * M, 40 * M, 0, 20 * M):
        assert often.go(8, rate, 0.125) == pytest.approx(seldom.go(8, rate, 4.0))


def test_bursts_are_smoothed():
    meter = Meter()
    for n in range(200):
        rate = meter.go(0.5, 64 * M if n % 4 == 0 else 0)
        if n > 40:
            assert rate == pytest.approx(16 * M, rel=0.12)


def test_a_count_that_falls_starts_again():
    meter = Meter()
    meter.go(10, 10 * M)
    meter.copied = 0
    meter.throughput.observe(meter.now, 0)
    assert meter.throughput.rate is None
    assert meter.go(2, 3 * M) == pytest.approx(3 * M)


def test_time_that_does_not_pass_counts_nothing():
    meter = Meter()
    meter.go(10, 10 * M)
    meter.throughput.observe(meter.now, meter.copied + 100 * M)
    assert meter.throughput.rate == pytest.approx(10 * M)


@pytest.mark.parametrize(
    ("total", "copied", "rate", "seconds"),
    [
        (100, 50, 10.0, 5.0),
        (100, 100, None, 0.0),
        (100, 120, 10.0, 0.0),
        (0, 0, None, 0.0),
        (100, 50, None, None),
        (100, 50, 0.0, None),
    ],
)
def test_the_estimated_end(total, copied, rate, seconds):
    assert eta(total, copied, rate) == seconds


def test_no_copy_begins_below_nothing_or_ends_above_all_although_costs_are_rounded_up():
    estimates = load().module("worker.copy.estimate")
    progress = load().module("worker.copy.progress")
    cost = CopyCost.of(4096, 4096, [(0, 10), (1000, 10)])  # two units of 512 bytes
    found = estimates.CopyEstimate(cost, 20)
    told = []
    watch = SimpleNamespace(alone=True)
    copy = progress.CopyProgress(pace=None, found=found, tell=told.append, watch=watch)
    copy.tell(0, 1)
    copy.done()
    assert [(each.bytes, each.bytes_total) for each in told] == [(0, 20), (20, 20)]


@pytest.mark.parametrize(
    ("size", "object_size", "data", "paced", "expected"),
    [
        (100 << 30, 4 * M, 64 * M, False, 60),  # nearly empty
        (100 << 30, 4 * M, 0, False, 60),
        (100 << 30, 4 * M, 64 * M, True, 10),  # a rate is set
        (100 << 30, 32 * M, 64 * M, False, 10),  # 60 objects would be 2 GiB
        (100 << 30, 16 * M, 64 * M, False, 16),
        (100 << 30, 4 * M, 10 << 30, False, 10),  # a tenth is data
        (16 * M, 4 * M, 16 * M, False, 10),
        (0, 4 * M, 0, False, 60),
    ],
)
def test_more_objects_are_under_way_where_there_is_nearly_nothing_to_copy(
    size, object_size, data, paced, expected
):
    assert in_flight(10, CopyCost.of(size, object_size, [(0, data)]), paced=paced) == expected
