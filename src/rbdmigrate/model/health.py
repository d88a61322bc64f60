"""The cluster's health for the health gates: plain numbers, read at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HealthError:
    """A health check that is an error. ``pools``: ids of the affected pools; empty: all."""

    code: str
    pools: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ClusterHealth:
    """The cluster's condition as the manager knows it.

    Fractions are 0 to 1: ``misplaced`` and ``degraded`` of all object copies, ``recovering_pgs``
    of all placement groups (those that recover or are backfilled now, not those that wait for
    it). ``errors``: the health checks that are errors and not muted. OSDs and pools are ids. A
    pool is near full or full when the OSD map flags it so, by its quota or its OSDs. ``free``:
    bytes that can still be written to a pool, after replication (``max_avail``).
    """

    errors: tuple[HealthError, ...] = ()
    misplaced: float = 0.0
    degraded: float = 0.0
    recovering_pgs: float = 0.0
    slow_ops: int = 0
    nearfull_osds: tuple[int, ...] = ()
    full_osds: tuple[int, ...] = ()
    nearfull_pools: frozenset[int] = frozenset()
    full_pools: frozenset[int] = frozenset()
    free: Mapping[int, int] = field(default_factory=dict)
    pool_names: Mapping[int, str] = field(default_factory=dict)
    mons: int = 1
    mons_in_quorum: int = 1
