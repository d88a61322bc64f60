"""What lists and rounds of the loop cost with many records (``./run qa simulate --records``).

The records are made in memory; half of them rest, half wait for a slot. The lists, the agenda of
the loop and the choice of what begins are the real ones.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable
from unittest.mock import Mock

from rbdmigrate.control.lifecycle.schedule import Limits, Selection
from rbdmigrate.control.query import Query
from rbdmigrate.model.migration import Migration, Place, TimelineEntry
from rbdmigrate.model.states import ActKind, Goal, State

from .bare import bare_cluster
from .loading import load

_TIMES = 7
_CHANGED = 64  # records that change between two rounds


@dataclass(frozen=True)
class Cost:
    """Milliseconds of the processor: the first time, and the median of several after that."""

    name: str
    first: float
    median: float


def run(records: int) -> Iterator[Cost]:
    """The costs with this number of records."""
    with bare_cluster("hdd", "nvme"):
        module = load().module
        changes: deque[Any] = deque()
        tracked = [
            module("engine.records.tracked").TrackedMigration(_record(n)) for n in range(records)
        ]
        for number, one in enumerate(tracked):
            one.changes, one.due = changes, 1e9
            one.wanted = ActKind.EXECUTE if number % 2 else None
        registry = Mock(**{"all.side_effect": lambda: list(tracked)})
        listing = module("engine.requests.listing").Listing(
            registry=registry, loader=Mock(), fresh_look=Mock(), translated=Mock()
        )
        yield _cost("ls as JSON", lambda: listing.find(Query(limit=0)).json())
        yield _cost("rows of ls as a table", lambda: list(listing.find(Query(limit=0)).brief()))
        for sort in ("target", "percent"):
            query = Query(limit=50, sort=sort)
            yield _cost(f"a page by {sort}", lambda query=query: listing.browse(query))  # type: ignore[misc]
        yield _cost("summary", listing.summary)
        holds = Mock(**{"shared.return_value": None, "own.return_value": None})
        waiting = module("engine.reconcile.waiting_list").WaitingList(
            holds=holds, breaker=Mock(**{"rests.return_value": False})
        )
        agenda = module("engine.reconcile.agenda").Agenda(
            changes=changes, tracks=lambda one: True, waiting=waiting
        )

        def round_() -> None:
            for one in tracked[:_CHANGED]:
                one.tell()
            agenda.update()
            agenda.due(1.0, most=32, troubled=2)
            assert not list(waiting.choose(Selection([], Limits(copies=0, steps=0)), set()))

        yield _cost("a round", round_)


def _record(number: int) -> Migration:
    at = 1.7e9 + number
    states = (State.QUEUED, State.PREPARING, State.PREPARED)
    return Migration(
        id=f"{number:012x}",
        source=Place("hdd", "", f"vm-{number}", 1, f"a{number}"),
        target=Place("nvme", "", f"vm-{number}", 2, f"b{number}"),
        goal=Goal.EXECUTED,
        state=State.PREPARED,
        created=at,
        timeline=tuple(TimelineEntry(at, state, "") for state in states),
    )


def _cost(name: str, act: Callable[[], object]) -> Cost:
    gc.collect()
    taken = []
    for _ in range(_TIMES):
        begun = time.thread_time()
        act()
        taken.append(1000 * (time.thread_time() - begun))
    return Cost(name, taken[0], sorted(taken[1:])[(_TIMES - 1) // 2])
