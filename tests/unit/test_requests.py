"""Requests for a migration under way: what they lead to, and when they are refused."""

from dataclasses import replace
from errno import EAGAIN, EBUSY, EINVAL, EPERM

import pytest

from rbdmigrate.control.lifecycle import requests
from rbdmigrate.control.lifecycle.decide import decide
from rbdmigrate.control.lifecycle.decision import Rest, RunAct
from rbdmigrate.control.lifecycle.requests import Changes, changed
from rbdmigrate.control.lifecycle.situation import Situation
from rbdmigrate.control.lifecycle.verification import with_soaked
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Failure, Hold
from rbdmigrate.model.states import ActKind, Goal, HoldReason, State
from rbdmigrate.model.verification import Outcome, Verification, Verify
from tests.unit.builders import NOON, migration

WEEK = 7 * 86400.0
PASSED = Verification(Verify.FULL, 1, 1.0, NOON, outcome=Outcome.PASSED, at=NOON)


def executed(**changes):
    plain = {
        "goal": Goal.EXECUTED,
        "state": State.EXECUTED,
        "prepared_at": NOON,
        "executed_at": NOON,
        "objects_complete": True,
    }
    return migration(**{**plain, **changes})


REQUESTS = {
    "execute": requests.to_execute,
    "commit": lambda m: requests.to_commit(m, force=False),
    "commit --force": lambda m: requests.to_commit(m, force=True),
    "abort": requests.to_abort,
    "pause": requests.to_pause,
    "resume": requests.to_resume,
    "retry": requests.to_retry,
    "verify": lambda m: requests.to_verify(m, Verify.FULL, NOON),
    "set --goal": lambda m: changed(m, Changes(goal=Goal.EXECUTED)),
    "set --verify": lambda m: changed(m, Changes(verify=Verify.NONE)),
    "set --soak": lambda m: changed(m, Changes(soak=0.0)),
    "set --rate": lambda m: changed(m, Changes(rate=5, change_rate=True)),
}


def refused(number, request, *args, **named):
    with pytest.raises(MigrationError) as error:
        request(*args, **named)
    assert error.value.errno == number
    return str(error.value)


@pytest.mark.parametrize("name", sorted(REQUESTS.keys() - {"abort", "resume", "retry"}))
def test_an_accepted_abort_refuses_whatever_leads_elsewhere(name):
    m = executed(goal=Goal.ABORTED, hold=Hold(HoldReason.RETRY, "It waits."))
    assert "being aborted" in refused(EBUSY, REQUESTS[name], m)


@pytest.mark.parametrize("name", ["abort", "resume", "retry"])
def test_what_is_allowed_during_an_abort_leaves_it_one(name):
    m = executed(goal=Goal.ABORTED, hold=Hold(HoldReason.RETRY, "It waits."))
    assert decide(REQUESTS[name](m), Situation.EXECUTED, NOON) == RunAct(ActKind.ABORT)


@pytest.mark.parametrize("name", ["abort", "set --goal", "set --verify", "set --soak"])
def test_what_would_come_too_late_for_a_commit_is_refused(name):
    m = executed(goal=Goal.COMMITTED, state=State.COMMITTING)
    assert "being committed" in refused(EINVAL, REQUESTS[name], m)


def test_execute_raises_the_goal_prepared_only():
    assert requests.to_execute(migration(goal=Goal.PREPARED)).goal is Goal.EXECUTED
    assert requests.to_execute(migration(goal=Goal.COMMITTED)).goal is Goal.COMMITTED
    failed = migration(state=State.FAILED, failure=Failure(5, "It broke.", NOON))
    assert "retry" in refused(EINVAL, requests.to_execute, failed)


def test_a_commit_needs_all_data():
    early = migration(state=State.EXECUTING)
    assert "not executed yet" in refused(EAGAIN, requests.to_commit, early, force=True)


@pytest.mark.parametrize("goal", [Goal.PREPARED, Goal.EXECUTED, Goal.VERIFIED, Goal.COMMITTED])
@pytest.mark.parametrize("mode", [Verify.SAMPLE, Verify.FULL])
def test_a_commit_of_what_was_not_compared_yet_compares_it_first(goal, mode):
    m = executed(verify=mode, goal=goal, soak=WEEK)
    after = requests.to_commit(m, force=False)
    assert (after.goal, after.force_commit) == (Goal.COMMITTED, False)
    assert decide(after, Situation.EXECUTED, NOON) == RunAct(ActKind.VERIFY)
    found = replace(PASSED, mode=mode)
    assert decide(replace(after, verification=found), Situation.EXECUTED, NOON) == RunAct(
        ActKind.COMMIT
    )
    differs = replace(found, outcome=Outcome.FAILED)
    unequal = replace(after, verification=differs)
    assert decide(unequal, Situation.EXECUTED, NOON) != RunAct(ActKind.COMMIT)


def test_a_commit_of_a_sample_compares_all_where_all_has_to_be_compared():
    sampled = replace(PASSED, mode=Verify.SAMPLE)
    after = requests.to_commit(executed(verify=Verify.FULL, verification=sampled), force=False)
    assert decide(after, Situation.EXECUTED, NOON) == RunAct(ActKind.VERIFY)


