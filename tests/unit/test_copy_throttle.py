"""The throttle of a copy, which a client that asks for the exclusive lock does not wait for."""

from types import SimpleNamespace

import pytest

from rbdmigrate.worker.copy import throttle
from rbdmigrate.worker.copy.throttle import LONGEST, CopyThrottle


class Clock:
    """Time that passes while somebody waits for it."""

    def __init__(self):
        self.now = 1000.0

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def pace(clock, monkeypatch):
    made = CopyThrottle()
    monkeypatch.setattr(made._changed, "wait", clock.wait)
    made.set(1000)  # bytes a second
    return made


def waited(clock, pace, size, **how):
    begun = clock.now
    pace.wait(size, **how)
    return clock.now - begun


def test_no_object_is_held_up_for_longer_than_the_lock_may_be_kept(clock, pace):
    assert waited(clock, pace, 1000) == pytest.approx(1.0)
    assert waited(clock, pace, 9000) == pytest.approx(LONGEST)
    assert waited(clock, pace, 1000, patient=True) == pytest.approx(8.0), "what was left is paid"


def test_while_a_client_asks_for_the_lock_no_object_is_held_up_and_that_is_paid_later(clock, pace):
    pace.hurry(5.0)
    assert waited(clock, pace, 1000) == 0
    assert waited(clock, pace, 1000) == 0
    assert waited(clock, pace, 1000, patient=True) == pytest.approx(3.0), "nothing is locked there"
    clock.now += 5.0
    assert waited(clock, pace, 1000) == pytest.approx(0.5), "the burst that had grown meanwhile"


def test_an_object_that_waits_is_let_go_when_a_client_asks_for_the_lock(clock, pace, monkeypatch):
    def wait(seconds):
        clock.now += seconds / 2
        pace.hurry(5.0)  # as the thread does that is told of it

    monkeypatch.setattr(pace._changed, "wait", wait)
    monkeypatch.setattr(pace._changed, "notify_all", lambda: None)
    assert waited(clock, pace, 9000) < LONGEST / 2
