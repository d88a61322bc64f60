"""The throttle: what a health gate leaves of a copy's rate."""

from unittest.mock import Mock

import pytest

from rbdmigrate.control.objects.copy_cost import Throughput
from rbdmigrate.control.pace.health_gates import Level, Verdict
from rbdmigrate.model.states import State
from tests.fakes.loading import load
from tests.fakes.world import World
from tests.unit.builders import migration

Settings = load().settings.Settings
Throttle = load().module("engine.pace.throttle").Throttle
TrackedMigration = load().module("engine.records.tracked").TrackedMigration

M = 1 << 20


@pytest.fixture(autouse=True)
def clock():
    with World():
        yield


@pytest.fixture
def monitor() -> Mock:
    return Mock(**{"guard_rate.return_value": None, "verdict.return_value": Verdict()})


@pytest.fixture
def throttle(monitor):
    return Throttle(Settings, monitor, Mock(**{"rates.return_value": {}}))


def copying(speed: "int | None", limit: "int | None", rate: "int | None" = None, ident="m1"):
    """A copy that makes ``speed`` with the limit ``limit``, and that has the rate ``rate`` now."""
    tracked = TrackedMigration(migration(id=ident, rate=rate, state=State.EXECUTING))
    if speed is not None:
        tracked.throughput = Throughput()
        for second in range(5):
            tracked.throughput.observe(float(second), second * speed)
    tracked.rate_limit = limit
    return tracked


@pytest.mark.parametrize(
    ("speed", "limit", "rate", "expected"),
    [
        pytest.param(40 * M, None, None, 10 * M, id="a quarter of what it made"),
        pytest.param(None, None, None, 8 * M, id="a quarter of a guess"),
        pytest.param(8192, 300_000, None, 8 * M, id="its limit was lifted just now"),
        pytest.param(8192, None, None, 2 * M, id="it copied small objects"),
        pytest.param(40 * M, M, M, M // 4, id="a quarter of its limit"),
        pytest.param(40 * M, 0, 0, 0, id="nothing is copied"),
    ],
)
def test_a_slow_gate_leaves_a_part(throttle, monitor, speed, limit, rate, expected):
    monitor.verdict.return_value = Verdict(Level.SLOW, 0.25)
    tracked = copying(speed, limit, rate)
    for _ in range(3):  # and no smaller part of that each second
        tracked.rate_limit = throttle.share([tracked])["m1"]
        assert tracked.rate_limit == expected
    monitor.verdict.return_value = Verdict()
    assert throttle.share([tracked])["m1"] == rate


def test_a_copy_that_begins_behind_a_slow_gate_is_as_fast_as_others_were(throttle, monitor):
    fast, limited = copying(200 * M, None), copying(900 * M, 900 * M, 900 * M, ident="m2")
    for _ in range(2):
        throttle.share([fast, limited])
    monitor.verdict.return_value = Verdict(Level.SLOW, 0.25)
    assert throttle.first_rate(copying(None, None, ident="m3")) == 50 * M
