"""The pace of a copy that a client makes itself, because it holds the exclusive lock. Pure.

librbd hands the copy to such a client, which no sleep of ours slows down. What it takes from the
image's configuration is how many objects it copies at once, and it reads that when a copy begins.
So the number is guessed from the rate that is wanted, and corrected by what was measured, for
which the copy has to begin anew.
"""

from __future__ import annotations

from typing import Optional

OBJECT_SECONDS = 0.1  # that one object takes, before anything was measured: a slow disk's
MOST_OPS = 10  # librbd's own default
TOLERATED = 2.0  # times the wanted rate, or less than it by as much, before a copy begins anew
PATIENCE = 30.0  # seconds for which a copy is measured before that


def first_ops(rate: int, object_size: int) -> int:
    """Objects at once for ``rate`` bytes per second, when nothing was measured: at least 1."""
    return _within(rate * OBJECT_SECONDS / object_size)


def next_ops(ops: int, rate: Optional[int], measured: float) -> int:
    """Objects at once, after ``measured`` bytes per second were made with ``ops`` at once.

    ``rate`` None: there is no limit any more.
    """
    if rate is None:
        return MOST_OPS
    return _within(ops * rate / measured) if measured > 0 else ops


def off_pace(ops: Optional[int], rate: Optional[int], measured: float, seconds: float) -> bool:
    """Whether a copy should begin anew with another number of objects at once.

    ``seconds``: for which it has been measured.
    """
    if rate is None:
        return ops is not None and ops < MOST_OPS
    if ops is None:
        return True
    if seconds < PATIENCE or measured <= 0:
        return False
    too_fast = measured > rate * TOLERATED and ops > 1
    too_slow = measured * TOLERATED < rate and ops < MOST_OPS
    return too_fast or too_slow


def _within(ops: float) -> int:
    return int(max(1.0, min(float(MOST_OPS), ops)))
