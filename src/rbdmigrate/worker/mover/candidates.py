"""Where an exact difference has to look: found by object maps, with nothing missed.

An exact difference asks the OSDs about each object, 16.5 s per TiB. Object maps tell at once which
objects exist in a view, and which were written since a snapshot. The former holds always: what a
map has as missing librbd reads as zeros. The latter misses objects after a rollback to an older
snapshot; then these objects have the content of that snapshot. ``doc/design/warm.rst`` has the
argument.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Optional

import rados
import rbd

from ...cluster import headers, image_snapshots, object_map
from ...control.mover import object_states
from ...control.mover.pieces import Extent, ExtentList, joined
from ...model.layout import FEATURES

_GAP = 16  # objects; an exact look at that many holes costs less than a call
_INVALID = 3  # RBD_FLAG_OBJECT_MAP_INVALID and RBD_FLAG_FAST_DIFF_INVALID
_MAPS = FEATURES["exclusive-lock"] | FEATURES["object-map"] | FEATURES["fast-diff"]


class Spans:
    """Parts of a disk, in rising order, in 16 bytes each."""

    def __init__(self, found: Iterable[tuple[int, int]]) -> None:
        self._begins = array("Q")
        self._ends = array("Q")
        for offset, length in found:
            self._begins.append(offset)
            self._ends.append(offset + length)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(offset, length) of all."""
        return ((begin, end - begin) for begin, end in zip(self._begins, self._ends))

    def within(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """(offset, length) of what of them lies in this part."""
        end = offset + length
        at = bisect_right(self._ends, offset)
        while at < len(self._begins) and self._begins[at] < end:
            begin, stop = max(self._begins[at], offset), min(self._ends[at], end)
            yield begin, stop - begin
            at += 1


def everything(size: int) -> Spans:
    """The whole disk."""
    return Spans([(0, size)] if size else [])


def maps_hold(ioctx: rados.Ioctx, image: rbd.Image, ident: str, snap_ids: Iterable[int]) -> bool:
    """Whether the object maps of the head and of these snapshots tell which objects exist.

    Nothing is looked up but the header. False in any doubt.
    """
    if int(image.features()) & _MAPS != _MAPS or int(image.stripe_count()) != 1:
        return False
    views = [headers.flags(ioctx, ident), *(headers.flags(ioctx, ident, i) for i in snap_ids)]
    return not any(flags & _INVALID for flags in views)


def existing(image: rbd.Image, *, parent: bool = True) -> ExtentList:
    """The objects of the view that is open which may hold data; ``parent``: parents' included."""
    found = ExtentList()
    size = int(image.size())
    if size:  # librbd ends the process when asked for nothing
        image.diff_iterate(0, size, None, found.add, include_parent=parent, whole_object=True)
    return found


def since(
    ioctx: rados.Ioctx,
    image: rbd.Image,
    ident: str,
    snap_id: int,
    varied: Optional[tuple[int, ...]],
) -> Spans:
    """Where the head of an image without a parent may differ from its snapshot ``snap_id``.

    Nobody else writes to the image now. ``varied`` as in the copy mark.
    """
    size = int(image.size())
    newest = image_snapshots.snapshot_ids(ioctx, ident)[1][-1:] == [snap_id]
    if not newest or not maps_hold(ioctx, image, ident, [snap_id]):
        return everything(size)
    snapshot = object_map.object_states(ioctx, ident, snap_id)
    head = object_map.object_states(ioctx, ident, None)
    if snapshot is None or head is None:
        return everything(size)
    unit = 1 << int(image.stat()["order"])
    numbers = object_states.there if varied is None else object_states.written
    objects = (Extent(number * unit, unit) for number in numbers(snapshot, head))
    return spans(image, [objects, pairs(varied or ())])


def spans(image: rbd.Image, lists: Iterable[Iterable[Extent]], gap: int = _GAP) -> Spans:
    """All parts of these lists, each of which rises; gaps of up to ``gap`` objects are filled."""
    merged = heapq.merge(*lists, key=attrgetter("offset"))
    size = int(image.size())
    gap *= 1 << int(image.stat()["order"])
    inside = (
        Extent(extent.offset, min(extent.end, size) - extent.offset)
        for extent in merged
        if extent.offset < size
    )
    return Spans(joined(inside, gap))


def exact_extents(
    image: rbd.Image, before: Optional[str], offset: int, length: int, *, parent: bool
) -> ExtentList:
    """What differs exactly from the snapshot ``before`` (None: what holds data), in this span."""
    found = ExtentList()
    if length:  # librbd ends the process when asked for nothing
        image.diff_iterate(
            offset, length, before, found.add, include_parent=parent, whole_object=False
        )
    return found


def exact_within(
    image: rbd.Image, before: Optional[str], where: Iterable[tuple[int, int]], *, parent: bool
) -> ExtentList:
    """The same in several spans, which rise."""
    found = ExtentList()
    for offset, length in where:
        for extent in exact_extents(image, before, offset, length, parent=parent):
            found.add(*extent)
    return found


def pairs(flat: Sequence[int]) -> list[Extent]:
    """The parts that a copy mark keeps as ``varied``."""
    return [Extent(offset, length) for offset, length in zip(flat[::2], flat[1::2])]


_MOST = 128  # parts that a copy mark keeps


def flattened(extents: Iterable[Extent], grain: int) -> Optional[tuple[int, ...]]:
    """The reverse, in multiples of ``grain`` bytes; None: too many to be kept."""
    whole = (
        Extent(begin, -(-extent.end // grain) * grain - begin)
        for extent in extents
        for begin in [extent.offset // grain * grain]
    )
    found: list[int] = []
    for part in joined(whole, grain):
        found += part
        if len(found) > 2 * _MOST:
            return None
    return tuple(found)
