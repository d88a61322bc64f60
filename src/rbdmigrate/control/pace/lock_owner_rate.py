"""The pace of a copy made by the client that holds the exclusive lock. Pure.

librbd hands the copy to that client, where the throttle has no effect. The client takes the number
of objects it copies at once from the image's configuration, and reads it when the copy begins. So
the number is estimated from the wanted rate. It cannot be corrected while the copy runs: for a new
start the client would have to release the lock, and its writes in progress would fail.
"""

from __future__ import annotations

OBJECT_SECONDS = 0.1  # latency of one object on a slow disk
MOST_OPS = 10  # librbd's own default


def ops_for(rate: int, object_size: int) -> int:
    """Objects at once for ``rate`` bytes per second: 1 to MOST_OPS."""
    return int(max(1.0, min(float(MOST_OPS), rate * OBJECT_SECONDS / object_size)))
