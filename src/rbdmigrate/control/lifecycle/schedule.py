"""Which waiting migrations may act now, within the limits. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from ...model.states import ActKind

# Acts that read from the source.
READING_ACTS = frozenset(
    {ActKind.PREPARE, ActKind.EXECUTE, ActKind.COMPLETE_OBJECTS, ActKind.CUT_OVER, ActKind.VERIFY}
)
COPYING_ACTS = frozenset({ActKind.EXECUTE})
COMPARING_ACTS = frozenset({ActKind.VERIFY})
_URGENT_ACTS = frozenset({ActKind.ABORT, ActKind.CUT_OVER})
PACED_ACTS = COPYING_ACTS | COMPARING_ACTS  # acts that the throttle slows down


@dataclass(frozen=True)
class Running:
    """An act under way, the pools that it reads from and writes to, the source's host, its plan."""

    act: ActKind
    source_pool: str = ""
    target_pool: str = ""
    source_host: str = ""
    plan: str = ""


@dataclass(frozen=True)
class Waiting:
    """A migration that could act: ``since`` is when it was created (seconds since the epoch).

    ``begun``: its clients wait for it already, so that no limit of cutovers applies.
    """

    ident: str
    act: ActKind
    priority: int
    since: float
    source_pool: str = ""
    target_pool: str = ""
    source_host: str = ""
    plan: str = ""
    begun: bool = False


@dataclass(frozen=True)
class Limits:
    """Limits of acts that run at once: copies, verifications, and other steps.

    Steps are prepare, commit, abort and the like. ``per_source_pool`` and ``per_target_pool``
    limit the copies that share a pool, ``per_source_host`` those that read from the same external
    host; 0 is no limit. ``plans``: limits of copies by plan name; a plan that is not listed has
    none. ``cutovers`` limits cutovers that no client waits for yet; 0 is no limit.
    """

    copies: int
    steps: int
    per_source_pool: int = 0
    per_target_pool: int = 0
    verifies: int = 2
    per_source_host: int = 0
    plans: Mapping[str, int] = field(default_factory=dict)
    cutovers: int = 0


@dataclass(frozen=True)
class FreeSlots:
    """The number of further acts of each kind that may run; below 0 after a limit was lowered."""

    copies: int
    verifies: int
    steps: int

    def any_for(self, act: ActKind) -> bool:
        """Whether one more such act may run, limits of pools and hosts aside."""
        if act in COPYING_ACTS:
            return self.copies > 0
        return (self.verifies if act in COMPARING_ACTS else self.steps) > 0


def free_slots(running: Sequence[Running], limits: Limits) -> FreeSlots:
    """Return how many acts may start besides ``running``."""
    copying = sum(job.act in COPYING_ACTS for job in running)
    comparing = sum(job.act in COMPARING_ACTS for job in running)
    return FreeSlots(
        limits.copies - copying,
        limits.verifies - comparing,
        limits.steps - (len(running) - copying - comparing),
    )


def kind_of(act: ActKind) -> str:
    """Which limit an act counts for: ``copy``, ``verify`` or ``step``."""
    return "copy" if act in COPYING_ACTS else "verify" if act in COMPARING_ACTS else "step"


def precedence(priority: int, act: ActKind) -> tuple[int, bool]:
    """What sorts acts of the same kind: those with the lowest go first."""
    return -priority, act not in _URGENT_ACTS


def order(waiting: Waiting) -> tuple[int, bool, float, str]:
    """What sorts what waits: higher priority first, then the oldest.

    Aborts and cutovers go before other steps of the same priority, since an administrator, or
    stopped clients, wait for them.
    """
    return (*precedence(waiting.priority, waiting.act), waiting.since, waiting.ident)


class Selection:
    """What may start in addition to what runs; each that is taken counts for the next."""

    def __init__(self, running: Iterable[Running], limits: Limits) -> None:
        self._limits = limits
        running = list(running)
        free = free_slots(running, limits)
        self._copies, self._verifies, self._steps = free.copies, free.verifies, free.steps
        self._sources: Counter[str] = Counter()
        self._hosts: Counter[str] = Counter()
        self._targets: Counter[str] = Counter()
        self._plans: Counter[str] = Counter()
        for job in running:
            if job.act in COPYING_ACTS:
                self._count_copy(job)
        self._cutovers = sum(job.act is ActKind.CUT_OVER for job in running)

    def any_for(self, act: ActKind) -> bool:
        """Whether one more such act may run, limits of pools and hosts aside."""
        return FreeSlots(self._copies, self._verifies, self._steps).any_for(act)

    def take(self, candidate: Waiting) -> bool:
        """Whether it may start, and count it if so."""
        if not self.any_for(candidate.act):
            return False
        if candidate.act in COMPARING_ACTS:
            self._verifies -= 1
        elif candidate.act in COPYING_ACTS:
            if not self._fits(candidate):
                return False
            self._copies -= 1
            self._count_copy(candidate)
        else:
            limited = (
                candidate.act is ActKind.CUT_OVER and self._limits.cutovers and not candidate.begun
            )
            if limited and self._cutovers >= self._limits.cutovers:
                return False
            self._steps -= 1
            self._cutovers += candidate.act is ActKind.CUT_OVER
        return True

    def _count_copy(self, job: Union[Running, Waiting]) -> None:
        self._sources[job.source_pool] += 1
        self._hosts[job.source_host] += 1
        self._targets[job.target_pool] += 1
        self._plans[job.plan] += 1

    def _fits(self, copy: Waiting) -> bool:
        limits = self._limits
        return (
            _fits(self._sources[copy.source_pool], limits.per_source_pool, copy.source_pool)
            and _fits(self._targets[copy.target_pool], limits.per_target_pool, copy.target_pool)
            and _fits(self._hosts[copy.source_host], limits.per_source_host, copy.source_host)
            and _fits(self._plans[copy.plan], limits.plans.get(copy.plan, 0), copy.plan)
        )


def choose(waiting: Iterable[Waiting], running: Sequence[Running], limits: Limits) -> list[Waiting]:
    """Return those of ``waiting`` that may start in addition to ``running``, by :func:`order`.

    A copy held back by a pool's limit does not hold back others.
    """
    selection = Selection(running, limits)
    return [candidate for candidate in sorted(waiting, key=order) if selection.take(candidate)]


def _fits(used: int, limit: int, shared: str) -> bool:
    """Whether one more fits. ``shared`` is empty for an import's source pool and a pool's host."""
    return limit == 0 or not shared or used < limit
