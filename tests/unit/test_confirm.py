"""Between a decision and its first write a request may be accepted: then nothing is written."""

from dataclasses import replace

import pytest

from rbdmigrate.control.lifecycle import requests
from rbdmigrate.control.lifecycle.confirm import Outdated, while_decided
from rbdmigrate.control.lifecycle.decide import decide
from rbdmigrate.control.lifecycle.decision import RunAct
from rbdmigrate.control.lifecycle.requests import Changes, changed
from rbdmigrate.control.lifecycle.situation import Situation
from rbdmigrate.model.states import ActKind, Goal, State
from tests.unit.builders import NOON, migration

COMMITS = migration(
    state=State.EXECUTED,
    prepared_at=NOON,
    executed_at=NOON,
    objects_complete=True,
    goal=Goal.COMMITTED,
)


def begun(m):
    return replace(m, state=State.COMMITTING)


def confirmed():
    decision = decide(COMMITS, Situation.EXECUTED, NOON)
    assert decision == RunAct(ActKind.COMMIT)
    return while_decided(decision, Situation.EXECUTED, NOON, begun)


def test_a_decision_that_still_holds_is_carried_out():
    assert confirmed()(replace(COMMITS, priority=1)) == begun(replace(COMMITS, priority=1))


@pytest.mark.parametrize(
    "accepted",
    [
        requests.to_abort,
        requests.to_pause,
        lambda m: requests.to_verify(m, requests.Verify.FULL, NOON),
        lambda m: changed(m, Changes(soak=60.0)),
        lambda m: changed(m, Changes(goal=Goal.EXECUTED)),
        lambda m: changed(m, Changes(verify=requests.Verify.SAMPLE)),
    ],
    ids=["abort", "pause", "verify", "soak", "goal", "verify policy"],
)
def test_a_request_that_was_accepted_meanwhile_is_not_overtaken_by_a_commit(accepted):
    with pytest.raises(Outdated):
        confirmed()(accepted(COMMITS))
