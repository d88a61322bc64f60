"""An import that goes on to a later snapshot: when that is allowed, and what comes of it."""

import json
from dataclasses import replace
from errno import EAGAIN, EBUSY, EINVAL, EPERM

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.abort_guard import TargetFound
from rbdmigrate.control.lifecycle.decide import decide
from rbdmigrate.control.lifecycle.decision import Rest, RunAct
from rbdmigrate.control.lifecycle.later_snapshot import (
    awaits_copy,
    guard_later,
    holds_later,
    require_later_possible,
    to_later,
)
from rbdmigrate.control.lifecycle.observed import with_observation
from rbdmigrate.control.lifecycle.requests import to_commit
from rbdmigrate.control.lifecycle.situation import Situation
from rbdmigrate.control.lifecycle.verification import left_behind, may_commit
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_source import Import, LaterSnapshot
from rbdmigrate.model.jobs.answers import Copied
from rbdmigrate.model.migration import Failure, Migration, Place
from rbdmigrate.model.migration_codec import decode, encode
from rbdmigrate.model.observation import Observation
from rbdmigrate.model.states import ActKind, Goal, HoldReason, Method, State
from rbdmigrate.model.target_header import TargetHeader
from rbdmigrate.model.verification import Outcome, Verification, Verify
from rbdmigrate.model.watchers import Watcher
from tests.fakes.loading import load

waits = load().module("engine.reconcile.verification").waits

NOW = 1_000_000.0
EXECUTE = RunAct(ActKind.EXECUTE)
SPEC = {"type": "native", "pool_name": "hdd", "image_name": "vm", "snap_name": "monday"}
MONDAY = json.dumps(SPEC)
HEADER = TargetHeader(size=1 << 30, features=61, snapshots="s", metadata="m", group="")
UNTOUCHED = TargetFound(users=(), locks=True, version=7, header=HEADER)
COMPARED = Verification(Verify.FULL, 1, 0.1, 1.0, outcome=Outcome.PASSED)


def record(state=State.EXECUTED, **changes):
    plain = Migration(
        id="m1",
        source=Place("hdd", "", "vm@monday", 1),
        target=Place("ssd", "", "vm", 2, "dst"),
        goal=Goal.EXECUTED,
        state=state,
        created=1.0,
        method=Method.COPY,
        prepared_at=2.0,
        executed_at=3.0,
        imported=Import(MONDAY, snapshots=("monday",)),
        target_version=7,
        target_header=HEADER,
        snapshots=1,
    )
    return replace(plain, **changes)


def tuesday(m, *, force=False):
    return LaterSnapshot(m.imported.at_snapshot("tuesday"), force)


def refused(function, *args, **kwargs):
    with pytest.raises(MigrationError) as caught:
        function(*args, **kwargs)
    return caught.value


def test_the_difference_is_copied_and_then_it_is_an_import_of_that_snapshot():
    m = record(State.VERIFIED, goal=Goal.VERIFIED, verification=COMPARED, verify=Verify.FULL)
    asked = to_later(m, tuesday(m), Situation.EXECUTED, NOW)
    assert (asked.state, asked.verification, asked.executed_at) == (State.PREPARED, None, None)
    assert len(asked.timeline) == len(m.timeline)  # the request itself is noted there
    seen = with_observation(asked, Situation.EXECUTED, Observation(None, None), NOW)
    assert seen.state is State.PREPARED  # nobody takes what it holds for what was asked for
    assert asked.imported.source.snap_name == "monday"  # what the target holds
    assert asked.imported.wanted.snap_name == "tuesday"
    assert decide(asked, Situation.EXECUTED, NOW) == EXECUTE
    answer = Copied(9, True, 4096, snapshots=("monday", "tuesday"), size=1 << 20)
    late = replace(asked, verification=COMPARED)  # it ended while the request was made
    assert holds_later(late, answer) == holds_later(asked, answer)
    held = holds_later(asked, answer).enter(State.EXECUTED, NOW)
    assert held.imported.source.snap_name == "tuesday"
    assert held.source.image == "vm@tuesday"
    assert held.imported.snapshots == ("monday", "tuesday")
    assert (held.snapshots, held.imported.size, held.imported.later) == (2, 1 << 20, None)
    assert decide(held, Situation.EXECUTED, NOW) == RunAct(ActKind.VERIFY)
    assert holds_later(held, answer) == held


@pytest.mark.parametrize("force", [False, True])
def test_no_commit_comes_before_it(force):
    m = record()
    asked = to_later(m, tuesday(m), Situation.EXECUTED, NOW)
    assert refused(to_commit, asked, force=force).errno == EAGAIN
    committed = replace(asked, goal=Goal.COMMITTED, force_commit=force)
    assert decide(committed, Situation.EXECUTED, NOW) == EXECUTE
    assert decide(replace(committed, paused=True), Situation.EXECUTED, NOW) == Rest()


def test_its_own_snapshot_takes_the_request_back():
    m = record()
    asked = to_later(m, tuesday(m), Situation.EXECUTED, NOW)
    own = LaterSnapshot(m.imported.at_snapshot("monday"))
    back = to_later(asked, own, Situation.EXECUTED, NOW)
    assert not awaits_copy(back)
    assert decide(back, Situation.EXECUTED, NOW) == Rest()
    assert back.executed_at == NOW
    failed = asked.enter(State.FAILED, NOW, "gone")
    failed = replace(failed, failure=Failure(2, "gone", NOW), failed_in=State.EXECUTING)
    assert to_later(failed, own, Situation.EXECUTED, NOW).failure is None
    error = refused(to_later, failed, own, Situation.PREPARED, NOW)
    assert (error.errno, "has begun already" in str(error)) == (EINVAL, True)


