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
    seconds for which a cutover would look for what differs.
    """

    count: int = 0
    bytes: int = 0
    seconds: float = 0.0
    at: float = 0.0
    pause: Optional[float] = None
    idle: int = 0
    wanted: bool = False
    scan: float = 0.0

    @property
    def estimate(self) -> float:
        """Seconds that a cutover would take now, if as much differs as before the last round."""
        return cutover_estimate(self.scan, self.bytes)


_FIXED = 0.15  # seconds of a cutover for the snapshots, the names and the locks
_SPEED = 64 << 20  # bytes per second, at which little is copied


def cutover_estimate(scan: float, left: int) -> float:
    """Seconds that a cutover takes, about.

    ``scan``: seconds for which it looks for what differs; ``left``: bytes that differ.
    """
    return _FIXED + scan + left / _SPEED


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
