"""Answers that are kept: as long as their look was dear, and never when it failed."""

import pytest

from rbdmigrate.control.recent import Recent


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 1000.0
        self.looks = 0

    def __call__(self):
        return self.now

    def look(self, takes):
        """Return a look that takes ``takes`` seconds and counts how often it was called."""

        def read():
            self.now += takes
            self.looks += 1
            return self.looks

        return read


def test_a_look_is_not_repeated_for_so_many_times_as_long_as_it_took():
    clock = Clock()
    recent = Recent(clock, times=20.0)
    assert recent.get("a", clock.look(0.5)) == 1
    clock.now += 9.9
    assert recent.get("a", clock.look(0.5)) == 1
    clock.now += 0.2
    assert recent.get("a", clock.look(0.5)) == 2


def test_no_answer_is_kept_for_more_than_a_minute():
    clock = Clock()
    recent = Recent(clock, times=20.0)
    recent.get("a", clock.look(30.0))
    clock.now += 60.1
    assert recent.get("a", clock.look(0.0)) == 2


def test_a_look_that_costs_nothing_is_made_each_time_unless_a_least_time_is_given():
    clock = Clock()
    afresh, kept = Recent(clock, times=20.0), Recent(clock, least=1.0)
    assert [afresh.get("a", clock.look(0.0)) for _ in range(2)] == [1, 2]
    assert [kept.get("a", clock.look(0.0)) for _ in range(2)] == [3, 3]


def test_each_key_has_its_own_answer():
    clock = Clock()
    recent = Recent(clock, least=1.0)
    assert [recent.get(key, clock.look(0.0)) for key in "aba"] == [1, 2, 1]


def test_a_look_that_failed_is_made_again():
    clock = Clock()
    recent = Recent(clock, least=1.0)
    with pytest.raises(ZeroDivisionError):
        recent.get("a", lambda: 1 // 0)
    assert recent.get("a", clock.look(0.0)) == 1
