"""The verification of a migration: what was compared, what differed, what could not be compared.

It is a checkpoint too: while ``outcome`` is None it says how far the comparing got, so that it goes
on there after a pause, a kill or a failover.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional

SHOWN = 20  # differing extents of a view that are kept; the others are counted
POINT_PREFIX = ".rbd_migration."


class Verify(str, enum.Enum):
    """How much is compared before a commit."""

    NONE = "none"
    SAMPLE = "sample"
    FULL = "full"


class Outcome(str, enum.Enum):
    """What a verification came to. ``partial``: no difference, and something was not compared."""

    PASSED = "passed"
    FAILED = "failed"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Extent:
    """A part of an image, in bytes."""

    offset: int
    length: int


@dataclass(frozen=True)
class Compared:
    """A snapshot, or the head (``name`` empty), as far as it was compared.

    ``position``: all before this byte is done. ``bytes`` and ``extents``: what was read on each
    side. ``blocks`` of ``of_blocks``: those that were chosen, of those that hold data.
    ``digest``: a chain of SHA-256 over what was read. ``different``: how many extents differ, the
    first of which are in ``differences``. ``skipped``: why it was not compared.
    """

    name: str
    position: int = 0
    done: bool = False
    bytes: int = 0
    extents: int = 0
    blocks: int = 0
    of_blocks: int = 0
    digest: str = ""
    different: int = 0
    differences: tuple[Extent, ...] = ()
    skipped: str = ""


@dataclass(frozen=True)
class Verification:
    """``fraction`` of the blocks with data is compared, by ``seed``; 1 for all.

    ``started`` and ``at`` are times, ``seconds`` what the comparing itself took. ``miss`` is the
    probability that one differing block was not looked at. ``release``: who compared.
    """

    mode: Verify
    seed: int
    fraction: float
    started: float
    seconds: float = 0.0
    views: tuple[Compared, ...] = ()
    outcome: Optional[Outcome] = None
    reasons: tuple[str, ...] = ()
    miss: Optional[float] = None
    at: Optional[float] = None
    release: str = ""

    @property
    def bytes(self) -> int:
        """Bytes that were read on each side."""
        return sum(view.bytes for view in self.views)

    @property
    def extents(self) -> int:
        """Extents that were read on each side."""
        return sum(view.extents for view in self.views)
