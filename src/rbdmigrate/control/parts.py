"""Objects copied in part: where there can be any, and in which order they are looked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

# Objects below the last one that the copy told of: those that were under way at its end are there
# and above, but for one that its placement group kept from ending.
BELOW = 512
PART = 1 << 16  # objects looked at together, where all are


def parts(count: int, around: Optional[int]) -> Iterator[range]:
    """Ranges of the numbers below ``count``, those first where something is most probable.

    ``around``: from somewhat below this object upwards, for as long as anything is found; None:
    all of them. A copy goes upwards, so the last objects that there are come first.
    """
    if around is not None:
        for begin in range(max(0, around - BELOW), count, 2 * BELOW):
            yield range(begin, min(count, begin + 2 * BELOW))
        return
    for end in range(count, 0, -PART):
        yield range(max(0, end - PART), end)


def in_several_writes(carried: int, point: bool) -> bool:
    """Whether librbd may copy an object in more than one write.

    ``carried``: snapshots that the target has of the source. ``point``: one of them is the
    comparison snapshot, which never differs from the head.
    """
    return carried > point
