"""The method ``auto``: warm where it can do the job, else live."""

from dataclasses import replace

import pytest

from rbdmigrate.checks import first_error, run
from rbdmigrate.control.lifecycle.method_choice import best_of, judge
from rbdmigrate.model.finding import Finding, Severity
from rbdmigrate.model.migration import Method
from tests.unit.test_checks import WELL, image, wish

WARM, LIVE, COPY = Method.WARM, Method.LIVE, Method.COPY
ERROR = Finding("BAD", Severity.ERROR, "a/b", "It is bad.", "rbd mend a/b", 22)
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
    assert (second.code, second.reason) == ("BAD", "It is bad (`rbd mend a/b`).")


@pytest.mark.parametrize(
    ("facts", "warm", "live"),
    [
        (WELL, "", ""),
        (image(parent="old/base@s", parent_pool="old"), "WARM_PARENT", ""),
        (image(cache_dirty=True), "CACHE_DIRTY", "CACHE_DIRTY"),
        (wish(stripe_unit=3 << 20, stripe_count=2), "STRIPE_UNIT", "STRIPE_UNIT"),
        (image(mirror_mode=0), "WARM_MIRRORED", ""),
    ],
)
def test_the_findings_about_an_image_decide(facts, warm, live):
    refusals = {
        method: first_error(run(replace(facts, wish=facts.wish.by(method))))
        for method in (LIVE, WARM)
    }
    assert [(j.method, j.code) for j in judge(refusals)] == [(WARM, warm), (LIVE, live)]
