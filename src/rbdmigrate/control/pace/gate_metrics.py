"""The metrics of the health gates: a value each, with thresholds and text for people. Pure.

``control.pace.health_gates`` decides from these; nothing here knows of time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Optional

from ...model.health import ClusterHealth
from ...model.units import format_size
from .health_errors import CONCERN_STORAGE, concern_storage

NAMED_OSDS = 5  # OSDs named in a message


@dataclass(frozen=True)
class Threshold:
    """The values from which on a gate says slow, and wait; None: never."""

    slow: Optional[float] = None
    wait: Optional[float] = None


@dataclass(frozen=True)
class Thresholds:
    """When the gates close. ``Threshold()`` switches a gate off.

    Fractions: ``recovery`` of the objects misplaced or degraded (the balancer alone keeps up to 5
    % of them misplaced), ``backfill`` of the placement groups that recover or are backfilled,
    ``space`` of a target pool's free bytes that copies will still write. Counts: the others (1 is
    any). ``errors``: patterns of the codes of health errors that count
    (``control.pace.health_errors``). ``slow_factor``: the factor that a slow gate applies to
    rates. ``settle``: seconds for which a value has to be better before a gate opens (see
    ``control.pace.health_gates``).
    """

    recovery: Threshold = Threshold(0.02, 0.10)
    backfill: Threshold = Threshold(0.10, 0.50)
    health_error: Threshold = Threshold(wait=1)
    slow_ops: Threshold = Threshold(1, 50)
    mons_out: Threshold = Threshold(1, 2)
    nearfull_osds: Threshold = Threshold(slow=1)
    full_osds: Threshold = Threshold(wait=1)
    nearfull_pool: Threshold = Threshold(wait=1)
    full_pool: Threshold = Threshold(wait=1)
    space: Threshold = Threshold(wait=0.95)
    errors: tuple[str, ...] = tuple(CONCERN_STORAGE)
    slow_factor: float = 0.5
    settle: float = 30.0


@dataclass(frozen=True)
class GateMetric:
    """The value of one gate. ``pool``: an id, None for the whole cluster.

    For a ``fraction`` the thresholds for closing and opening differ, for a count they do not.
    ``what`` describes the value; ``better`` the condition for opening, where ``{}`` stands for the
    threshold of a fraction, or for "fewer than N are" of a count.
    """

    name: str
    value: float
    bounds: Threshold
    what: str
    pool: Optional[int] = None
    fraction: bool = False
    better: str = "that is over"


def read(
    health: ClusterHealth, at: Thresholds, to_come: Mapping[int, int], pools: Iterable[int]
) -> Iterator[GateMetric]:
    """The metrics of the cluster, then of each of ``pools``, except those of gates that are off."""
    every = list(_cluster(health, at))
    for pool in sorted(set(pools)):
        every += _pool(health, at, pool, to_come.get(pool, 0))
    return (one for one in every if one.bounds != Threshold())


def _cluster(health: ClusterHealth, at: Thresholds) -> Iterator[GateMetric]:
    codes = [e.code for e in concern_storage(health.errors, at.errors) if not e.pools]
    yield _health_error("The cluster", codes, at.health_error)
    yield GateMetric(
        "full-osds",
        len(health.full_osds),
        at.full_osds,
        f"{_osds(health.full_osds)} full",
        better="{} full",
    )
    out = health.mons - health.mons_in_quorum
    what = f"{out or 'None'} of {health.mons} monitors {_is(out)} out of quorum"
    yield GateMetric("mons", out, at.mons_out, what, better="{} out")
    yield _recovery(health, at)
    part = percent(health.recovering_pgs)
    yield GateMetric(
        "backfill",
        health.recovering_pgs,
        at.backfill,
        f"The cluster is recovering: {part} of the placement groups recover or are backfilled",
        fraction=True,
        better="it is below {}",
    )
    slow = health.slow_ops
    what = f"{slow or 'No'} operation{'' if slow == 1 else 's'} of the cluster {_is(slow)} slow"
    yield GateMetric("slow-ops", health.slow_ops, at.slow_ops, what, better="{} slow")
    yield GateMetric(
        "nearfull-osds",
        len(health.nearfull_osds),
        at.nearfull_osds,
        f"{_osds(health.nearfull_osds)} near full",
        better="{} near full",
    )


def _health_error(
    whose: str, codes: list[str], bounds: Threshold, pool: Optional[int] = None
) -> GateMetric:
    what = f"{whose} had a health error that concerns storage"
    if codes:
        errors = "a health error that concerns" if len(codes) == 1 else "health errors that concern"
        what = (
            f"{whose} has {errors} storage, {', '.join(codes)} (the option gate_health_errors "
            "says which do)"
        )
    return GateMetric("health-error", int(bool(codes)), bounds, what, pool)


def _recovery(health: ClusterHealth, at: Thresholds) -> GateMetric:
    value = health.misplaced + health.degraded
    kinds = [word for word in ("misplaced", "degraded") if getattr(health, word) > 0]
    return GateMetric(
        "recovery",
        value,
        at.recovery,
        f"The cluster is recovering: {percent(value)} of the objects are "
        f"{' or '.join(kinds) or 'misplaced'}",
        fraction=True,
        better="it is below {}",
    )


def _pool(health: ClusterHealth, at: Thresholds, pool: int, coming: int) -> Iterator[GateMetric]:
    name = f"The pool {health.pool_names.get(pool, pool)}"
    codes = [e.code for e in concern_storage(health.errors, at.errors) if pool in e.pools]
    yield _health_error(name, codes, at.health_error, pool)
    for gate, word, pools, bounds in (
        ("pool-full", "full", health.full_pools, at.full_pool),
        ("pool-nearfull", "near full", health.nearfull_pools, at.nearfull_pool),
    ):
        flagged = pool in pools
        what = f"{name} {'is' if flagged else 'was'} {word}"
        yield GateMetric(gate, int(flagged), bounds, what, pool)
    free = health.free.get(pool)
    if free is None:
        return  # not known: no reason to hold copies
    needed = coming / free if free > 0 else math.inf if coming else 0.0
    yield GateMetric(
        "space",
        needed,
        at.space,
        f"{name} has {format_size(max(0, free))} free and {format_size(coming)} to be written",
        pool,
        fraction=True,
        better="the data to be written is below {} of the free space",
    )


def _osds(ids: tuple[int, ...]) -> str:
    if not ids:
        return "No OSD is"
    names = ", ".join(f"osd.{number}" for number in sorted(ids)[:NAMED_OSDS])
    more = f" and {len(ids) - NAMED_OSDS} more" if len(ids) > NAMED_OSDS else ""
    return f"{names}{more} {_is(len(ids))}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def percent(fraction: float) -> str:
    """A fraction as a percentage: ``12 %``, ``1.6 %``, ``0.25 %``."""
    return f"{100 * fraction:.2f}".rstrip("0").rstrip(".") + " %"
