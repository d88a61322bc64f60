"""Requests for a plan: what they lead to, and when they are refused."""

from dataclasses import replace
from errno import EAGAIN, EINVAL

import pytest

from rbdmigrate.control.plans import requests
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import Definition, Plan, PlanState
from tests.unit.builders import NOON

REQUESTS = {
    "start": requests.to_start,
    "pause": requests.to_pause,
    "resume": lambda plan: requests.to_resume(plan, 2),
    "cancel": lambda plan: requests.to_cancel(plan, NOON, force=False),
    "retry": requests.to_retry,
}
D, S, R, P, X, G, E, C = PlanState  # draft, starting, running, paused, stopped, cancelling, ...
# The state after each request, or the errno with which it is refused.
TABLE = {
    "start": {D: S, S: S, R: R, P: P, X: X, G: EINVAL, E: E, C: EINVAL},
    "pause": {D: EINVAL, S: EAGAIN, R: P, P: P, X: P, G: EINVAL, E: EINVAL, C: EINVAL},
    "resume": {D: EINVAL, S: S, R: R, P: R, X: R, G: EINVAL, E: EINVAL, C: EINVAL},
    "cancel": {D: C, S: G, R: G, P: G, X: G, G: G, E: EINVAL, C: C},
    "retry": {D: EINVAL, S: S, R: R, P: P, X: R, G: EINVAL, E: R, C: EINVAL},
}


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("state", PlanState)
def test_every_request_is_carried_out_or_refused(name, state):
    plan = Plan(Definition("p"), state, NOON)
    wanted = TABLE[name][state]
    if isinstance(wanted, PlanState):
        assert REQUESTS[name](plan).state is wanted
        return
    with pytest.raises(MigrationError) as error:
        REQUESTS[name](plan)
    assert error.value.errno == wanted


def test_force_comes_with_the_cancel_that_was_accepted_only():
    done = Plan(Definition("p"), PlanState.DONE, NOON)
    with pytest.raises(MigrationError):
        requests.to_cancel(done, NOON, force=True)
    running = requests.to_retry(done)
    assert not requests.to_cancel(running, NOON, force=False).force
    forced = requests.to_cancel(running, NOON, force=True)
    assert requests.to_cancel(forced, NOON, force=False).force, "it is being cancelled by force"


def test_a_resumed_plan_does_not_count_its_failures_so_far():
    stopped = Plan(Definition("p"), PlanState.STOPPED, NOON)
    assert requests.to_resume(stopped, 2).forgiven == 2
    assert requests.to_retry(replace(stopped, forgiven=2)).forgiven == 0
