"""Partly copied objects: where there can be any, and in which order to search for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Optional

from ...model.observation import MigrationHeader

# Objects below the last one that the copy reported. Those being copied at its end are there
# and above, except an object whose placement group did not answer.
BELOW = 512
PART = 1 << 16  # objects examined together in a search of all
GAP = 64  # objects; examining this many costs less than another request


def search_ranges(count: int, around: Optional[int]) -> Iterator[range]:
    """Ranges of the object numbers below ``count``, the most probable first.

    ``around``: begin somewhat below this object and go upwards, for as long as the caller finds
    any; None: all objects, from the last one down, since a copy goes upwards.
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
    header: Optional[MigrationHeader],
    *,
    comparison_snapshot: str,
    no_comparison_snapshot: str,
    imported: bool,
) -> bool:
    """Whether librbd may copy an object of the target with this header in more than one write.

    It may for each snapshot that the target has of the source, except the comparison snapshot,
    which never differs from the head. None of the snapshots is that one where
    ``no_comparison_snapshot`` says why it is missing, and for an import, whose comparison snapshot
    is created on the target.
    """
    compared = bool(comparison_snapshot) and not no_comparison_snapshot and not imported
    return header is not None and len(header.snapshots) > compared
