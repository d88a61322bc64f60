"""Pages and summaries of many migrations; only migrations shown are rendered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, Optional

from ..model.migration import Hold, Migration
from ..model.report import Live, percent
from ..model.states import ActKind, Goal, HoldReason, State

_ORDER = {state: number for number, state in enumerate(State)}
_SHOWN = 20  # migrations shown that wait for the administrator


@dataclass(frozen=True)
class Query:
    """The filter, order and page of a list of migrations.

    ``sort`` is a key of ``SORTS``. ``states``: only those in one of these (empty: in any).
    ``goals``: only those with one of these (empty: any). ``pool``: only those from or to it.
    ``plan``: only those of this plan. ``target``: only those to this image spec. ``search``: a part
    of source, target or id. ``since``: only those that ended then or later, in seconds since 1970.
    ``holds``: only those that wait for one of these reasons. ``awaiting_commit``: only those that
    wait for a user to commit them, or to cut them over. ``ended``: also those of the history.
    """

    offset: int = 0
    limit: int = 50
    sort: str = "target"
    descending: bool = False
    search: str = ""
    holds: frozenset[HoldReason] = frozenset()
    awaiting_commit: bool = False
    states: frozenset[State] = frozenset()
    goals: frozenset[Goal] = frozenset()
    pool: str = ""
    plan: str = ""
    target: str = ""
    since: float = 0.0
    ended: bool = False

    def wants(self, m: Migration) -> bool:
        """Whether a migration passes the filter."""
        if self.states and m.state not in self.states:
            return False
        if self.goals and m.goal not in self.goals:
            return False
        if self.pool and self.pool not in (m.source.pool, m.target.pool):
            return False
        if self.plan and self.plan != m.plan:
            return False
        if self.target and self.target != str(m.target.spec):
            return False
        if self.since and (m.ended_at or 0.0) < self.since:
            return False
        if self.awaiting_commit and not _waits_for_commit(m):
            return False
        if not self.search:
            return True
        wanted = self.search.casefold()
        texts = (str(m.target.spec), str(m.source.spec), m.id)
        return any(wanted in text.casefold() for text in texts)


class Row(NamedTuple):
    """A migration and its live progress; ``item`` is passed to the renderer.

    ``copied`` and ``size`` in bytes, ``share`` compared from 0 to 1, ``rate`` in bytes per second
    (None unless it copies or compares). ``hold`` returns why it waits, which takes time to find
    out. Small, because each query creates thousands of them.
    """

    item: Any
    migration: Migration
    copied: int = 0
    size: int = 0
    share: Optional[float] = None
    rate: Optional[float] = None
    hold: Callable[[Any], Optional[Hold]] = lambda item: None

    def held(self, reasons: frozenset[HoldReason]) -> bool:
        """Whether it waits for one of the reasons."""
        hold = self.hold(self.item)
        return hold is not None and hold.reason in reasons

    def percent(self) -> int:
        """The percentage of the Report."""
        live = Live(copied=self.copied, size=self.size, share=self.share)
        return percent(self.migration, live)

    def seconds(self) -> float:
        """From the request to the end; 0 before that."""
        m = self.migration
        return 0.0 if m.ended_at is None else m.ended_at - m.created

    def bytes_total(self) -> int:
        """Bytes to copy; 0 while not known."""
        return self.size or self.migration.bytes_total or 0


Render = Callable[[Any], dict[str, Any]]


class ListResult:
    """Items that were found, from which Reports are made as they are needed.

    ``render`` makes the Report of an item, ``brief`` what a table shows of that, and ``texts`` the
    parts of what ``json.dumps`` writes of it.
    """

    def __init__(
        self,
        items: Sequence[Any],
        *,
        render: Render,
        brief: Render,
        texts: Callable[[Any], tuple[str, ...]],
    ) -> None:
        self._items = items
        self._render = render
        self._brief = brief
        self._texts = texts

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The Reports, one after the other: thousands take tens of MiB."""
        return map(self._render, self._items)

    def brief(self) -> Iterator[dict[str, Any]]:
        """The same, but of each Report only what a table shows."""
        return map(self._brief, self._items)

    def report(self, number: int) -> dict[str, Any]:
        """The Report of one of them, counted from 0."""
        return self._render(self._items[number])

    def json(self) -> str:
        """The Reports as ``json.dumps`` writes their list."""
        parts = ["["]
        for item in self._items:  # thousands: no text of a whole Report is made meanwhile
            if len(parts) > 1:
                parts.append(", ")
            parts += self._texts(item)
        parts.append("]")
        return "".join(parts)


