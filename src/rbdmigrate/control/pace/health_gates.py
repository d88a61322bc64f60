"""Health gates: copies run slower, or wait, while the cluster is unhealthy or busy. Pure.

Each gate compares one value of the cluster's health (:mod:`.gate_metrics`) with two thresholds,
for slow and for wait. Closing is never delayed. A gate that has closed does not open at the first
better value: a fraction has to fall below four fifths of the threshold, or to stay below the
threshold for ``settle`` seconds; counts and flags have to stay below it for ``settle`` seconds.

Gates of the cluster hold all copies, gates of a pool those that write to it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

from ...model.health import ClusterHealth
from .gate_metrics import GateMetric, Threshold, Thresholds, percent, read

RELEASE = 0.8  # of a threshold: when a fraction is below this its gate opens at once
# The only gate for pools that are only copied from: damaged data must not be copied.
OF_SOURCES = frozenset({"pool-full", "health-error"})


class Level(enum.IntEnum):
    """The level of a gate; the higher the worse."""

    OPEN = 0
    SLOW = 1
    WAIT = 2


@dataclass(frozen=True)
class Gate:
    """The current level of one gate. ``name`` and ``pool`` (an id; None: the cluster) identify the
    gate. ``below``: since when the value has been below the threshold that closed the gate; None
    while it is not. ``message`` is one sentence for people, empty when the gate is open.
    """

    name: str
    pool: Optional[int]
    level: Level
    below: Optional[float] = None
    message: str = ""


@dataclass(frozen=True)
class Gates:
    """All gates that are not open: the result of :func:`evaluate`, and its input the next time."""

    closed: tuple[Gate, ...] = ()
    slow_factor: float = 1.0


@dataclass(frozen=True)
class Verdict:
    """The effect of the gates on one migration.

    ``factor`` is for its rate: 1, the slow factor, or 0 (wait). ``name`` and ``message`` are of
    the worst gate, empty when all are open; ``messages`` are of all that are not, worst first.
    """

    level: Level = Level.OPEN
    factor: float = 1.0
    name: str = ""
    message: str = ""
    messages: tuple[str, ...] = ()


def evaluate(
    health: ClusterHealth,
    thresholds: Thresholds,
    to_come: Mapping[int, int],
    former: Gates,
    now: float,
) -> Gates:
    """Return the gates at ``now`` (seconds), given the ``former`` ones.

    ``to_come``: bytes, by pool id, that copies will still write to a pool: count those that are
    under way or about to start, and the data pool where the target has one.
    """
    stood = {(gate.name, gate.pool): gate for gate in former.closed}
    pools = {pool for _, pool in stood if pool is not None}
    pools |= health.nearfull_pools | health.full_pools | to_come.keys()
    pools = pools.union(*(error.pools for error in health.errors))
    closed = []
    for reading in read(health, thresholds, to_come, pools):
        before = stood.get((reading.name, reading.pool))
        level, below = _step(reading, before, thresholds.settle, now)
        if level is not Level.OPEN:
            message = _sentence(reading, level, thresholds)
            closed.append(Gate(reading.name, reading.pool, level, below, message))
    return Gates(tuple(closed), thresholds.slow_factor)


def verdict(gates: Gates, source_pool: Optional[int], target_pools: Iterable[int]) -> Verdict:
    """Return the effect on a copy from ``source_pool`` (None: external) to ``target_pools``."""
    targets = set(target_pools)
    mine = [
        gate
        for gate in gates.closed
        if gate.pool is None
        or gate.pool in targets
        or (gate.pool == source_pool and gate.name in OF_SOURCES)
    ]
    if not mine:
        return Verdict()
    mine.sort(key=lambda gate: -gate.level)
    worst = mine[0]
    factor = 0.0 if worst.level is Level.WAIT else gates.slow_factor
    messages = tuple(gate.message for gate in mine)
    return Verdict(worst.level, factor, worst.name, worst.message, messages)


def _plain_level(value: float, bounds: Threshold) -> Level:
    if bounds.wait is not None and value >= bounds.wait:
        return Level.WAIT
    if bounds.slow is not None and value >= bounds.slow:
        return Level.SLOW
    return Level.OPEN


def _bound(bounds: Threshold, level: Level) -> Optional[float]:
    return bounds.wait if level is Level.WAIT else bounds.slow


def _step(
    reading: GateMetric, before: Optional[Gate], settle: float, now: float
) -> tuple[Level, Optional[float]]:
    """The gate's level now, and since when the value has been below what closed it."""
    plain = _plain_level(reading.value, reading.bounds)
    if before is None or plain >= before.level:
        return plain, None
    bound = _bound(reading.bounds, before.level)
    if bound is None:
        return plain, None  # that threshold was removed in the meantime
    below = now if before.below is None else before.below
    if now - below < settle and not _well_below(reading, bound):
        return before.level, below
    slow = reading.bounds.slow
    just_below = slow is not None and now - below < settle and not _well_below(reading, slow)
    if before.level is Level.WAIT and plain is Level.OPEN and just_below:
        return Level.SLOW, below
    return plain, None


def _well_below(reading: GateMetric, bound: float) -> bool:
    return reading.fraction and reading.value < bound * RELEASE


def _sentence(reading: GateMetric, level: Level, thresholds: Thresholds) -> str:
    bound = _bound(reading.bounds, level) or 0.0
    if reading.fraction:
        until = reading.better.format(percent(bound * RELEASE))
    else:
        fewer = "none is" if bound <= 1 else f"fewer than {bound:g} are"
        until = f"{reading.better.format(fewer)} for {thresholds.settle:g} s"
    whose = "copies" if reading.pool is None else "its copies"
    does = (
        "wait" if level is Level.WAIT else f"run at {percent(thresholds.slow_factor)} of their rate"
    )
    return f"{reading.what}; {whose} {does} until {until}."
