"""Which pauses of guests are expected or under way."""

import pytest

from rbdmigrate.control.cutover.guest_pauses import GuestPauses


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pauses(clock):
    return GuestPauses(clock=clock)


def test_there_is_none_at_first(pauses):
    assert not pauses.any_other()


def test_a_pause_is_no_other_than_itself(pauses):
    pauses.expect("a", 2.0)
    assert pauses.any_other()
    assert pauses.any_other("b")
    assert not pauses.any_other("a")


def test_a_pause_ends_when_it_is_over_or_in_time(pauses, clock):
    pauses.expect("a", 2.0)
    pauses.expect("b", 5.0)
    clock.now += 2.5
    assert not pauses.any_other("b")
    pauses.over("b")
    pauses.over("unknown")
    assert not pauses.any_other()


def test_a_pause_that_goes_on_is_expected_for_longer(pauses, clock):
    pauses.expect("a", 2.0)
    clock.now += 1.5
    pauses.expect("a", 13.0)
    clock.now += 5.0
    assert pauses.any_other()
