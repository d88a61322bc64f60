"""The throughput of the last hour."""

from rbdmigrate.control.pace.throughput_history import KEPT, MOST, STEP, Point, Trend, Trends
from tests.unit.builders import NOON


def test_nothing_is_known_at_first():
    assert Trend().points() == []


def test_a_point_is_an_average():
    trend = Trend()
    for second, rate in enumerate((10.0, 20.0, 60.0)):
        trend.note(NOON + second, rate, 100)
    assert trend.points() == [Point(NOON, 30.0, 100)]
    trend.note(NOON + STEP, 5.0, None)
    assert trend.points() == [Point(NOON, 30.0, 100), Point(NOON + STEP, 5.0, None)]


def test_an_hour_is_kept():
    trend = Trend()
    for number in range(3 * KEPT):
        trend.note(NOON + number * STEP, float(number), None)
    rates = [point.rate for point in trend.points()]
    assert rates == [float(number) for number in range(2 * KEPT, 3 * KEPT)]


def test_times_without_notes_and_clocks_put_back_are_kept_apart():
    trend = Trend()
    for at in (NOON, NOON + 1000, NOON + 500):
        trend.note(at, 7.0, None)
    assert [point.at for point in trend.points()] == [NOON, NOON + 1000, NOON + 500]


def test_the_latency_of_clients_is_that_at_the_end_of_a_point():
    trend = Trend()
    trend.note(NOON, 7.0, None, 0.002)
    trend.note(NOON + 1, 7.0, None, 0.003)
    assert [point.latency for point in trend.points()] == [0.003]


def test_each_copy_has_a_past_of_its_own():
    trends = Trends()
    trends.note(NOON, {"a": (5.0, None), "b": (9.0, 10)})
    trends.note(NOON + STEP, {"a": (7.0, None)})
    assert [point.rate for point in trends.points("a")] == [5.0, 7.0]
    assert trends.points("b") == [Point(NOON, 9.0, 10)]
    assert trends.points("c") == []


def test_of_many_copies_those_are_kept_that_ran_last():
    trends = Trends()
    trends.note(NOON, {"first": (1.0, None)})
    trends.note(NOON + 1, {str(number): (1.0, None) for number in range(MOST)})
    assert trends.points("first") == []
    assert len(trends.points("0")) == 1
