"""Where an image holds data, as librbd tells it: kept in 16 bytes for each run of objects.

librbd knows two ways. With fast-diff it reads *object maps*: milliseconds, but after ``rbd snap
rollback`` they miss objects that changed between two snapshots, or a snapshot and the head
(measured on 16.2.15 and 20.2.4). The *exact* way asks the OSDs for the snapshots of each object,
which takes 16.5 s per TiB and misses nothing. What must not miss a change asks both ways.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Optional

import rbd

from ...control.objects.extents import ExtentSet, union


class Runs:
    """(offset, length) pairs in bytes; those that follow on one another are one."""

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._lengths = array("Q")

    def add(self, offset: int, length: int) -> None:
        """Add an extent."""
        if self._offsets and self._offsets[-1] + self._lengths[-1] == offset:
            self._lengths[-1] += length
            return
        self._offsets.append(offset)
        self._lengths.append(length)

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._offsets, self._lengths)


def diff(
    image: rbd.Image, before: Optional[str], span: tuple[int, int], whole: bool, parent: bool
) -> Runs:
    """What exists in ``span`` (offset, length) and differs from the snapshot ``before``.

    ``whole``: by object maps where there are any. Good for what is estimated and shown.
    """
    found = Runs()

    def note(offset: int, length: int, exists: bool) -> None:
        if exists:
            found.add(offset, length)

    offset, length = span
    if length:  # librbd ends the process when asked for nothing
        image.diff_iterate(offset, length, before, note, include_parent=parent, whole_object=whole)
    return found


def allocated(image: rbd.Image, before: Optional[str], size: int) -> ExtentSet:
    """The whole objects of an open view that hold data, or differ from the snapshot ``before``.

    What a view holds its object map knows; what differs is asked exactly as well. Objects that
    were there before and are holes now count as different.
    """
    found = _objects(image, before, size, whole=True)
    if before is None:
        return found
    return union(found, _objects(image, before, size, whole=False))


def _objects(image: rbd.Image, before: Optional[str], size: int, *, whole: bool) -> ExtentSet:
    """The sets of objects that librbd tells of, from their begin to their end."""
    unit = (1 << int(image.stat()["order"])) * int(image.stripe_count())
    parts = [ExtentSet()]
    last = 0

    def note(offset: int, length: int, exists: bool) -> None:
        nonlocal last
        if not exists and before is None:
            return
        begin, end = offset // unit * unit, -(-(offset + length) // unit) * unit
        if begin < last:  # not in order
            parts.append(ExtentSet())
        last = begin
        parts[-1].add(begin, min(end, size))

    if size:  # librbd ends the process when asked for nothing
        image.diff_iterate(0, size, before, note, include_parent=before is None, whole_object=whole)
    found = parts[0]
    for part in parts[1:]:
        found = union(found, part)
    return found
