"""A decision is taken again on the record that it is about to change."""

from __future__ import annotations

from collections.abc import Callable

from ...model.migration import Migration
from .decision import Decision, decide
from .situation import Situation


class Outdated(Exception):
    """The record was changed since the decision: another one would be taken now."""


def while_decided(
    decision: Decision,
    situation: Situation,
    now: float,
    change: Callable[[Migration], Migration],
    *,
    abandoned: bool = False,
) -> Callable[[Migration], Migration]:
    """``change`` for an update of the record, as long as ``decision`` still holds in it.

    A request may be accepted between a decision and its first write. The returned function
    raises Outdated then, so that nothing is written. The other arguments are those of ``decide``.
    """

    def confirmed(m: Migration) -> Migration:
        if decide(m, situation, now, abandoned=abandoned) != decision:
            raise Outdated(f"{m.id}: {decision} is not wanted any more")
        return change(m)

    return confirmed
