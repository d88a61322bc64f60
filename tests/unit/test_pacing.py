"""The throttle of one copy, with a simulated clock and a simulated copy."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rbdmigrate.control.pace.token_bucket import MAX_SLEEP, MIN_SLEEP, TokenBucket

M = 1 << 20


class Copy:
    """A copy that sleeps as it is told, on a clock of its own; ``late`` is added to each sleep."""

    def __init__(self, rate, late: float = 0.0) -> None:
        self.now = 1000.0
        self.late = late
        self.bucket = TokenBucket(rate, self.now)
        self.sleeps: list[float] = []

    def copy(self, size: int, work: float = 0.0) -> None:
        """Pay for an object, then spend ``work`` seconds on it."""
        pause = self.bucket.charge(size, self.now)
        while pause:
            self.sleep(pause)
            pause = self.bucket.pause(self.now)
        self.now += work

    def sleep(self, pause: float) -> None:
        assert 0 < pause <= MAX_SLEEP
        self.sleeps.append(pause)
        self.now += pause + self.late

    @property
    def elapsed(self) -> float:
        return self.now - 1000.0


sizes = st.one_of(
    st.just(0), st.integers(0, 64 << 10), st.integers(0, 32 * M), st.sampled_from([4 * M, 32 * M])
)
mixtures = st.lists(sizes, min_size=1, max_size=40)
rates = st.integers(M, 1 << 30)


@given(mixtures, rates, st.floats(0, 0.02))
@example([0, 64 << 10], M, 0.02)
@example([32 * M], M, 0.0)
def test_in_the_long_run_the_rate_is_kept(mixture, rate, late):
    assume(sum(mixture) > rate // 50)
    copy = Copy(rate, late)
    repeat = 1 + 2 * rate // sum(mixture)  # at least two seconds
    for size in mixture * repeat:
        copy.copy(size)
    assert sum(mixture) * repeat / copy.elapsed == pytest.approx(rate, rel=0.02)


@given(mixtures, rates, st.floats(0, 0.2))
def test_it_is_never_ahead_of_its_rate_by_more_than_the_burst(mixture, rate, work):
    copy, points = Copy(rate), [(0.0, 0)]
    for size in mixture:
        copy.copy(size, work)
        points.append((copy.elapsed - work, points[-1][1] + size))
    allowed = rate * (0.5 + MIN_SLEEP) + 1
    for n, (t0, done0) in enumerate(points):
        for t1, done1 in points[n + 1 :]:
            assert done1 - done0 <= rate * (t1 - t0) + allowed


@given(mixtures)
def test_no_limit_never_sleeps(mixture):
    copy = Copy(None)
    for size in mixture:
        copy.copy(size)
    assert copy.sleeps == []
    assert copy.bucket.debt == 0


@given(st.one_of(st.none(), st.integers(0, 1 << 30)), st.integers(1, 1000))
def test_holes_never_sleep_when_there_is_no_debt(rate, count):
    copy = Copy(rate)
    for _ in range(count):
        copy.copy(0)
    assert copy.sleeps == []


@given(mixtures, rates)
def test_a_sparse_image_pays_for_its_data_alone(mixture, rate):
    dense, sparse = Copy(rate), Copy(rate)
    for size in mixture:
        dense.copy(size)
        sparse.copy(size)
        for _ in range(50):
            sparse.copy(0)
    assert sparse.elapsed == pytest.approx(dense.elapsed, abs=MIN_SLEEP)


def test_an_object_is_paid_before_it_is_copied_in_short_sleeps():
    copy = Copy(4 * M)
    copy.copy(8 * M)
    assert copy.elapsed == pytest.approx(2.0, abs=MIN_SLEEP)
    assert len(copy.sleeps) == 4


def test_who_does_not_sleep_it_all_off_carries_the_debt_over():
    bucket = TokenBucket(4 * M, 0.0)
    assert bucket.charge(8 * M, 0.0) == MAX_SLEEP
    assert bucket.charge(0, 0.5) == MAX_SLEEP, "the next object, a hole, pays on"
    assert bucket.debt == 6 * M
    assert bucket.charge(M, 1.0) == MAX_SLEEP
    assert bucket.debt == 5 * M


@pytest.mark.parametrize(
    ("rate", "seconds"), [(40 * M, 0.1 * 9.5), (1 * M, 38.0), (None, 0.0), (4 * M, 9.5)]
)
def test_another_rate_counts_at_once_for_the_debt_that_is_there(rate, seconds):
    copy = Copy(4 * M)
    copy.sleep(copy.bucket.charge(40 * M, copy.now))  # 10 s of debt, 0.5 s slept off
    copy.bucket.set_rate(rate, copy.now)
    copy.copy(0)
    assert copy.elapsed - MAX_SLEEP == pytest.approx(seconds, abs=2 * MIN_SLEEP)


def test_a_new_rate_in_the_middle_of_a_sleep_counts_from_then_on():
    bucket = TokenBucket(2 * M, 0.0)
    bucket.charge(10 * M, 0.0)
    bucket.set_rate(8 * M, 0.25)
    assert bucket.debt == 9.5 * M
    bucket.pause(0.5)
    assert bucket.debt == 7.5 * M


def test_standing_still_lets_no_byte_through_and_goes_on_with_the_debt_it_had():
    copy = Copy(0)
    pause = copy.bucket.charge(1, copy.now)
    for _ in range(100):
        assert pause == MAX_SLEEP
        copy.sleep(pause)
        pause = copy.bucket.pause(copy.now)
    copy.bucket.set_rate(M, copy.now)
    assert copy.bucket.debt == 1
    assert copy.bucket.pause(copy.now) == 0.0, "one byte is not worth a sleep"
    assert copy.bucket.debt == 1, "but it is not forgotten"


def test_what_a_slow_copy_saves_up_is_the_burst_and_no_more():
    copy = Copy(10 * M)
    copy.now += 3600
    copy.copy(5 * M)
    assert copy.sleeps == []
    copy.copy(5 * M)
    assert sum(copy.sleeps) == pytest.approx(0.5)


def test_a_lower_rate_cuts_what_was_saved_up():
    bucket = TokenBucket(100 * M, 0.0)
    bucket.set_rate(2 * M, 60.0)
    assert bucket.charge(2 * M, 60.0) == pytest.approx(0.5)


def test_no_limit_saves_nothing_up_and_forgives_debts():
    bucket = TokenBucket(M, 0.0)
    bucket.charge(100 * M, 0.0)
    bucket.set_rate(None, 0.0)
    bucket.set_rate(M, 100.0)
    assert bucket.charge(M, 100.0) == MAX_SLEEP
    assert bucket.debt == M


def test_a_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(M, 10.0)
    bucket.charge(M, 10.0)
    assert bucket.pause(5.0) == MAX_SLEEP
    bucket.pause(10.5)
    assert bucket.debt == M / 2


def test_a_burst_is_at_most_a_second():
    with pytest.raises(ValueError, match="one second"):
        TokenBucket(M, 0.0, burst=1.5)


changes = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 1 << 30)), st.floats(0, 3), sizes), max_size=30
)


@given(changes)
def test_whatever_changes_no_sleep_is_longer_than_the_longest(steps):
    bucket, now = TokenBucket(M, 0.0), 0.0
    for rate, elapsed, size in steps:
        now += elapsed
        bucket.set_rate(rate, now)
        assert 0 <= bucket.charge(size, now) <= MAX_SLEEP
        assert 0 <= bucket.pause(now) <= MAX_SLEEP
        assert bucket.debt <= sum(size for _, _, size in steps)
