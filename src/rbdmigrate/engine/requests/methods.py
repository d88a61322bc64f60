"""The methods that come into question for what is asked for, and the choice among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

from ...checks import first_error, run
from ...checks.facts import Facts
from ...control.lifecycle.cutover import goes_on
from ...control.lifecycle.method_choice import Choice, Refusals, best_of, choose, judge, methods_for
from ...model.cutover import CutoverMode
from ...model.policy import Policy
from ...model.request import MigrationRequest
from ...model.states import Method


def decided(facts: Facts, policy: Policy) -> tuple[Facts, Optional[Choice]]:
    """The facts by the method that is chosen for the request; without a choice where one is given.

    Raises MigrationError where an image can be migrated by no method.
    """
    facts = _with_policy(facts, policy)
    if not facts.request.auto:
        return facts, None
    choice = choose(_refusals(facts), policy)
    return facts.by(choice.method), choice


def for_check(facts: Facts, policy: Policy) -> Facts:
    """The facts by the method that would be chosen, or ``live`` where none can do the job."""
    facts = _with_policy(facts, policy)
    if not facts.request.auto:
        return facts
    allowed = methods_for(policy)
    able = {method: error for method, error in _refusals(facts).items() if method in allowed}
    return facts.by(best_of(able) or (Method.LIVE if Method.LIVE in allowed else Method.WARM))


def _with_policy(facts: Facts, policy: Policy) -> Facts:
    leave = policy.cutover is not None and policy.cutover.mode is not CutoverMode.REFUSE
    return replace(facts, clients_leave=leave, cuts_over=goes_on(policy.goal))


def other_method(request: MigrationRequest) -> Optional[Method]:
    """The other method by which the source of an import may be read; None where there is none."""
    spec = request.spec
    if spec is None or spec.format == "native" or not spec.read_by_librbd:
        return None
    return Method.LIVE if request.method is Method.COPY else Method.COPY


def methods(facts: Facts) -> list[dict[str, Any]]:
    """The methods that come into question, each with a reason for or against it."""
    return [
        {
            "method": judged.method.value,
            "ok": judged.ok,
            "recommended": judged.recommended,
            "code": judged.code,
            "reason": judged.reason,
        }
        for judged in judge(_refusals(facts))
    ]


def _refusals(facts: Facts) -> Refusals:
    request = facts.request
    judged_by = {Method.WARM: facts, Method.LIVE: facts}
    if request.spec is not None:
        judged_by = {request.method: facts}
        other = other_method(request)
        if other is not None and facts.otherwise is not None:
            judged_by[other] = replace(facts, inspection=facts.otherwise)
    return {method: first_error(run(known.by(method))) for method, known in judged_by.items()}
