"""The choice of a method for an image where none was asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ...model.finding import Finding
from ...model.migration import Method

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