def test_a_commit_by_force_does_not_compare():
    m = executed(verify=Verify.FULL)
    assert requests.to_commit(m, force=True).force_commit
    assert not requests.to_commit(replace(m, verification=PASSED), force=False).force_commit


class TestConsent:
    """What a commit allows ends with that request: no other one makes use of it."""

    FORCED = requests.to_commit(executed(verify=Verify.FULL, soak=WEEK), force=True)
    PLAIN = requests.to_commit(
        executed(verify=Verify.FULL, verification=PASSED, soak=WEEK), force=False
    )

    def test_it_commits_at_once(self):
        for m in (self.FORCED, self.PLAIN):
            assert decide(m, Situation.EXECUTED, NOON) == RunAct(ActKind.COMMIT)

    @pytest.mark.parametrize(
        "changes",
        [
            Changes(goal=Goal.COMMITTED),
            Changes(verify=Verify.FULL),
            Changes(soak=WEEK),
            Changes(goal=Goal.COMMITTED, verify=Verify.FULL, soak=WEEK),
        ],
    )
    def test_set_ends_it(self, changes):
        back = changed(self.FORCED, Changes(goal=Goal.EXECUTED))
        for m in (self.FORCED, changed(back, Changes(goal=Goal.COMMITTED))):
            assert decide(changed(m, changes), Situation.EXECUTED, NOON) == RunAct(ActKind.VERIFY)

    def test_the_soak_time_is_kept_when_a_commit_is_called_off(self):
        back = changed(self.PLAIN, Changes(goal=Goal.EXECUTED))
        again = changed(back, Changes(goal=Goal.COMMITTED))
        assert decide(again, Situation.EXECUTED, NOON + 1) == Rest()
        soaked = with_soaked(again, WEEK)
        assert decide(soaked, Situation.EXECUTED, NOON + WEEK) == RunAct(ActKind.COMMIT)

    def test_the_pace_may_change_without_ending_it(self):
        m = changed(self.FORCED, Changes(rate=5, change_rate=True, priority=2, window="Sat"))
        assert (m.rate, m.priority, m.window, m.force_commit) == (5, 2, "Sat", True)

    def test_verify_ends_it(self):
        m = requests.to_verify(self.FORCED, Verify.FULL, NOON)
        assert decide(m, Situation.EXECUTED, NOON) == RunAct(ActKind.VERIFY)


class TestFloor:
    """What a plan wants compared is the least that its migrations are compared."""

    M = executed(verify=Verify.FULL, plan="p")

    @pytest.mark.parametrize("verify", [Verify.NONE, Verify.SAMPLE])
    def test_it_is_not_lowered_for_one_migration(self, verify):
        said = refused(EPERM, changed, self.M, Changes(verify=verify), Verify.FULL)
        assert "The plan p wants" in said

    def test_what_is_compared_beyond_it_may_be_given_up(self):
        assert changed(self.M, Changes(verify=Verify.SAMPLE), Verify.SAMPLE).verify is Verify.SAMPLE
        refused(EPERM, changed, self.M, Changes(verify=Verify.NONE), Verify.SAMPLE)

    def test_a_migration_that_began_below_it_may_be_raised(self):
        m = replace(self.M, verify=Verify.NONE)
        assert changed(m, Changes(verify=Verify.SAMPLE), Verify.FULL).verify is Verify.SAMPLE

    def test_without_a_plan_it_is_the_administrators(self):
        m = replace(self.M, plan="", goal=Goal.COMMITTED)
        after = changed(m, Changes(verify=Verify.NONE))
        assert decide(after, Situation.EXECUTED, NOON) == RunAct(ActKind.COMMIT)


def test_a_sample_does_not_take_the_place_of_a_full_comparison():
    m = executed(verify=Verify.FULL)
    assert "--verify sample" in refused(EINVAL, requests.to_verify, m, Verify.SAMPLE, NOON)
    assert requests.to_verify(replace(m, verify=Verify.NONE), Verify.SAMPLE, NOON).verify is (
        Verify.SAMPLE
    )


def test_there_is_nothing_to_compare_before_all_is_copied():
    refused(EAGAIN, requests.to_verify, migration(state=State.PREPARED), Verify.FULL, NOON)


def test_the_goal_verified_is_not_set_without_comparing():
    assert changed(executed(), Changes(goal=Goal.VERIFIED)).verify is Verify.FULL


def test_a_retry_compares_again_what_differed():
    differs = replace(PASSED, outcome=Outcome.FAILED)
    m = executed(state=State.FAILED, failed_in=State.VERIFYING, verification=differs)
    after = requests.to_retry(m)
    assert (after.state, after.verification) == (State.VERIFYING, None)
    refused(EINVAL, requests.to_retry, executed())


@pytest.mark.parametrize(
    "changes",
    [
        {"state": State.QUEUED},
        {"state": State.FAILED, "prepared_at": NOON},
    ],
)
def test_a_refused_prepare_is_not_undone_once_somebody_tries_it_again(changes):
    m = migration(**changes)
    assert requests.to_undo_prepare(m) == m
    assert requests.to_undo_prepare(migration(state=State.FAILED)).goal is Goal.ABORTED
