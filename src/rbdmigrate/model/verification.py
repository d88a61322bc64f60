"""The verification of a migration: what was compared, what differed, what could not be compared.

It is also a checkpoint: while ``outcome`` is None it records the progress, so that the comparison
goes on there after a pause, a kill or a failover.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Optional

from .bounds import shortened

SHOWN = 20  # differing extents of a view in the record; the others are counted
SHOWN_IN_ALL = 1000  # of all views together
MAX_DIGESTS = 1000  # views with digests in the record; for the others only whether they differ
MAX_REASONS = 20  # sentences
MAX_REASON = 200  # characters of one
POINT_PREFIX = ".rbd_migration."


class Verify(str, enum.Enum):
    """The comparison before a commit.

    ``AUTO`` is the default: it depends on the image (``control.lifecycle.verification``) and is
    never in the record of a migration.
    """

    AUTO = "auto"
    NONE = "none"
    SAMPLE = "sample"
    FULL = "full"


class Outcome(str, enum.Enum):
    """The outcome of a verification. ``partial``: no difference, but something was not compared."""

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
    """The comparison of a snapshot, or the head (``name`` empty).

    ``position``: all bytes before this one are done. ``bytes`` and ``extents``: those read on each
    side. ``blocks`` of ``of_blocks``: blocks that were chosen, of those with data. ``digest``: a
    chain of SHA-256 over the data read. ``different``: the number of extents that differ, the
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

    ``started`` and ``at`` are times, ``seconds`` the duration of the comparison itself. ``miss``
    is the probability that one differing block was not compared. ``release``: the release that
    compared.
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

    def bounded(self) -> Verification:
        """Return it with no more differences, digests and reasons than fit in a record.

        Omitted ones were counted. A view whose differences are not all listed is read completely
        when the next one is compared, so no difference is missed.
        """
        left, views = SHOWN_IN_ALL, []
        for number, view in enumerate(self.views):
            kept = view.differences[: max(0, left)]
            left -= len(kept)
            digest = view.digest if number < MAX_DIGESTS or not view.done else ""
            skipped = shortened(view.skipped, MAX_REASON)
            views.append(replace(view, differences=kept, digest=digest, skipped=skipped))
        reasons = [shortened(reason, MAX_REASON) for reason in self.reasons[:MAX_REASONS]]
        return replace(self, views=tuple(views), reasons=tuple(reasons))

    @property
    def bytes(self) -> int:
        """Bytes that were read on each side."""
        return sum(view.bytes for view in self.views)

    @property
    def extents(self) -> int:
        """Extents that were read on each side."""
        return sum(view.extents for view in self.views)
