"""A page of many migrations, and all of them in numbers. Nothing is rendered that is not shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Optional

from ..model.migration import Goal, Hold, HoldReason, Migration, Op, State
from ..model.report import Live, percent

_ORDER = {state: number for number, state in enumerate(State)}
_SHOWN = 20  # migrations that wait for the administrator


@dataclass(frozen=True)
class Query:
    """Which migrations are wanted, in which order, and which part of them.

    ``sort`` is a key of ``SORTS``. ``states``: only those in one of these (empty: in any).
    ``pool``: only those from or to it. ``search``: a part of source, target or id.
    ``ended``: also those of the history.
    """

    offset: int = 0
    limit: int = 50
    sort: str = "target"
    descending: bool = False
    search: str = ""
    states: frozenset[State] = frozenset()
    pool: str = ""
    ended: bool = False

    def wants(self, m: Migration) -> bool:
        """Whether a migration is among them."""
        if self.states and m.state not in self.states:
            return False
        if self.pool and self.pool not in (m.source.pool, m.target.pool):
            return False
        if not self.search:
            return True
        wanted = self.search.casefold()
        texts = (str(m.target.spec), str(m.source.spec), m.id)
        return any(wanted in text.casefold() for text in texts)


@dataclass(frozen=True)
class Row:
    """A migration, and what the running engine knows of it.

    ``live``: its bytes, and its ``rate`` while it copies or compares. ``render`` makes its Report;
    ``hold`` says why it does not move.
    """

    migration: Migration
    live: Live
    render: Callable[[], dict[str, Any]]
    hold: Callable[[], Optional[Hold]] = lambda: None

    def percent(self) -> int:
        """As in the Report."""
        return percent(self.migration, self.live)

    def size(self) -> int:
        """Bytes to be copied, as far as that is known."""
        return self.live.size or self.migration.bytes_total or 0


SORTS: dict[str, Callable[[Row], Any]] = {
    "target": lambda row: str(row.migration.target.spec),
    "source": lambda row: str(row.migration.source.spec),
    "state": lambda row: _ORDER[row.migration.state],
    "goal": lambda row: row.migration.goal.value,
    "percent": Row.percent,
    "priority": lambda row: row.migration.priority,
    "rate": lambda row: row.live.rate or 0.0,
    "created": lambda row: row.migration.created,
    "ended": lambda row: row.migration.ended_at or 0.0,
    "bytes_total": Row.size,
}


def page(rows: Iterable[Row], query: Query) -> tuple[int, list[dict[str, Any]]]:
    """How many there are in all, and the Reports of the page; equals stay in their order."""
    found = [row for row in rows if query.wants(row.migration)]
    found.sort(key=SORTS[query.sort], reverse=query.descending)
    shown = found[query.offset : query.offset + query.limit]
    return len(found), [row.render() for row in shown]


def numbers(rows: Iterable[Row]) -> dict[str, Any]:
    """All migrations under way in numbers, and those that wait for the administrator."""
    counts = {state.value: 0 for state in State}
    holds: Counter[str] = Counter()
    attention = []
    total = copied = left = copying = 0
    rate = 0.0
    for row in rows:
        m, live = row.migration, row.live
        counts[m.state.value] += 1
        hold = row.hold()
        if hold is not None:
            holds[hold.reason.value] += 1
        total += row.size()
        copied += max(live.copied, m.bytes_copied)
        copying += m.step is not None and m.step.op is Op.EXECUTE
        if live.rate and m.state is State.EXECUTING:
            left += max(0, live.size - live.copied)
            rate += live.rate
        if _waits_for_people(m, hold.reason if hold is not None else None):
            attention.append(row)
    attention.sort(key=lambda row: row.migration.state is not State.FAILED)
    return {
        "counts": counts,
        "holds": dict(holds),
        "total": sum(counts.values()),
        "copying": copying,
        "bytes_total": total,
        "bytes_copied": copied,
        "rate": int(rate),
        "eta_seconds": int(left / rate) if rate else None,
        "attention": [row.render() for row in attention[:_SHOWN]],
        "attention_total": len(attention),
    }


def _waits_for_people(m: Migration, hold: Optional[HoldReason]) -> bool:
    """It failed, a person has to decide, or all is done but for the commit."""
    if m.state is State.FAILED or hold is HoldReason.OPERATOR:
        return True
    if m.state is State.EXECUTED:
        return m.goal in (Goal.PREPARED, Goal.EXECUTED)
    return m.state is State.VERIFIED and m.goal is not Goal.COMMITTED
