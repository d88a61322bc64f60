"""Acts that go well again and again without effect are counted, and no others."""

import pytest

from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.states import ActKind, Goal, State
from tests.fakes.bare import bare_cluster
from tests.fakes.loading import load

COMPLETE, EXECUTE = ActKind.COMPLETE_OBJECTS, ActKind.EXECUTE


@pytest.fixture
def tracked():
    place = Place("hdd", "", "vm", 1, "id")
    m = Migration("m1", place, place, Goal.EXECUTED, State.EXECUTING, 1.0)
    with bare_cluster("hdd"):
        yield load().module("engine.records.tracked").TrackedMigration(m)


def done(tracked, *acts):
    for act in acts:
        tracked.act_begun(act)
        tracked.act_done(act)


def test_the_same_act_one_time_after_another_is_counted(tracked):
    done(tracked, COMPLETE, COMPLETE, COMPLETE)
    assert tracked.repeated(COMPLETE) == 3
    assert tracked.repeated(EXECUTE) == 0


def test_a_copy_that_was_cut_off_again_and_again_is_not_a_repeat(tracked):
    """Each pause of a copy leaves objects to be completed: that was counted as without effect."""
    for _ in range(5):
        done(tracked, COMPLETE)
        tracked.act_begun(EXECUTE)  # and paused
    assert tracked.repeated(COMPLETE) == 0
    done(tracked, COMPLETE)
    assert tracked.repeated(COMPLETE) == 1


def test_what_was_enough_is_not_counted_on(tracked):
    done(tracked, COMPLETE, COMPLETE)
    tracked.repeats_end()
    done(tracked, COMPLETE)
    assert tracked.repeated(COMPLETE) == 1
