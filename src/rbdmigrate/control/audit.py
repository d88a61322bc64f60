"""Lines of the cluster's audit log about what plans, agents and hooks did. Pure."""

from __future__ import annotations

from typing import Optional

from ..model.bounds import shortened
from ..model.migration import Migration
from ..model.plan import Plan

_LONGEST = 200  # characters of a value


def one_line(value: object) -> str:
    """Return a value that cannot begin a line of its own, or end the quotes."""
    text = shortened(str(value), _LONGEST)
    return text if text.isprintable() and "'" not in text and " " not in text else ascii(text)


def migration_lines(before: Optional[Migration], after: Migration, who: str) -> list[str]:
    """Return a line for each entry that ``who`` added to the timeline of a migration."""
    known = frozenset(() if before is None else before.timeline)
    return [
        f"migration {one_line(after.source.spec)} -> {one_line(after.target.spec)}: "
        f"{one_line(entry.message or entry.state.value)} by {one_line(who)}"
        for entry in after.timeline
        if entry not in known and entry.by == who
    ]


def plan_lines(before: Optional[Plan], after: Plan, who: str) -> list[str]:
    """Return a line for each entry that ``who`` added to the timeline of a plan."""
    known = frozenset(() if before is None else before.timeline)
    return [
        f"plan {one_line(after.name)}: {one_line(entry.message or entry.state.value)} "
        f"by {one_line(who)}"
        for entry in after.timeline
        if entry not in known and entry.by == who
    ]
