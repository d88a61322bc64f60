"""Objects copied in part: where there can be any, and in which order they are looked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Optional

from ...model.observation import MigrationHeader

# Objects below the last one that the copy told of: those that were under way at its end are there
# and above, but for one that its placement group kept from ending.
BELOW = 512
PART = 1 << 16  # objects looked at together, where all are
GAP = 64  # objects; to look at so many costs less than to ask once more


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


def runs(numbers: Iterable[int]) -> Iterator[range]:
    """The numbers as ranges, rising; those with gaps of less than ``GAP`` between them are one."""
    begin = end = -1
    for number in sorted(numbers):
        if begin >= 0 and number >= end + GAP:
            yield range(begin, end)
            begin = -1
        if begin < 0:
            begin = number
        end = number + 1
    if begin >= 0:
        yield range(begin, end)


def in_several_writes(
    header: Optional[MigrationHeader], *, point: str, no_point: str, imported: bool
) -> bool:
    """Whether librbd may copy an object of the target with this header in more than one write.

    It may for each snapshot that the target has of the source, but for the comparison snapshot
    ``point``, which never differs from the head. Where ``no_point`` says why there is none, and
    for an import, whose point is made on the target, none of them is that.
    """
    compared = bool(point) and not no_point and not imported
    return header is not None and len(header.snapshots) > compared
