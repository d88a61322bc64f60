"""Requests for a plan: what they lead to, and when they are refused."""

from dataclasses import replace
from errno import EAGAIN, EINVAL

import pytest

from rbdmigrate.control.plans import progress, requests
from rbdmigrate.control.plans.waves import Phase
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import Definition, Item, Outcome, Plan, PlanState
from rbdmigrate.model.spec import ImageSpec
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


A, B = ImageSpec("hdd", "", "a"), ImageSpec("nvme", "", "b")
RUNNING = Plan(Definition("p"), PlanState.RUNNING, NOON)


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.WAITING])
def test_an_image_is_skipped_before_its_migration_begins(phase):
    assert requests.to_skip(RUNNING, Item("1", A, B), phase).outcome is Outcome.SKIPPED


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED, Phase.DONE, Phase.FAILED])
def test_an_image_whose_migration_has_begun_is_not_skipped(phase):
    with pytest.raises(MigrationError, match="cannot be skipped"):
        requests.to_skip(RUNNING, Item("1", A, B), phase)


@pytest.mark.parametrize("text", ["hdd/a", "nvme/b", "a"])
def test_an_image_of_a_plan_is_found_by_its_source_or_target(text):
    assert requests.find_item(RUNNING, [Item("0", B, A), Item("1", A, B)][1:], text) == 0


def test_an_image_that_is_not_in_the_plan_is_not_found():
    with pytest.raises(MigrationError, match="No image of the plan"):
        requests.find_item(RUNNING, [Item("1", A, B)], "hdd/x")


def test_what_failed_of_a_plan_that_is_done_is_given_up_by_cancelling_it():
    done = Plan(Definition("p"), PlanState.DONE, NOON)
    assert requests.to_cancel(done, NOON, force=False, failures=1).state is PlanState.CANCELLING


F, Q, W, N = Phase.FAILED, Phase.QUEUED, Phase.WAITING, Phase.DONE


@pytest.mark.parametrize(
    ("state", "phases", "waits", "words"),
    [
        (PlanState.DONE, [N, F], None, "1 of 2 images failed"),
        (PlanState.DONE, [N, N], None, ""),
        (PlanState.STOPPED, [F, Q], None, "stopped"),
        (PlanState.RUNNING, [F, Q], None, ""),
        (PlanState.RUNNING, [W, Q], progress.Waiting("hdd/a", 3599), ""),
        (PlanState.RUNNING, [W, Q], progress.Waiting("hdd/a", 7200), "plan skip p hdd/a"),
        (PlanState.PAUSED, [W, Q], progress.Waiting("hdd/a", 7200), ""),
        (PlanState.CANCELLED, [F, F], None, ""),
    ],
)
def test_somebody_is_told_of_a_plan_that_does_not_go_on_well(state, phases, waits, words):
    said = progress.attention(replace(RUNNING, state=state), phases, waits)
    assert (words in said) if words else said == ""


def test_the_time_left_counts_what_has_not_begun_with_the_mean_size():
    assert progress.time_left([N, Q, Q], [100, None, None], 100, 10.0) == 20.0
    assert progress.time_left([Q], [None], 0, 10.0) is None
    assert progress.time_left([N], [100], 50, 0.0) is None
