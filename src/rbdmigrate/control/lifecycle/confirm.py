"""Decisions are confirmed on the record that they are about to change."""

from __future__ import annotations

from collections.abc import Callable

from ...model.migration import Migration
from .decide import decide
from .decision import Decision
from .situation import Situation


class Outdated(Exception):
    """The record was changed since the decision, which is no longer the right one."""


def while_decided(
    decision: Decision,
    situation: Situation,
    now: float,
    change: Callable[[Migration], Migration],
    *,
    abandoned: bool = False,
) -> Callable[[Migration], Migration]:
    """Return ``change`` wrapped so that it applies only while ``decision`` still holds.

    A request may be accepted between a decision and its first write. The returned function then
    raises Outdated, so that nothing is written. The other arguments are those of ``decide``.
    """

    def confirmed(m: Migration) -> Migration:
        if decide(m, situation, now, abandoned=abandoned) != decision:
            raise Outdated(f"{m.id}: {decision} is out of date")
        return change(m)

    return confirmed