def test_another_one_can_be_chosen_after_a_failure():
    m = record()
    asked = to_later(m, tuesday(m), Situation.EXECUTED, NOW)
    failed = replace(
        asked.enter(State.FAILED, NOW, "gone"),
        failure=Failure(2, "gone", NOW),
        failed_in=State.EXECUTING,
    )
    other = LaterSnapshot(m.imported.at_snapshot("wednesday"))
    for situation in (Situation.EXECUTED, Situation.PREPARED):
        again = to_later(failed, other, situation, NOW)
        assert again.imported.wanted.snap_name == "wednesday"
        assert decide(again, situation, NOW) == EXECUTE


IMPOSSIBLE = [
    (record(imported=None), EINVAL, "not an import"),
    (record(method=Method.WARM, imported=None), EINVAL, "leave out --snap"),
    (record(method=Method.LIVE), EINVAL, "by the method copy"),
    (
        record(imported=Import('{"type": "raw", "stream": {"type": "file", "file_path": "/x"}}')),
        EINVAL,
        "of an RBD image",
    ),
    (record(State.QUEUED), EAGAIN, "wait for that"),
    (record(State.PREPARED), EAGAIN, "wait for that"),
    (record(State.PREPARING), EAGAIN, "wait for that"),
    (record(State.EXECUTING), EAGAIN, "wait for that"),
    (record(State.COMMITTING), EINVAL, "cannot be stopped"),
    (record(goal=Goal.ABORTED), EBUSY, "being aborted"),
    (
        record(State.FAILED, failure=Failure(5, "It broke.", 1.0), failed_in=State.EXECUTING),
        EINVAL,
        "It broke.",
    ),
]


@pytest.mark.parametrize(("m", "errno", "words"), IMPOSSIBLE)
def test_where_it_is_not_possible(m, errno, words):
    error = refused(require_later_possible, m)
    assert (error.errno, words in str(error)) == (errno, True), error


GUARDED = [
    (record(), UNTOUCHED, 0),
    (record(), replace(UNTOUCHED, version=8), EPERM),
    (record(), replace(UNTOUCHED, locks=False), EPERM),
    (record(), replace(UNTOUCHED, header=replace(HEADER, snapshots="t")), EPERM),
    (record(touched=True), UNTOUCHED, EPERM),
    (record(target_version=None), UNTOUCHED, EPERM),
]


@pytest.mark.parametrize(("m", "found", "errno"), GUARDED)
def test_what_clients_wrote_is_not_mixed_with_it(m, found, errno):
    if errno:
        error = refused(guard_later, m, Situation.EXECUTED, found, force=False)
        assert error.errno == errno
        assert "add --force if no client wrote to it" in str(error)
    else:
        guard_later(m, Situation.EXECUTED, found, force=False)
    guard_later(m, Situation.EXECUTED, found, force=True)
    guard_later(m, Situation.PREPARED, found, force=False)
    opened = replace(found, users=[Watcher(4711, "192.0.2.1:0/1", lock=True)])
    for force in (False, True):
        assert refused(guard_later, m, Situation.EXECUTED, opened, force=force).errno == EBUSY


@given(name=st.text(min_size=1), force=st.booleans())
def test_the_record_is_read_back(name, force):
    m = record()
    later = LaterSnapshot(m.imported.at_snapshot("x"), force)
    later = replace(later, spec=json.dumps({**SPEC, "snap_name": name}))
    asked = replace(m, imported=replace(m.imported, later=later))
    assert decode(encode(asked)) == asked


def test_an_id_gives_way_to_the_name():
    by_id = {**SPEC, "snap_id": 4}
    del by_id["snap_name"]
    imported = Import(json.dumps(by_id))
    assert json.loads(imported.at_snapshot("tuesday")) == {**SPEC, "snap_name": "tuesday"}


def held(went_on, **changes):
    """The record when the later snapshot is copied."""
    asked = record(imported=Import(MONDAY, later=LaterSnapshot(later("tuesday"))), **changes)
    assert not left_behind(asked)
    answer = Copied(8, True, 4096, snapshots=("monday", "tuesday"), size=1 << 30, went_on=went_on)
    done = replace(holds_later(asked, answer), state=State.EXECUTED, copy_checked=True)
    return decode(encode(done))


def later(name):
    return json.dumps({**SPEC, "snap_name": name})


def test_what_clients_did_after_it_is_committed_without_by_force_alone():
    m = held("clients wrote 512 bytes to it")
    with pytest.raises(
        MigrationError, match="went on after hdd/vm@tuesday, which ssd/vm"
    ) as raised:
        to_commit(m, force=False)
    assert raised.value.errno == EPERM
    assert may_commit(to_commit(m, force=True), NOW)
    assert to_commit(held(""), force=False).goal is Goal.COMMITTED


def test_it_is_not_committed_by_itself_then_and_says_why():
    m = held("clients wrote 512 bytes to it", goal=Goal.COMMITTED, verify=Verify.NONE)
    assert not may_commit(m, NOW)
    hold = waits(m, NOW)
    assert (hold.reason, hold.until) == (HoldReason.OPERATOR, None)
    assert "clients wrote 512 bytes to it" in hold.message
    m = held("", goal=Goal.COMMITTED, verify=Verify.NONE)
    assert may_commit(m, NOW)
    assert waits(m, NOW) is None
