"""The method ``auto``: warm where it can do the job, else live."""

from dataclasses import replace

import pytest

from rbdmigrate.checks import first_error, run
from rbdmigrate.control.lifecycle.method_choice import auto_by_default, best_of, choose, judge
from rbdmigrate.model.cutover import CutoverMode, CutoverPolicy
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.finding import Finding, Severity
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.states import Goal, Method
from tests.unit.test_checks import GOOD, image, request

WARM, LIVE, COPY = Method.WARM, Method.LIVE, Method.COPY
ERROR = Finding("BAD", Severity.ERROR, "a/b", "It is bad.", "rbd fix a/b", 22)
YES = None


@pytest.mark.parametrize(
    ("refusals", "best"),
    [
        ({WARM: YES, LIVE: YES}, WARM),
        ({WARM: YES, LIVE: ERROR}, WARM),
        ({WARM: ERROR, LIVE: YES}, LIVE),
        ({WARM: ERROR, LIVE: ERROR}, None),
        ({LIVE: YES}, LIVE),
        ({LIVE: ERROR}, None),
        ({COPY: YES}, COPY),
        ({COPY: ERROR}, None),
        ({LIVE: YES, COPY: YES}, LIVE),
        ({}, None),
    ],
)
def test_the_best_method(refusals, best):
    assert best_of(refusals) is best
    judged = judge(refusals)
    assert {j.method for j in judged} == refusals.keys()
    assert [j.method for j in judged if j.recommended] == ([] if best is None else [best])
    for j in judged:
        assert j.ok is (refusals[j.method] is None)
        assert j.reason.endswith(".")
        assert bool(j.code) is not j.ok


def test_the_best_one_comes_first_and_a_refusal_has_its_remedy():
    first, second = judge({LIVE: ERROR, WARM: YES})
    assert (first.method, second.method) == (WARM, LIVE)
    assert (second.code, second.reason) == ("BAD", "It is bad (`rbd fix a/b`).")


@pytest.mark.parametrize(
    ("facts", "warm", "live"),
    [
        (GOOD, "", ""),
        (image(parent="old/base@s", parent_pool="old"), "", ""),
        (image(parent="old/base@s", parent_trashed=True), "WARM_PARENT", ""),
        (image(cache_dirty=True), "CACHE_DIRTY", "CACHE_DIRTY"),
        (request(stripe_unit=3 << 20, stripe_count=2), "STRIPE_UNIT", "STRIPE_UNIT"),
        (image(mirror_mode=0), "WARM_MIRRORED", ""),
    ],
)
def test_the_findings_about_an_image_decide(facts, warm, live):
    refusals = {
        method: first_error(run(replace(facts, request=facts.request.by(method))))
        for method in (LIVE, WARM)
    }
    assert [(j.method, j.code) for j in judge(refusals)] == [(WARM, warm), (LIVE, live)]


IN_USE = Finding("SOURCE_IN_USE", Severity.ERROR, "a/b", "It is open.", "", 16)
OPEN = Finding("WARM_IN_USE", Severity.ERROR, "a/b", "It is open; do this.", "", 16)
AGENT, CLOSED, HOOK, REFUSE = (
    Policy(Goal.COMMITTED, cutover=CutoverPolicy(mode))
    for mode in (CutoverMode.AGENT, CutoverMode.WHEN_CLOSED, CutoverMode.HOOK, CutoverMode.REFUSE)
)
RUN, CUT = Policy(Goal.COMMITTED), Policy(Goal.CUT_OVER)
WINDOW = Policy(Goal.COMMITTED, cutover_window="Sun")
CHOICES = [  # policy, what refuses warm and live, what comes of it: a method, or an errno
    (RUN, YES, YES, WARM),
    (RUN, YES, ERROR, WARM),
    (RUN, ERROR, YES, LIVE),
    (RUN, ERROR, ERROR, 22),
    (RUN, ERROR, IN_USE, 16),
    (RUN, OPEN, IN_USE, 16),
    (REFUSE, ERROR, YES, LIVE),
    (AGENT, YES, YES, WARM),
    (AGENT, ERROR, YES, LIVE),
    (CLOSED, ERROR, YES, 22),
    (HOOK, ERROR, YES, 22),
    (HOOK, YES, ERROR, WARM),
    (CUT, ERROR, YES, 22),
    (CUT, YES, YES, WARM),
    (WINDOW, ERROR, YES, 22),
    (WINDOW, YES, YES, WARM),
]


@pytest.mark.parametrize(("policy", "warm", "live", "comes"), CHOICES)
def test_what_auto_chooses(policy, warm, live, comes):
    refusals = {WARM: warm, LIVE: live}
    if isinstance(comes, Method):
        choice = choose(refusals, policy)
        assert choice.method is comes
        assert choice.reason.endswith(".")
        refused = comes is LIVE and warm is not None
        assert (warm is not None and warm.sentence in choice.reason) is refused
        return
    with pytest.raises(MigrationError) as error:
        choose(refusals, policy)
    assert error.value.errno == comes
    assert warm.sentence in str(error.value)


@pytest.mark.parametrize(
    ("policy", "auto"),
    [
        (Policy(Goal.PREPARED), False),
        (Policy(Goal.PREPARED, cutover=REFUSE.cutover), False),
        (Policy(Goal.PREPARED, cutover=AGENT.cutover), True),
        (Policy(Goal.PREPARED, cutover_window="Sun"), True),
        (Policy(Goal.EXECUTED), True),
        (RUN, True),
        (CUT, True),
    ],
)
def test_a_method_is_chosen_by_default_unless_it_is_only_prepared(policy, auto):
    assert auto_by_default(policy) is auto
