"""Waves: which items of a plan may begin now, and when the plan stops or is done. Pure decisions.

A wave is the next so many items. It ends when each of them has ended or failed; an item that
waits for its source to be closed keeps its wave open. After too many failures nothing more begins,
and what is under way goes on.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Optional


class Phase(str, enum.Enum):
    """Where an item is."""

    QUEUED = "queued"  # its wave has not come
    WAITING = "waiting"  # it could not begin yet, and is tried again
    RUNNING = "running"  # its migration is under way
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_SETTLED = frozenset({Phase.DONE, Phase.FAILED, Phase.CANCELLED})


@dataclass(frozen=True)
class Step:
    """What to do now. ``begin`` are numbers of items. ``wave`` counts from 1."""

    begin: tuple[int, ...] = ()
    wave: int = 1
    stop: bool = False
    done: bool = False


def next_step(phases: Sequence[Phase], size: int, stop_after: int, forgiven: int = 0) -> Step:
    """What a running plan does now.

    ``size``: items in a wave. ``stop_after``: failures after which nothing more begins, 0 is never;
    the first ``forgiven`` of them do not count.
    """
    current = next((n for n, phase in enumerate(phases) if phase not in _SETTLED), None)
    if current is None:
        return Step(wave=waves(len(phases), size), done=True)
    wave = current // size
    members = range(wave * size, min(len(phases), (wave + 1) * size))
    failures = sum(phase is Phase.FAILED for phase in phases) - forgiven
    unbegun = any(phase in (Phase.QUEUED, Phase.WAITING) for phase in phases)
    if stop_after and failures >= stop_after and unbegun:
        return Step(wave=wave + 1, stop=True)
    begin = tuple(n for n in members if phases[n] in (Phase.QUEUED, Phase.WAITING))
    return Step(begin, wave + 1)


def waves(items: int, size: int) -> int:
    """How many waves so many items have."""
    return -(-items // size)


@dataclass(frozen=True)
class Move:
    """What an item means for space: bytes that it writes to a pool, and later frees in another."""

    target_pool: str
    bytes: int
    source_pool: str = ""
    frees: int = 0


@dataclass(frozen=True)
class Need:
    """Bytes that a pool has to take at the peak; ``total`` if nothing were freed meanwhile."""

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
    """What each target pool has to take, when wave follows wave: sources go at a wave's end."""
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
    """How long so many bytes take at the lowest of ``rates``; None where nothing limits it."""
    limits = [rate for rate in rates if rate]
    return -(-total // min(limits)) if limits else None


def counts(phases: Iterable[Phase]) -> dict[str, int]:
    """How many items are in each phase."""
    found = Counter(phases)
    return {phase.value: found[phase] for phase in Phase}
