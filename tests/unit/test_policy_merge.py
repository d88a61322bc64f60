"""Policies on records: a repeated request, and a plan that joins, leave no gate behind."""

import dataclasses
from dataclasses import replace
from errno import EAGAIN, EBUSY, EEXIST, EINVAL
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbdmigrate.control.lifecycle.decide import decide
from rbdmigrate.control.lifecycle.decision import Rest, RunAct
from rbdmigrate.control.lifecycle.policy_merge import merged, with_policy
from rbdmigrate.control.lifecycle.situation import Situation
from rbdmigrate.control.lifecycle.verification import with_soaked
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Failure
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import ActKind, Goal, Method, State
from rbdmigrate.model.verification import Verify
from tests.unit.builders import NOON, migration

PLAIN = LayoutOptions()
WEEK = 7 * 86400.0
GOALS = [goal for goal in Goal if goal is not Goal.ABORTED]
VERIFIES = list(Verify)

# Of each field of a policy: whether ``after`` is as strict as ``asked``, which one record or one
# request said. A new field fails the tests below until it is decided what merging it means.
AS_STRICT: "dict[str, Callable[[Any, Any], bool]]" = {
    "goal": lambda after, asked: GOALS.index(after) >= GOALS.index(asked),
    "priority": lambda after, asked: True,  # documented: it stays as it is
    "rate": lambda after, asked: asked is None or (after is not None and after <= asked),
    "window": lambda after, asked: asked in ("", after),
    "verify": lambda after, asked: VERIFIES.index(after) >= VERIFIES.index(asked),
    "soak": lambda after, asked: after >= asked,
    "cutover_window": lambda after, asked: asked in ("", after),
    "refresh_source": lambda after, asked: not asked or 0 < after <= asked,
    "cutover": lambda after, asked: asked is None,  # the last request counts, see below
}
FIELDS = [field.name for field in dataclasses.fields(Policy)]

policies = st.builds(
    Policy,
    goal=st.sampled_from(GOALS),
    priority=st.integers(-3, 3),
    rate=st.none() | st.integers(0, 3),
    window=st.sampled_from(["", "Sat", "22:00-04:00"]),
    cutover_window=st.sampled_from(["", "Sun", "02:00-04:00"]),
    verify=st.sampled_from(VERIFIES),
    soak=st.sampled_from([0.0, 60.0, WEEK]),
    refresh_source=st.sampled_from([0.0, 60.0, WEEK]),
)


def executed(**changes):
    """A migration that somebody began by hand, and that is where it was to go."""
    plain = {
        "goal": Goal.EXECUTED,
        "state": State.EXECUTED,
        "prepared_at": NOON,
        "executed_at": NOON,
        "objects_complete": True,
    }
    return migration(**{**plain, **changes})


def refused(number: int, m, policy=Policy(), layout=PLAIN, plan=""):  # noqa: B008 - frozen
    with pytest.raises(MigrationError) as error:
        merged(m, policy, layout, plan)
    assert error.value.errno == number
    return str(error.value)


@pytest.mark.parametrize("method", [Method.LIVE, Method.COPY])
def test_a_cutover_is_no_goal_of_methods_without_one(method):
    m = executed(method=method)
    assert "cutover" in refused(EINVAL, m, Policy(Goal.CUT_OVER))
    with pytest.raises(MigrationError, match="cutover"):
        with_policy(m, Policy(Goal.CUT_OVER))


def test_every_field_of_a_policy_is_decided_on():
    assert set(AS_STRICT) == set(FIELDS)


@given(policies, policies, st.sampled_from(["", "p"]))
def test_of_two_policies_the_stricter_counts_in_every_field(first, second, plan):
    m = with_policy(executed(method=Method.WARM), first)
    windows = [(p.window, p.cutover_window) for p in (first, second)]
    if any(one and other and one != other for one, other in zip(*windows)):
        refused(EEXIST, m, second, plan=plan)
        return
    after = merged(m, second, PLAIN, plan)
    for name in FIELDS:
        for asked in (first, second):
            assert AS_STRICT[name](getattr(after, name), getattr(asked, name)), name


@pytest.mark.parametrize("name", FIELDS)
def test_a_new_record_has_every_field_of_its_policy(name):
    cutover = CutoverPolicy(CutoverMode.AGENT, 2.0)
    policy = Policy(Goal.EXECUTED, 3, 5, "Sat", Verify.SAMPLE, 60.0, cutover, "Sun", 3600.0)
    assert getattr(policy, name) != getattr(Policy(), name)
    m = with_policy(migration(method=Method.WARM), policy)
    assert getattr(m, name) == getattr(policy, name)


def test_of_two_ways_to_cut_over_the_last_one_given_counts():
    m = executed(method=Method.WARM)
    agent, refuse = CutoverPolicy(CutoverMode.AGENT), CutoverPolicy(CutoverMode.REFUSE)
    m = merged(m, Policy(cutover=agent), PLAIN)
    assert m.cutover == agent
    assert merged(m, Policy(), PLAIN).cutover == agent
    assert merged(m, Policy(cutover=refuse), PLAIN).cutover == refuse
    assert merged(executed(), Policy(cutover=agent), PLAIN).cutover == agent
    closed = CutoverPolicy(CutoverMode.WHEN_CLOSED)
    with pytest.raises(MigrationError, match="method warm"):
        merged(executed(), Policy(cutover=closed), PLAIN)


