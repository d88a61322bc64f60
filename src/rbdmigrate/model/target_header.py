"""The parts of a target's header that clients can change and an abort would lose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TargetHeader:
    """``size`` is in bytes, ``features`` is a mask of those bits that users choose.

    ``snapshots`` (numbers, names and sizes), ``metadata`` (keys and values, without ours) and
    ``group`` are digests: only changes of them matter, and a record has to stay small.
    """

    size: int
    features: int
    snapshots: str
    metadata: str
    group: str
