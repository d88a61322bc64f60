"""The pace of a copy that a client makes itself, because it holds the exclusive lock. Pure.

librbd hands the copy to such a client, which no sleep of ours slows down. What it takes from the
image's configuration is how many objects it copies at once, and it reads that when a copy begins.
So the number is guessed from the rate that is wanted. It cannot be corrected while the copy runs:
to begin anew, the client would have to give the lock away, which fails writes that it is at.
"""

from __future__ import annotations

OBJECT_SECONDS = 0.1  # that one object takes: a slow disk's
MOST_OPS = 10  # librbd's own default


def ops_for(rate: int, object_size: int) -> int:
    """Objects at once for ``rate`` bytes per second: 1 to MOST_OPS."""
    return int(max(1.0, min(float(MOST_OPS), rate * OBJECT_SECONDS / object_size)))