@given(policies, st.sampled_from(["", "p"]))
def test_the_same_request_again_changes_nothing(policy, plan):
    m = replace(with_policy(executed(method=Method.WARM), policy), plan=plan)
    assert merged(m, policy, PLAIN, plan) == m


def test_a_run_on_what_is_executed_waits_for_its_soak_time():
    after = merged(executed(), Policy(Goal.COMMITTED, soak=WEEK), PLAIN)
    assert decide(after, Situation.EXECUTED, NOON + 60) == Rest()
    soaked = with_soaked(after, WEEK)
    assert decide(soaked, Situation.EXECUTED, NOON + WEEK) == RunAct(ActKind.COMMIT)


def test_what_joins_a_plan_is_compared_and_soaks_as_the_plan_says():
    policy = Policy(Goal.COMMITTED, verify=Verify.FULL, soak=WEEK)
    after = merged(executed(), policy, PLAIN, "p")
    assert (after.plan, after.verify, after.soak) == ("p", Verify.FULL, WEEK)
    assert decide(after, Situation.EXECUTED, NOON) == RunAct(ActKind.VERIFY)


def test_a_goal_that_asks_for_comparing_is_not_outdone_by_one_that_does_not():
    after = merged(executed(goal=Goal.COMMITTED), Policy(Goal.VERIFIED), PLAIN)
    assert (after.goal, after.verify) == (Goal.COMMITTED, Verify.FULL)


@pytest.mark.parametrize("consent", ["force_commit", "soak_ended"])
def test_a_request_that_changes_anything_does_not_inherit_a_consent(consent):
    m = executed(goal=Goal.COMMITTED, verify=Verify.FULL, soak=WEEK, **{consent: True})
    policy = Policy(Goal.COMMITTED, verify=Verify.FULL, soak=WEEK)
    assert getattr(merged(m, policy, PLAIN), consent) is True, "nothing was changed"
    assert getattr(merged(m, policy, PLAIN, "p"), consent) is False
    assert getattr(merged(m, replace(policy, soak=2 * WEEK), PLAIN), consent) is False


@pytest.mark.parametrize(
    ("changes", "number", "words"),
    [
        ({"goal": Goal.ABORTED}, EBUSY, "being aborted"),
        ({"state": State.COMMITTED, "goal": Goal.COMMITTED}, EAGAIN, "ended"),
        ({"plan": "other"}, EEXIST, "the plan other"),
        ({"layout": LayoutOptions(object_size=1 << 20)}, EEXIST, "another layout"),
        ({"window": "Sun"}, EEXIST, "another window (Sun)"),
        ({"state": State.COMMITTING, "goal": Goal.COMMITTED}, EBUSY, "being committed"),
        (
            {"state": State.FAILED, "failure": Failure(5, "It broke.", NOON)},
            EINVAL,
            "It broke. Remove the cause",
        ),
    ],
)
def test_refusals(changes, number, words):
    policy = Policy(Goal.COMMITTED, window="Sat", verify=Verify.FULL)
    assert words in refused(number, executed(**changes), policy, plan="p")


@pytest.mark.parametrize("field", dataclasses.fields(LayoutOptions), ids=lambda field: field.name)
@pytest.mark.parametrize("adopted", [False, True])
def test_another_layout_is_refused_in_every_field(field, adopted):
    value = {"features": ("layering",), "shared": True, "flatten": True}.get(field.name, 8)
    layout = replace(PLAIN, **{field.name: value})
    refused(EEXIST, executed(adopted=adopted), layout=layout)


def test_a_commit_that_has_begun_answers_the_same_request_again():
    m = executed(goal=Goal.COMMITTED, state=State.COMMITTING)
    assert merged(m, Policy(Goal.COMMITTED), PLAIN) == m


class TestFailedBeforePrepared:
    """Nothing is there yet: the request counts as if it were the first."""

    FAILED = migration(
        state=State.FAILED, verify=Verify.FULL, soak=WEEK, failure=Failure(16, "In use.", NOON)
    )

    def test_it_begins_again_as_the_new_request_says(self):
        layout = LayoutOptions(object_size=1 << 20)
        policy = Policy(Goal.EXECUTED, window="Sat", verify=Verify.NONE)
        after = merged(self.FAILED, policy, layout)
        assert after == replace(
            with_policy(migration(), policy), layout=layout, verify=Verify.NONE, soak=0.0
        )

    def test_one_of_a_plan_keeps_what_the_plan_asked_for(self):
        m = replace(self.FAILED, plan="p")
        after = merged(m, Policy(Goal.PREPARED), PLAIN)
        assert (after.state, after.failure) == (State.QUEUED, None)
        assert (after.goal, after.verify, after.soak) == (Goal.COMMITTED, Verify.FULL, WEEK)
        refused(EEXIST, m, layout=LayoutOptions(shared=True))
        refused(EEXIST, m, plan="other")
