"""The throughput of the last hour."""

from rbdmigrate.control.pace.throughput_history import KEPT, STEP, Point, Trend
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
