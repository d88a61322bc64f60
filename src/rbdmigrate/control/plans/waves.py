"""Waves: which items of a plan may begin now, and when the plan stops or is done. Pure.

A wave is the next items, of the number in the plan. It ends when each of them has ended or failed.
An item that waits for its source to be closed keeps its wave open until it is postponed; it is
then tried again when all others have ended. After too many failures no further item begins, and
unfinished migrations go on.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional


class Phase(str, enum.Enum):
    """The phase of an item."""

    QUEUED = "queued"  # its wave has not begun
    WAITING = "waiting"  # it could not begin yet, and is tried again
    RUNNING = "running"  # its migration is under way
    PAUSED = "paused"  # its migration is under way, and it or the plan is paused
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


#: What an image of a plan is when nothing more is done about it.
ENDED = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED})
UNBEGUN = frozenset({Phase.QUEUED, Phase.WAITING})


@dataclass(frozen=True)
class PlanStep:
    """The next step of a plan. ``begin``: indexes of items; ``most`` of them may begin (None:
    all).

    ``wave`` counts from 1; the postponed items that are left belong to the last one.
    """

    begin: tuple[int, ...] = ()
    wave: int = 1
    stop: bool = False
    done: bool = False
    most: Optional[int] = None


def next_step(
    phases: Sequence[Phase],
    size: int,
    stop_after: int,
    forgiven: int = 0,
    postponed: Collection[int] = (),
) -> PlanStep:
    """Return the next step of a running plan.

    ``size``: items in a wave. ``stop_after``: failures after which no further item begins, 0 is
    never; the first ``forgiven`` of them do not count. ``postponed``: items that do not keep their
    wave open before they have begun.
    """
    open_items = [n for n, phase in enumerate(phases) if phase not in ENDED]
    last = waves(len(phases), size)
    if not open_items:
        return PlanStep(wave=last, done=True)
    late = frozenset(postponed)
    prompt = [n for n in open_items if n not in late]
    wave = prompt[0] // size + 1 if prompt else last
    failures = sum(phase is Phase.FAILED for phase in phases) - forgiven
    unbegun = tuple(n for n in open_items if phases[n] in UNBEGUN)
    if stop_after and failures >= stop_after and unbegun:
        return PlanStep(wave=wave, stop=True)
    if prompt:
        members = frozenset(n for n in prompt if n // size + 1 == wave)
        return PlanStep(tuple(n for n in unbegun if n in members), wave)
    under_way = len(open_items) - len(unbegun)
    return PlanStep(unbegun, wave, most=max(0, size - under_way))


def waves(items: int, size: int) -> int:
    """The number of waves of ``items`` items."""
    return -(-items // size)


@dataclass(frozen=True)
class Move:
    """The effect of an item on space: bytes written to one pool, and later freed in another."""

    target_pool: str
    bytes: int
    source_pool: str = ""
    frees: int = 0


@dataclass(frozen=True)
class Need:
    """The bytes that a pool needs: at the peak, and in ``total`` if nothing were freed."""

    peak: int
    total: int


@dataclass
class _Pool:
    now: int = 0
    peak: int = 0
    total: int = 0


@dataclass
class _Pools:
    known: dict[str, _Pool] = field(default_factory=dict)

    def of(self, name: str) -> _Pool:
        return self.known.setdefault(name, _Pool())


def needs(moves: Sequence[Move], size: int) -> dict[str, Need]:
    """The space that each target pool needs; sources are removed at the end of a wave."""
    pools = _Pools()
    for begin in range(0, len(moves), size):
        wave = moves[begin : begin + size]
        for move in wave:
            pool = pools.of(move.target_pool)
            pool.now += move.bytes
            pool.total += move.bytes
            pool.peak = max(pool.peak, pool.now)
        for move in wave:
            if move.frees and move.source_pool in pools.known:
                pools.of(move.source_pool).now -= move.frees
    return {name: Need(pool.peak, pool.total) for name, pool in pools.known.items()}


def seconds(total: int, rates: Iterable[Optional[int]]) -> Optional[int]:
    """Seconds that ``total`` bytes take at the lowest of ``rates``; None without a limit."""
    limits = [rate for rate in rates if rate]
    return -(-total // min(limits)) if limits else None


def counts(phases: Iterable[Phase]) -> dict[str, int]:
    """The number of items in each phase."""
    found = Counter(phases)
    return {phase.value: found[phase] for phase in Phase}
