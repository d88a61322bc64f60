"""Bounds on the time, traffic and memory that a source may cost, with their reasons."""

from __future__ import annotations

import time
from dataclasses import dataclass
from errno import ETIMEDOUT
from typing import Optional

from .errors import SourceError


@dataclass(frozen=True)
class Limits:
    """Bounds on one inspection, or on one open source. Seconds and bytes.

    ``connect``: a host in the same network answers in milliseconds, over a VPN in a second.
    ``answer``: for one request; an object store that has to spin up a disk needs several seconds.
    ``slowest``: the lowest rate of an answer's contents, in bytes per second. ``total``: for an
    inspection as a whole, so that a server that sends byte by byte cannot block it; the command
    waits for it. None: no limit, for a comparison of contents. ``tables``: qcow tables kept in
    memory: enough for the L1 table of 4 PiB. ``scan``: L2 tables read in search of compressed
    clusters: those of 1 TiB with clusters of 64 KiB. ``snapshots``: each costs librbd an L1 table
    in memory; QEMU's own bound is 65,536.
    """

    connect: float = 10
    answer: float = 20
    slowest: int = 64 << 10
    total: Optional[float] = 60
    tables: int = 64 << 20
    scan: int = 128 << 20
    snapshots: int = 1000


class Deadline:
    """The time left of ``Limits.total``."""

    def __init__(self, limits: Limits) -> None:
        self._end = None if limits.total is None else time.monotonic() + limits.total
        self._limits = limits

    def left(self, most: float) -> float:
        """Seconds for the next wait, at most ``most``. Raises SourceError when none are left."""
        if self._end is None:
            return most
        left = self._end - time.monotonic()
        if left <= 0:
            raise SourceError(
                "SOURCE_SLOW",
                ETIMEDOUT,
                f"The source was too slow to be inspected within {self._limits.total:g} seconds.",
                transient=True,
            )
        return min(most, left)

    def remains(self) -> bool:
        """Whether there is time left."""
        return self._end is None or time.monotonic() < self._end
