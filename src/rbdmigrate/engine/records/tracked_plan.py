"""A plan in memory: its record, its items, and what only this process knows of them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from errno import EBUSY
from typing import Optional

from ...cluster.plan_store import PlanStore
from ...control.plans.progress import Waiting
from ...control.plans.waves import Phase
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.plan import Item, Outcome, Plan, PlanState
from ...model.states import State
from .tracked import TrackedMigration


@dataclass
class Wait:
    """Why an item could not begin, or be aborted, yet, and when (monotonic) it is tried again.

    Without a message it only says when.
    """

    message: str
    due: float


class TrackedPlan:
    """A plan and what only this process knows of it. Its lists are as long as it has items."""

    def __init__(self, plan: Plan, items: list[Item], store: PlanStore, *, former: bool) -> None:
        self.plan = plan
        self.items = items
        self.store = store
        self.former = former  # begun by an earlier process, which may have begun its items too
        self.live: dict[int, TrackedMigration] = {}
        self.waits: dict[int, Wait] = {}
        self.waiting_since: dict[int, float] = {}  # monotonic, of items that cannot begin
        self.beginning = threading.Lock()  # held while an item begins, or is skipped
        self.attention = ""  # why somebody has to look at it
        self.refusal: Optional[MigrationError] = None  # why it could not start
        self.choosing_since: Optional[float] = None  # monotonic, while its images are chosen
        self.trouble = ""  # the cluster does not answer about it
        self.write_lock = threading.Lock()
        self.unsure = False  # its last write may or may not have been done

    def phase(self, number: int) -> Phase:
        """Where an item is."""
        outcome = self.items[number].outcome
        if outcome is not Outcome.OPEN:
            return Phase(outcome.value)
        tracked, wait = self.live.get(number), self.waits.get(number)
        if wait is not None and wait.message:
            return Phase.WAITING
        if tracked is None:
            return Phase.WAITING if self.items[number].postponed else Phase.QUEUED
        m = tracked.migration
        if in_use(m):
            return Phase.WAITING
        if m.state is State.FAILED:
            return Phase.FAILED
        paused = m.paused or self.plan.state is PlanState.PAUSED
        return Phase.PAUSED if paused else Phase.RUNNING

    def phases(self) -> list[Phase]:
        """Where all of them are."""
        return [self.phase(number) for number in range(len(self.items))]

    def postponed(self) -> list[int]:
        """Those that are tried again when all others have ended."""
        return [number for number, item in enumerate(self.items) if item.postponed]

    def longest_wait(self) -> Optional[Waiting]:
        """The item that waits longest."""
        since = [(at, n) for n, at in self.waiting_since.items() if self.phase(n) is Phase.WAITING]
        if not since:
            return None
        at, number = min(since)
        return Waiting(str(self.items[number].source), time.monotonic() - at)

    def cannot_begin(self, number: int, message: str, due: float) -> None:
        """An item waits, and is tried again at ``due`` (monotonic)."""
        self.waiting_since.setdefault(number, time.monotonic())
        self.waits[number] = Wait(message, due)

    def forget_waits(self) -> None:
        """Everything that waits is tried at once, and has not waited yet."""
        self.waits.clear()
        self.waiting_since.clear()

    def failures(self) -> int:
        """How many have failed."""
        return sum(phase is Phase.FAILED for phase in self.phases())


def in_use(m: Migration) -> bool:
    """Whether its prepare was refused because somebody opened the source just before."""
    failure = m.failure
    return (
        m.state is State.FAILED
        and m.prepared_at is None
        and failure is not None
        and failure.errno == EBUSY
    )
