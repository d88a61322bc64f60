"""Looks ahead: several at once, their outcomes in order, none after the end."""

from concurrent.futures import CancelledError
from contextlib import closing
from contextvars import ContextVar

import pytest

from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load
from tests.fakes.simulation import active

module = load().module("engine.plans.lookahead")


@pytest.fixture
def ahead():
    with bare_cluster("hdd"):
        made = module.Lookahead("test")
        yield made
        made.stop()
        assert made.join(10)


class Looks:
    """Looks that take a second each, and how many of them ran at once."""

    def __init__(self):
        self.begun, self.most, self._now = [], 0, 0

    def __call__(self, thing):
        self.begun.append(thing)
        self._now += 1
        self.most = max(self.most, self._now)
        active().sleep(1.0)
        self._now -= 1
        if thing == "bad":
            raise ValueError(thing)
        return f"seen {thing}"


def test_looks_run_at_once_and_come_in_order(ahead):
    looks = Looks()
    begun = active().now
    found = [(thing, future.result()) for thing, future in ahead.in_order(looks, range(12))]
    assert found == [(number, f"seen {number}") for number in range(12)]
    assert looks.most == module.THREADS
    assert active().now - begun == pytest.approx(12 / module.THREADS)


def test_an_error_is_raised_where_the_outcome_is_used(ahead):
    (_, first), (_, second) = ahead.in_order(Looks(), ["bad", "good"])
    with pytest.raises(ValueError, match="bad"):
        first.result()
    assert second.result() == "seen good"


def test_what_is_not_wanted_any_more_is_not_looked_at(ahead):
    looks = Looks()
    with closing(ahead.in_order(looks, range(100))) as found:
        _, first = next(found)
        first.result()
    active().sleep(5.0)
    assert len(looks.begun) <= 2 * module.THREADS


def test_a_stop_cancels_what_has_not_begun(ahead):
    looks = Looks()
    found = ahead.in_order(looks, range(100))
    next(found)
    active().sleep(0.5)
    ahead.stop()
    assert ahead.join(10)
    assert len(looks.begun) == module.THREADS
    with pytest.raises(CancelledError):
        assert not [future.result() for _, future in found]


def test_a_look_is_for_the_caller_of_the_one_who_asks(ahead):
    caller: ContextVar[str] = ContextVar("caller", default="nobody")
    caller.set("plan one")
    ((_, future),) = ahead.in_order(lambda thing: caller.get(), [1])
    assert future.result() == "plan one"
