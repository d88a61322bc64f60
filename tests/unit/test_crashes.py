"""A worker that librbd crashes twice in the same act is not started for it again."""

import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest

from rbdmigrate.control.lifecycle.crashes import after_crash, after_success, crash_reason
from rbdmigrate.control.lifecycle.decide import decide
from rbdmigrate.control.lifecycle.decision import Fail, RunAct
from rbdmigrate.control.lifecycle.failures import worker_lost
from rbdmigrate.control.lifecycle.requests import cleared_for_retry
from rbdmigrate.control.lifecycle.situation import Situation
from rbdmigrate.model.migration import Crashes
from rbdmigrate.model.states import ActKind, State
from rbdmigrate.model.target_changes import TargetChanges
from tests.fakes import librbd
from tests.fakes.world import World
from tests.unit.builders import migration

ABORTED = int(signal.SIGABRT)
KILLED = int(signal.SIGKILL)


def reason(m, act=ActKind.EXECUTE, number=ABORTED):
    lost = worker_lost(act, "the worker was ended by a signal", m.target.spec)
    return crash_reason(m, act, number, lost)


def test_the_first_crash_is_tried_again_and_the_second_in_the_same_act_is_not():
    m = migration()
    assert reason(m).transient
    m = after_crash(m, ActKind.EXECUTE, ABORTED)
    assert not reason(m).transient
    assert reason(m).message.startswith("Copying ssd/b crashed librbd twice (SIGABRT): ")
    assert reason(m, ActKind.COMMIT).transient


def test_a_worker_that_somebody_killed_has_not_crashed():
    m = migration(crashes=Crashes(ActKind.EXECUTE, 5))
    assert after_crash(m, ActKind.EXECUTE, KILLED) == m
    assert reason(m, number=KILLED).transient


@pytest.mark.parametrize(
    "act",
    [
        ActKind.PREPARE,
        ActKind.UNDO_PREPARE,
        ActKind.COMPLETE_OBJECTS,
        ActKind.REMOVE_COMPARISON_SNAPSHOT,
    ],
)
def test_what_has_to_be_undone_or_completed_first_is_tried_on(act):
    assert reason(migration(crashes=Crashes(act, 5)), act).transient


def test_the_snapshots_that_are_missing_are_named_as_the_cause():
    changes = TargetChanges(removed=("monday", "tuesday"))
    m = migration(crashes=Crashes(ActKind.EXECUTE, 1), target_changes=changes)
    assert "(monday, tuesday)" in reason(m).message
    assert "`ceph rbd migration abort ssd/b --force`" in reason(m).message
    assert "not known" in reason(replace(m, target_changes=TargetChanges())).message


def test_a_retry_counts_from_the_beginning():
    assert cleared_for_retry(migration(crashes=Crashes(ActKind.EXECUTE, 2))).crashes is None


def test_a_copy_that_crashes_twice_fails_and_is_not_begun_again(monkeypatch):
    crash = SimpleNamespace(SIGKILL=signal.SIGABRT)
    monkeypatch.setattr("tests.fakes.worker.signal", crash)
    with World() as world:
        world.create_image("hdd/a", {0: b"one", 1: b"two", 2: b"three"}, objects=8)
        world.prepare("hdd/a", "nvme/a")
        world.kill_worker_after(4)
        world.do("execute", "nvme/a")
        world.run(1.0)
        assert world.record("nvme/a").crashes == Crashes(ActKind.EXECUTE, 1)
        world.kill_worker_after(4)
        report = world.wait_state("nvme/a", "failed")
        assert "crashed librbd twice (SIGABRT)" in report["failure"]["message"]
        assert not report["failure"]["transient"]


def test_an_image_whose_prepare_crashed_twice_is_not_prepared_again():
    for count, decision in ((0, RunAct), (1, RunAct), (2, Fail)):
        m = migration(crashes=Crashes(ActKind.PREPARE, count))
        found = decide(m, Situation.UNTOUCHED, 0.0)
        assert isinstance(found, decision), count
    assert isinstance(found, Fail)
    assert "Preparing ssd/b crashed librbd twice" in found.message


def test_a_prepare_that_crashed_is_undone_however_often_that_crashes_too():
    m = migration(state=State.PREPARING, crashes=Crashes(ActKind.PREPARE, 2))
    assert decide(m, Situation.HALF_PREPARED, 0.0) == RunAct(ActKind.UNDO_PREPARE)
    assert after_crash(m, ActKind.UNDO_PREPARE, ABORTED) == m
    assert after_success(m, ActKind.UNDO_PREPARE) == m
    assert after_success(m, ActKind.PREPARE).crashes is None


@pytest.mark.parametrize("operations", [3, 8, 12], ids="after {} operations".format)
def test_a_prepare_that_crashes_twice_fails_and_leaves_the_source_as_it_was(
    operations, monkeypatch
):
    crash = SimpleNamespace(SIGKILL=signal.SIGABRT)
    monkeypatch.setattr("tests.fakes.worker.signal", crash)
    prepared = []
    prepare = librbd.prepare

    with World() as world:

        def crashing(*args):
            prepared.append(args)
            if len(prepared) <= 2:
                world.kill_worker_after(operations)
            prepare(*args)

        monkeypatch.setattr(librbd, "prepare", crashing)
        world.set(command_wait=0.0)
        world.create_image("hdd/a", {0: b"one"})
        before = world.content("hdd/a")
        world.prepare("hdd/a", "nvme/a")
        report = world.wait_state("nvme/a", "failed")
        assert "crashed librbd twice" in report["failure"]["message"]
        assert len(prepared) == 2
        assert (world.names("hdd"), world.names("nvme")) == (["a"], [])
        assert world.content("hdd/a") == before
        world.do("retry", "nvme/a")
        world.wait_state("nvme/a", "prepared")
