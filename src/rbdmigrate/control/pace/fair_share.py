"""Dividing the throttle among the copies: fair shares under many caps. Pure.

A copy is under the cap of the cluster, of its source pool and its target pool (once, where they
are the same), of its plan and its own. The rates are filled progressively, as in max-min fairness
with weights: all grow together, in proportion to their weights; when a cap is used up, the copies
under it stop growing and the others go on. So no copy can get more without taking from one that,
for its weight, has no more.

A copy that is known to use less (``demand``) at first gets no more than that. The rest, when all
others have hit a cap, is spread over such copies as well: a rate is a permission, and a copy
limited to what it used could never show that it can go faster.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

PRIORITY_BASE = 1.25  # a step of priority adds a quarter to the rate; three steps about double it
MAX_PRIORITY = 20  # beyond this (and below its negative) a priority has no more effect
STARVED_DOUBLES = 600.0  # seconds of waiting that add the initial weight once more
MAX_STARVED_FACTOR = 10.0
DEMAND_ROOM = 1.25  # a copy is expected to use up to a quarter more than it did
USES_ITS_RATE = 0.9  # fraction of its rate: a copy that reaches this is limited by the throttle


@dataclass(frozen=True)
class Caps:
    """Bytes per second; None or missing: no limit; 0: nothing is copied.

    ``pools`` by pool id, ``plans`` by name, ``images`` by the migration's id.
    """

    cluster: Optional[int] = None
    pools: Mapping[int, Optional[int]] = field(default_factory=dict)
    plans: Mapping[str, Optional[int]] = field(default_factory=dict)
    images: Mapping[str, Optional[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class CopyShare:
    """A copy that takes part in the division. ``ident``: the migration's id.

    ``source_pool`` is None for an external source. ``demand``: bytes per second that it can use
    (:func:`estimate_demand`), None when it is not known to be limited.
    """

    ident: str
    source_pool: Optional[int]
    target_pool: int
    plan: str = ""
    weight: float = 1.0
    demand: Optional[float] = None


def weight(priority: int, starved: float = 0.0) -> float:
    """The weight of a copy: a quarter more for each step of priority, and more while it starves.

    ``starved``: seconds for which it could have copied but no byte was copied. Every ten minutes
    of them add the initial weight again, up to ten times.
    """
    steps = max(-MAX_PRIORITY, min(MAX_PRIORITY, priority))
    hungry = min(MAX_STARVED_FACTOR, 1 + max(0.0, starved) / STARVED_DOUBLES)
    return float(PRIORITY_BASE**steps) * hungry


def estimate_demand(rate: Optional[int], measured: Optional[float]) -> Optional[float]:
    """Bytes per second that a copy can use, from its ``rate`` and its ``measured`` throughput.

    None (not known) for a copy that uses all of its rate, or was not measured yet.
    """
    if rate is None or measured is None or measured >= rate * USES_ITS_RATE:
        return None
    return max(measured * DEMAND_ROOM, rate * (1 - USES_ITS_RATE))


def remaining_caps(caps: Caps, copy: CopyShare, used: float) -> Caps:
    """Return what remains of ``caps`` when a ``copy`` takes ``used`` bytes per second.

    For copies whose rate cannot be limited. A cap above 0 never becomes 0: the others slow down,
    they do not stop.
    """

    def rest(cap: Optional[int]) -> Optional[int]:
        return max(1, int(cap - used)) if cap else cap

    over = {copy.source_pool, copy.target_pool}
    pools = {pool: rest(cap) if pool in over else cap for pool, cap in caps.pools.items()}
    plans = {plan: rest(cap) if plan == copy.plan else cap for plan, cap in caps.plans.items()}
    return replace(caps, cluster=rest(caps.cluster), pools=pools, plans=plans)


def divide(copies: Sequence[CopyShare], caps: Caps) -> dict[str, Optional[int]]:
    """Bytes per second for each copy, by ident; None: no limit, 0: stop. The sum of the rates
    under a cap never exceeds it, and every rate hits some cap.
    """
    groups = _groups(copies, caps)
    capped = {ident for _, members in groups for ident in members}
    shares = [copy for copy in copies if copy.ident in capped]
    weights = {copy.ident: copy.weight for copy in shares}
    demands = {copy.ident: copy.demand for copy in shares if copy.demand is not None}
    rates = dict.fromkeys(weights, 0.0)
    wanted = [*groups, *((demand, [ident]) for ident, demand in demands.items())]
    _fill(rates, weights, wanted)
    if demands:
        _fill(rates, weights, groups)
    whole = _round(rates, groups)
    return {copy.ident: whole.get(copy.ident) for copy in copies}


_Group = tuple[float, list[str]]


def _groups(copies: Iterable[CopyShare], caps: Caps) -> list[_Group]:
    """Each cap that limits a copy, with the ids of the copies under it."""
    limits: dict[Hashable, float] = {}
    members: dict[Hashable, list[str]] = {}
    for copy in copies:
        if copy.weight <= 0:
            raise ValueError("a weight must be above 0")
        over: dict[Hashable, Optional[int]] = {
            "cluster": caps.cluster,
            ("plan", copy.plan): caps.plans.get(copy.plan),
            ("image", copy.ident): caps.images.get(copy.ident),
            ("pool", copy.target_pool): caps.pools.get(copy.target_pool),
        }
        if copy.source_pool is not None:
            over["pool", copy.source_pool] = caps.pools.get(copy.source_pool)
        for key, cap in over.items():
            if cap is not None:
                limits[key] = cap
                members.setdefault(key, []).append(copy.ident)
    return [(limits[key], idents) for key, idents in members.items()]


def _fill(rates: dict[str, float], weights: Mapping[str, float], groups: list[_Group]) -> None:
    """Raise ``rates`` together, in proportion to their weights, until each of them hits a cap."""
    growing = set(weights)
    open_groups = [(cap, set(members), members) for cap, members in groups]
    while growing:
        steps = []
        for cap, left, members in open_groups:
            room = cap - math.fsum(rates[ident] for ident in members)
            steps.append(max(0.0, room) / math.fsum(weights[ident] for ident in left))
        step = min(steps)
        for ident in growing:
            rates[ident] += step * weights[ident]
        nearly = step * (1 + 1e-9) + 1e-9
        stopped = set().union(
            *(left for own, (_, left, _) in zip(steps, open_groups) if own <= nearly)
        )
        growing -= stopped
        open_groups = [
            (cap, left - stopped, members) for cap, left, members in open_groups if left - stopped
        ]


def _round(rates: Mapping[str, float], groups: Iterable[_Group]) -> dict[str, int]:
    """Round to whole bytes, without exceeding a cap through floating point errors."""
    whole = {ident: math.floor(rate + 1e-6) for ident, rate in rates.items()}
    for cap, members in groups:
        excess = sum(whole[ident] for ident in members) - math.floor(cap)
        if excess > 0:
            largest = max(members, key=lambda ident: whole[ident])
            whole[largest] = max(0, whole[largest] - excess)
    return whole
