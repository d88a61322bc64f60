"""The choice of a method for an image where none was asked for: ``auto``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from errno import EBUSY
from typing import Optional

from ...model.cutover import CutoverMode
from ...model.errors import MigrationError
from ...model.finding import Finding
from ...model.policy import Policy
from ...model.states import Goal, Method

Refusals = Mapping[Method, Optional[Finding]]
"""For each method that comes into question the error that refuses it; None: it can do the job."""

_PREFERRED = (Method.WARM, Method.LIVE, Method.COPY)

_MERITS = {
    Method.WARM: "Clients use the source until the cutover, and the target is an ordinary image.",
    Method.LIVE: "Clients use the target from the prepare on, and it reads from the source until "
    "it is executed.",
    Method.COPY: "The source is only read, and the target is an ordinary image.",
}


@dataclass(frozen=True)
class Judged:
    """A method, and whether it can do the job.

    ``recommended``: it is the best one that can. ``code``: that of the finding that refuses it.
    ``reason``: its sentence, or what speaks for the method.
    """

    method: Method
    ok: bool
    recommended: bool
    code: str
    reason: str


@dataclass(frozen=True)
class Choice:
    """The method that ``auto`` chose, and why: one or more sentences."""

    method: Method
    reason: str


def auto_by_default(policy: Policy) -> bool:
    """Whether a method is chosen where nobody asked for one; else it is ``live``.

    With the goal ``prepared`` clients start on the target, which ``warm`` has after its cutover.
    """
    return policy.goal is not Goal.PREPARED or cuts_over_later(policy)


def cuts_over_later(policy: Policy) -> bool:
    """Whether the policy says something about a cutover, which follows the copy."""
    cutover = policy.cutover
    waits = cutover is not None and cutover.mode is not CutoverMode.REFUSE
    asked = bool(policy.cutover_window or policy.refresh_source)
    return waits or asked or policy.goal is Goal.CUT_OVER


def methods_for(policy: Policy) -> frozenset[Method]:
    """The methods for images that have what the policy asks for."""
    late = (CutoverMode.WHEN_CLOSED, CutoverMode.HOOK)
    leaves_later = policy.cutover is not None and policy.cutover.mode in late
    asked = bool(policy.cutover_window or policy.refresh_source)
    if policy.goal is Goal.CUT_OVER or asked or leaves_later:
        return frozenset({Method.WARM})
    return frozenset({Method.WARM, Method.LIVE})


def choose(refusals: Refusals, policy: Policy) -> Choice:
    """Return the method ``auto`` for an image: ``warm`` where it can do the job, else ``live``.

    Raises MigrationError with the reasons where neither can.
    """
    allowed = methods_for(policy)
    best = best_of({method: error for method, error in refusals.items() if method in allowed})
    warm, live = refusals[Method.WARM], refusals[Method.LIVE]
    if best is Method.LIVE and warm is not None:
        return Choice(best, f"The method warm cannot do it: {warm.sentence}")
    if best is not None:
        return Choice(best, _MERITS[best])
    assert warm is not None  # it is always allowed
    busy = live is not None and live.errno == warm.errno == EBUSY  # warm says the ways out
    if Method.LIVE not in allowed or live is None or live.code == warm.code or busy:
        raise MigrationError(warm.errno, warm.sentence)
    raise MigrationError(live.errno, f"{live.sentence} By the method warm: {warm.sentence}")


def judge(refusals: Refusals) -> list[Judged]:
    """Return all methods that come into question, in the order of preference."""
    chosen = best_of(refusals)
    judged = []
    for method in _PREFERRED:
        if method in refusals:
            error = refusals[method]
            code, reason = ("", _MERITS[method]) if error is None else (error.code, error.sentence)
            judged.append(Judged(method, error is None, method is chosen, code, reason))
    return judged


def best_of(refusals: Refusals) -> Optional[Method]:
    """Return the method ``auto``: ``warm`` where it can do the job, else ``live``; None: neither.

    ``copy`` is chosen where it is the only one that comes into question.
    """
    return next((m for m in _PREFERRED if m in refusals and refusals[m] is None), None)
