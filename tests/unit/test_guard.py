"""The abort guard: only proof that nobody touched the target lets an abort through."""

from dataclasses import replace
from errno import EBUSY, EPERM

import pytest

from rbdmigrate.control.lifecycle.abort_guard import TargetFound, guard_abort, guard_abort_again
from rbdmigrate.control.lifecycle.aborting import (
    abort_refused,
    refusal_of,
    request_abort,
    written_by_us_alone,
)
from rbdmigrate.control.lifecycle.decide import decide, failed
from rbdmigrate.control.lifecycle.decision import Rest
from rbdmigrate.control.lifecycle.situation import Situation
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.import_source import Import
from rbdmigrate.model.migration import Migration, Place
from rbdmigrate.model.migration_codec import decode, encode
from rbdmigrate.model.states import Goal, HoldReason, State
from rbdmigrate.model.target_header import TargetHeader
from rbdmigrate.model.watchers import Watcher

HEADER = TargetHeader(size=1 << 30, features=61, snapshots="s", metadata="m", group="g")
UNTOUCHED = Migration(
    id="1",
    source=Place("hdd", "", "vm", 1, "src"),
    target=Place("nvme", "", "vm", 2, "dst"),
    goal=Goal.COMMITTED,
    state=State.EXECUTED,
    created=0.0,
    prepared_at=1.0,
    target_version=7,
    target_header=HEADER,
)
FOUND = TargetFound(users=(), locks=True, version=7, header=HEADER)
USER = Watcher(4711, "10.0.0.5:0/1", lock=True)
OLD = replace(UNTOUCHED, target_header=None)  # an earlier version prepared it

PROVEN = [
    pytest.param(UNTOUCHED, FOUND, id="the header is what it was"),
    pytest.param(
        UNTOUCHED,
        replace(FOUND, own_act_writes=True, version=9),
        id="only our copy wrote the header",
    ),
    pytest.param(OLD, replace(FOUND, copied=False), id="without a copy the version is enough"),
]
CHANGES = [
    ({"size": 1}, "The size"),
    ({"snapshots": "t"}, "The snapshots"),
    ({"metadata": "n"}, "The image metadata"),
    ({"features": 1}, "The features"),
    ({"group": "h"}, "The group"),
    ({"size": 1, "snapshots": "t"}, "The size, the snapshots"),
]
DOUBTFUL = [
    pytest.param(UNTOUCHED, replace(FOUND, version=8), id="the header was written since"),
    pytest.param(UNTOUCHED, replace(FOUND, version=None), id="the target cannot be read"),
    pytest.param(replace(UNTOUCHED, touched=True), FOUND, id="a client was seen"),
    pytest.param(
        replace(UNTOUCHED, touched=True),
        replace(FOUND, own_act_writes=True),
        id="seen while it copies",
    ),
    pytest.param(replace(UNTOUCHED, target_version=None), FOUND, id="nobody watched"),
    pytest.param(UNTOUCHED, replace(FOUND, locks=False), id="writes leave no trace"),
    pytest.param(OLD, FOUND, id="nobody knows what the header was before the copy"),
    *[
        pytest.param(
            UNTOUCHED,
            replace(FOUND, own_act_writes=copying, header=replace(HEADER, **change)),
            id=f"{words.lower()} changed{' while it copies' if copying else ''}",
        )
        for change, words in CHANGES
        for copying in (False, True)
    ],
]


def refused(check, *args, **options) -> MigrationError:
    with pytest.raises(MigrationError) as refusal:
        check(*args, **options)
    return refusal.value


@pytest.mark.parametrize(("m", "found"), PROVEN)
def test_proof_lets_it_through(m, found):
    guard_abort(m, found, force=False)
    guard_abort_again(m, found)


@pytest.mark.parametrize(("m", "found"), DOUBTFUL)
def test_without_proof_it_needs_force(m, found):
    refusal = refused(guard_abort, m, found, force=False)
    assert refusal.errno == EPERM
    assert "--force" in str(refusal)
    guard_abort(m, found, force=True)


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_the_refusal_says_what_changed(change, words):
    found = replace(FOUND, header=replace(HEADER, **change))
    assert str(refused(guard_abort, UNTOUCHED, found, force=False)).startswith(f"{words} of nvme/")


def test_the_refusal_of_an_import_says_that_all_is_lost():
    m = replace(UNTOUCHED, imported=Import("{}"), touched=True)
    assert "removes the target" in str(refused(guard_abort, m, FOUND, force=False))


@pytest.mark.parametrize("force", [False, True])
def test_an_open_target_is_never_aborted_and_its_user_is_named(force):
    found = replace(FOUND, users=[USER])
    asked = request_abort(UNTOUCHED, UNTOUCHED, FOUND, forced=force)
    refusal = refused(guard_abort, UNTOUCHED, found, force=force)
    assert refusal.errno == EBUSY
    assert "client.4711 at 10.0.0.5:0/1 (holds the exclusive lock)" in str(refusal)
    assert refused(guard_abort_again, asked, found).errno == EBUSY


