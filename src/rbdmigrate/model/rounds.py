"""The rounds of a copy by the method ``warm``, as the record keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .verification import POINT_PREFIX

_HIDDEN = "rbd_migration."


@dataclass(frozen=True)
class Rounds:
    """How far a warm copy is behind its source.

    ``count``: the rounds that were completed. ``bytes`` and ``seconds``: what the last one copied,
    and how long that took. ``at``: when it began (seconds since the epoch), which is how old the
    target's content is. ``pause``: seconds that the cutover took; None before it. ``idle``: how
    many of the last rounds copied nothing. ``wanted``: another round was asked for. ``scan``:
    seconds for which a cutover would look for what differs. ``left``: bytes that differed when the
    last round was over, None where that is not known.
    """

    count: int = 0
    bytes: int = 0
    seconds: float = 0.0
    at: float = 0.0
    pause: Optional[float] = None
    idle: int = 0
    wanted: bool = False
    scan: float = 0.0
    left: Optional[int] = None

    @property
    def estimate(self) -> float:
        """Seconds that a cutover would take now, if as much differs as after the last round.

        As much as before it where that is not known.
        """
        return cutover_estimate(self.scan, self.bytes if self.left is None else self.left)


@dataclass(frozen=True)
class WayBack:
    """What an abort after the cutover would do, as it was measured ``at`` (seconds, epoch).

    ``bytes``: what clients wrote since the cutover, about, which it would copy to the source.
    ``seconds``: how long clients would wait for it. None: not known without looking at each object.
    """

    bytes: Optional[int]
    seconds: Optional[float]
    at: float


_FIXED = 0.15  # seconds of a cutover for the snapshots, the names and the locks
_SPEED = 64 << 20  # bytes per second, at which little is copied


def cutover_estimate(scan: float, left: int) -> float:
    """Seconds that a cutover takes, about.

    ``scan``: seconds for which it looks for what differs; ``left``: bytes that differ.
    """
    return _FIXED + scan + left / _SPEED


_SMALL = 8 << 20  # bytes; to copy them takes as long as the snapshot itself
_SHORT = 5.0  # seconds


def in_step(copied: int, seconds: float, left: Optional[int]) -> bool:
    """Whether no other round has to follow one that copied ``copied`` bytes in ``seconds``.

    ``left``: bytes that differ after it, None where that is not known. After a long round another
    one follows in any case: what the first one took says nothing of the next.
    """
    if left is None:
        return copied <= _SMALL
    return left <= _SMALL and (copied <= _SMALL or seconds <= _SHORT)


def hidden_name(ident: str) -> str:
    """The name of the target of the warm migration ``ident`` until its cutover."""
    return f"{_HIDDEN}{ident}"


def hidden_by(name: str) -> str:
    """The id of the migration whose target has this name until its cutover; empty: of none."""
    return name[len(_HIDDEN) :] if name.startswith(_HIDDEN) else ""


def round_snapshot(ident: str, number: int) -> str:
    """The name of the snapshot of a round, on the source and on the target."""
    return f"{round_prefix(ident)}{number}"


def round_prefix(ident: str) -> str:
    """How the names of all snapshots of our rounds begin."""
    return f"{POINT_PREFIX}{ident}."
