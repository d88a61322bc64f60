"""Reverse rounds: what clients write to the target after the cutover, copied to the kept source."""

from __future__ import annotations

from dataclasses import dataclass
from errno import EINVAL

from .errors import MigrationError
from .units import format_seconds, parse_seconds

LEAST_INTERVAL = 60.0  # seconds between two reverse rounds, at least


@dataclass(frozen=True)
class ReverseRounds:
    """How far the kept source is behind the target.

    ``count``: the rounds that were completed. ``bytes`` and ``seconds``: what the last one
    copied, and how long that took. ``at``: when it began (seconds since the epoch), which is how
    old the source's content is. ``scan``: seconds for which an abort would look for what differs.
    ``snapshot``: the name of the snapshot of the last round, which both images have; empty: that of
    the cutover. ``idle``: how many of the last rounds copied nothing. ``wanted``: a round was asked
    for. ``problem``: why the last one failed, in a sentence; ``failures``: how many failed one
    after another; ``retry_at``: no other one begins before that time.
    """

    count: int = 0
    bytes: int = 0
    seconds: float = 0.0
    at: float = 0.0
    scan: float = 0.0
    snapshot: str = ""
    idle: int = 0
    wanted: bool = False
    problem: str = ""
    failures: int = 0
    retry_at: float = 0.0


def parse_interval(text: str, what: str) -> float:
    """Return how often the source is refreshed, in seconds; 0 for ``off``.

    Raises MigrationError(EINVAL).
    """
    if text == "off":
        return 0.0
    seconds = parse_seconds(text, what)
    if seconds and seconds < LEAST_INTERVAL:
        raise MigrationError(
            EINVAL,
            f"{what} is {format_seconds(seconds)}; give {LEAST_INTERVAL:g} s or more, or off: each "
            "round takes a snapshot of the image that clients use.",
        )
    return seconds


def shown_interval(seconds: float) -> str:
    """The reverse of :func:`parse_interval`, for people."""
    return format_seconds(seconds) if seconds else "off"