# -- again, right before the abort begins ---------------------------------------------------


@pytest.mark.parametrize(("m", "found"), DOUBTFUL)
def test_an_accepted_abort_is_not_begun_when_clients_came_since(m, found):
    asked = request_abort(m, m, FOUND, forced=False)
    refusal = refused(guard_abort_again, asked, found)
    assert refusal.errno == EPERM
    assert "was not begun" in str(refusal)
    assert "resume" in str(refusal)


@pytest.mark.parametrize(("m", "found"), DOUBTFUL)
def test_force_covers_what_had_happened_until_then(m, found):
    if found.version is None:
        return  # then nothing shows that it is the same
    found = replace(found, own_act_writes=False)
    asked = request_abort(m, m, found, forced=True)
    guard_abort_again(asked, found)


@pytest.mark.parametrize(
    "later",
    [{"version": 9}, {"version": None}, {"header": replace(HEADER, snapshots="t")}],
    ids=str,
)
def test_force_does_not_cover_what_happens_later(later):
    touched = replace(UNTOUCHED, touched=True)
    asked = request_abort(touched, touched, FOUND, forced=True)
    refusal = refused(guard_abort_again, asked, replace(FOUND, **later))
    assert refusal.errno == EPERM
    assert "after its abort was forced" in str(refusal)


def test_a_forced_abort_of_a_running_copy_covers_what_the_copy_itself_still_writes():
    touched = replace(UNTOUCHED, touched=True, state=State.EXECUTING)
    asked = request_abort(touched, touched, replace(FOUND, own_act_writes=True), forced=True)
    stopped = written_by_us_alone(asked, 12)
    guard_abort_again(stopped, replace(FOUND, version=12))
    assert refused(guard_abort_again, stopped, replace(FOUND, version=13)).errno == EPERM


def test_an_abort_that_was_forced_before_there_was_a_target_is_judged_by_the_prepare():
    asked = request_abort(UNTOUCHED, UNTOUCHED, None, forced=True)
    guard_abort_again(asked, FOUND)
    assert refused(guard_abort_again, asked, replace(FOUND, version=8)).errno == EPERM


# -- the way back ---------------------------------------------------------------------------


@pytest.mark.parametrize("situation", [Situation.PREPARED, Situation.EXECUTED])
@pytest.mark.parametrize("state", [State.PREPARED, State.EXECUTED, State.VERIFIED])
def test_after_a_refusal_it_has_its_former_goal_and_is_paused(state, situation):
    m = replace(UNTOUCHED, state=state)
    asked = request_abort(m, m, FOUND, forced=False)
    assert asked.goal is Goal.ABORTED
    assert refusal_of(asked) is None
    back = abort_refused(asked.enter(State.ABORTING, 5.0), EPERM, "A client came.", 6.0)
    assert (back.goal, back.state, back.paused) == (Goal.COMMITTED, state, True)
    assert back.hold is not None
    assert (back.hold.reason, back.hold.message) == (HoldReason.OPERATOR, "A client came.")
    refusal = refusal_of(back)
    assert refusal is not None
    assert (refusal.errno, refusal.message) == (EPERM, "A client came.")
    assert decide(back, situation, 7.0) == Rest(), "least of all it is committed"
    assert decode(encode(back)) == back


def test_what_had_failed_before_the_abort_has_failed_after_its_refusal():
    broken = failed(replace(UNTOUCHED, state=State.VERIFYING), 5, "It broke.", 2.0)
    cleared = replace(broken, state=State.VERIFYING, failure=None)
    asked = request_abort(broken, cleared, FOUND, forced=False)
    back = abort_refused(asked, EPERM, "A client came.", 6.0)
    assert (back.state, back.failure, back.failed_in) == (
        State.FAILED, broken.failure, State.VERIFYING,
    )  # fmt: skip


def test_an_abort_that_is_asked_for_again_goes_back_to_the_goal_before_both():
    asked = request_abort(UNTOUCHED, UNTOUCHED, FOUND, forced=False)
    again = request_abort(asked, asked, FOUND, forced=True)
    assert abort_refused(again, EPERM, "A client came.", 6.0).goal is Goal.COMMITTED


def test_an_abort_that_an_older_version_accepted_goes_back_and_commits_nothing():
    old = replace(UNTOUCHED, goal=Goal.ABORTED)
    back = abort_refused(old, EPERM, "A client came.", 6.0)
    assert (back.goal, back.state, back.paused) == (Goal.EXECUTED, State.EXECUTED, True)


def test_a_refusal_that_comes_too_late_changes_nothing():
    assert abort_refused(UNTOUCHED, EPERM, "A client came.", 6.0) is UNTOUCHED