SORTS: dict[str, Callable[[Row], Any]] = {
    "target": lambda row: str(row.migration.target.spec),
    "source": lambda row: str(row.migration.source.spec),
    "state": lambda row: _ORDER[row.migration.state],
    "goal": lambda row: row.migration.goal.value,
    "percent": Row.percent,
    "priority": lambda row: row.migration.priority,
    "plan": lambda row: row.migration.plan,
    "rate": lambda row: row.rate or 0.0,
    "created": lambda row: row.migration.created,
    "ended": lambda row: row.migration.ended_at or 0.0,
    "seconds": Row.seconds,
    "by": lambda row: row.migration.by,
    "bytes_total": Row.bytes_total,
}


def page(rows: Iterable[Row], query: Query, render: Render) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of all matches, and the Reports of the page. The sort is stable.

    ``render`` makes the Report of a row's item.
    """
    key = SORTS[query.sort]
    wanted = (row for row in rows if query.wants(row.migration))
    if query.holds:
        wanted = (row for row in wanted if row.held(query.holds))
    found = [(key(row), row.item) for row in wanted]
    found.sort(key=itemgetter(0), reverse=query.descending)
    shown = found[query.offset : query.offset + query.limit]
    return len(found), [render(item) for _, item in shown]


def totals(rows: Iterable[Row], render: Render) -> dict[str, Any]:
    """Return totals of all unfinished migrations, and those that wait for the administrator."""
    counts = {state.value: 0 for state in State}
    holds: Counter[str] = Counter()
    attention = []
    total = copied = left = copying = to_commit = 0
    rate = 0.0
    for row in rows:
        m = row.migration
        counts[m.state.value] += 1
        hold = row.hold(row.item)
        if hold is not None:
            holds[hold.reason.value] += 1
        total += row.bytes_total()
        copied += max(row.copied, m.bytes_copied)
        copying += m.intent is not None and m.intent.act is ActKind.EXECUTE
        if row.rate and m.state is State.EXECUTING:
            left += max(0, row.size - row.copied)
            rate += row.rate
        to_commit += _waits_for_commit(m)
        if _waits_for_people(m, hold.reason if hold is not None else None):
            attention.append(row)
    attention.sort(key=lambda row: row.migration.state is not State.FAILED)
    return {
        "counts": counts,
        "holds": dict(holds),
        "total": sum(counts.values()),
        "copying": copying,
        "awaiting_commit": to_commit,
        "bytes_total": total,
        "bytes_copied": copied,
        "rate": int(rate),
        "eta_seconds": int(left / rate) if rate else None,
        "attention": [render(row.item) for row in attention[:_SHOWN]],
        "attention_total": len(attention),
    }


def _waits_for_people(m: Migration, hold: Optional[HoldReason]) -> bool:
    """Whether it failed, needs a decision, or only lacks the commit."""
    if m.state is State.FAILED or hold is HoldReason.OPERATOR:
        return True
    return _waits_for_commit(m)


def _waits_for_commit(m: Migration) -> bool:
    """Whether it has reached its goal with all data copied, so that it ends with a request only."""
    if m.state is State.EXECUTED:
        return m.goal in (Goal.PREPARED, Goal.EXECUTED)
    if m.state is State.CUT_OVER:
        return m.goal is Goal.CUT_OVER
    return m.state is State.VERIFIED and m.goal not in (Goal.COMMITTED, Goal.ABORTED)
