"""Numbers for snapshots that the monitors reserve ahead."""

from contextlib import contextmanager
from unittest.mock import Mock

import pytest

from tests.fakes.loading import load
from tests.fakes.world import World

SnapshotNumbers = load().module("worker.snapshot_numbers").SnapshotNumbers
Error = load().module("worker.snapshot_numbers").rados.Error
POOL = 3


class Monitors:
    """A client of those of a cluster with one pool. ``refuse``: how many questions they refuse."""

    def __init__(self):
        self.newest = 0
        self.returned = []
        self.refuse = 0
        self._data = Mock(
            create_self_managed_snap=self._create, remove_self_managed_snap=self.returned.append
        )

    def _create(self):
        if self.refuse:
            self.refuse -= 1
            raise Error("no")
        self.newest += 1
        return self.newest

    @contextmanager
    def open_ioctx2(self, pool_id):
        assert pool_id == POOL
        yield self._data


@pytest.fixture
def monitors():
    with World():
        yield Monitors()


def numbers_of(monitors, *, ahead=True):
    return SnapshotNumbers(monitors, ahead=ahead)


def test_one_more_is_reserved_ahead(monitors):
    numbers = numbers_of(monitors)
    assert numbers.reserve(POOL, above=0) == 1
    assert monitors.newest == 2
    assert numbers.reserve(POOL, above=1) == 2
    assert monitors.newest == 3
    assert monitors.returned == []


def test_what_is_expected_is_asked_for_once(monitors):
    numbers = numbers_of(monitors)
    numbers.expect(POOL)
    numbers.expect(POOL)
    assert monitors.newest == 1
    assert numbers.reserve(POOL, above=0) == 1


def test_a_number_that_is_too_low_for_the_image_is_given_back(monitors):
    numbers = numbers_of(monitors)
    numbers.expect(POOL)
    monitors.newest = 7  # snapshots that others took
    assert numbers.reserve(POOL, above=7) == 8
    assert monitors.returned == [1]


def test_a_number_that_was_not_used_is_kept(monitors):
    numbers = numbers_of(monitors)
    unused = numbers.reserve(POOL, above=0)
    numbers.give_back(POOL, unused)
    assert {numbers.reserve(POOL, above=0) for _ in range(2)} == {1, 2}
    assert monitors.returned == []


def test_no_number_is_used_twice(monitors):
    numbers = numbers_of(monitors)
    found = [numbers.reserve(POOL, above=0) for _ in range(5)]
    numbers.give_all_back()
    found += [numbers.reserve(POOL, above=0) for _ in range(5)]
    assert len(set(found)) == 10
    assert not set(found) & set(monitors.returned)


def test_a_question_that_failed_is_asked_again(monitors):
    numbers = numbers_of(monitors)
    monitors.refuse = 1
    numbers.expect(POOL)
    assert numbers.reserve(POOL, above=0) == 1
    monitors.refuse = 1
    assert numbers.reserve(POOL, above=1) == 2, "the one that was asked for ahead"
    monitors.refuse = 2
    with pytest.raises(Error):
        numbers.reserve(POOL, above=2)


def test_none_is_kept_where_none_is_wanted_ahead(monitors):
    numbers = numbers_of(monitors, ahead=False)
    numbers.expect(POOL)
    assert monitors.newest == 0
    number = numbers.reserve(POOL, above=0)
    assert monitors.newest == 1
    numbers.give_back(POOL, number)
    assert monitors.returned == [1]


def test_all_that_is_kept_is_given_back(monitors):
    numbers = numbers_of(monitors)
    numbers.reserve(POOL, above=0)
    numbers.give_all_back()
    assert monitors.returned == [2]
    monitors.refuse = 1
    numbers.expect(POOL)
    numbers.give_all_back()
    assert monitors.returned == [2], "no number, none to give back"
