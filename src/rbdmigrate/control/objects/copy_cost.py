"""The bytes that a copy moves: per object, its throughput, and when it will be done. Pure.

An image may have tens of millions of objects, most of them holes or all of them full, so costs are
kept by chunks of 4096 objects: nothing for a chunk of holes, one number for a chunk whose objects
all cost the same, and an array of 4-byte numbers of 512-byte units for others. The worst case,
data everywhere and no two objects alike, takes 4 bytes an object: 105 MB for 100 TiB in 4 MiB
objects.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Iterable, Iterator
from typing import Optional, Union

UNIT = 512  # bytes; sizes are rounded up to a multiple
CHUNK = 4096  # objects
MAX_UNITS = (1 << 32) - 1  # an object's cost, all snapshots together: 2 TiB
SMOOTHED = 10.0  # seconds over which a throughput is smoothed, about
EARLIEST = 1.0  # seconds of observation before a throughput is known

_SPARSE = 16  # an image is nearly empty when less than one part in 16 holds data
_MORE = 6  # times as many objects
_IN_FLIGHT = 256 << 20  # bytes

_Costs = Union[int, "array[int]"]  # costs of a chunk: one for all objects, or one for each


class CopyCost:
    """The bytes that the copy of each object of the target has to move.

    ``size``, ``object_size``, ``stripe_unit``: bytes. ``size`` is the largest of the head and all
    snapshots; what lies beyond it is not counted. Objects are numbered as librbd's progress
    callback numbers them, which is by the target's layout. :meth:`add` the data extents of the
    head and of every snapshot (each against the one before it): an object costs what they
    have of it, together.
    """

    def __init__(
        self,
        *,
        size: int,
        object_size: int,
        stripe_unit: Optional[int] = None,
        stripe_count: int = 1,
    ) -> None:
        striped = stripe_unit is not None and stripe_unit < object_size and stripe_count > 1
        self.size = size
        self.object_size = object_size
        self._unit = stripe_unit if stripe_unit and striped else object_size
        self._count = stripe_count if striped else 1
        self._set_size = object_size * self._count
        self.objects = -(-size // self._set_size) * self._count
        self._chunks: list[_Costs] = [0] * -(-self.objects // CHUNK)
        self._before: Optional[array[int]] = None  # units before each chunk
        self._begin = self._end = 0  # a run of extents that is not counted yet

    @classmethod
    def of(cls, size: int, object_size: int, extents: Iterable[tuple[int, int]]) -> CopyCost:
        """The costs for (offset, length) pairs in bytes, without striping."""
        made = cls(size=size, object_size=object_size)
        for offset, length in extents:
            made.add(offset, length)
        return made

    def add(self, offset: int, length: int) -> None:
        """Count an extent of data, in bytes of the image. Adjacent extents are quickest."""
        if offset != self._end:
            self._flush()
            self._begin = self._end = offset
        self._end += length

    def _flush(self) -> None:
        begin, end = self._begin, min(self._end, self.size)
        self._begin = self._end
        if begin >= end:
            return
        self._before = None
        first, last = -(-begin // self._set_size), end // self._set_size  # sets that are covered
        first_end = min(end, first * self._set_size)
        self._add_part(begin, first_end)
        if first < last:
            self._add_full(first * self._count, last * self._count)
        self._add_part(max(first_end, last * self._set_size), end)

    def _add_part(self, offset: int, end: int) -> None:
        """An extent within one object set, stripe unit by stripe unit."""
        while offset < end:
            stop = min(end, (offset // self._unit + 1) * self._unit)
            self._add_one(self._object_at(offset), -(-(stop - offset) // UNIT))
            offset = stop

    def _object_at(self, offset: int) -> int:
        return offset // self._set_size * self._count + offset // self._unit % self._count

    def _add_one(self, number: int, units: int) -> None:
        index, place = divmod(number, CHUNK)
        costs = self._spread(index)
        costs[place] = min(MAX_UNITS, costs[place] + units)

    def _add_full(self, first: int, last: int) -> None:
        """The objects from ``first`` up to ``last`` (not included), each as a whole."""
        units = -(-self.object_size // UNIT)
        for index in range(first // CHUNK, -(-last // CHUNK)):
            start, stop = max(0, first - index * CHUNK), min(CHUNK, last - index * CHUNK)
            costs = self._chunks[index]
            if isinstance(costs, int) and stop - start == self._length(index):
                self._chunks[index] = min(MAX_UNITS, costs + units)
                continue
            spread = self._spread(index)
            for place in range(start, stop):
                spread[place] = min(MAX_UNITS, spread[place] + units)

    def _length(self, index: int) -> int:
        return min(CHUNK, self.objects - index * CHUNK)

    def _spread(self, index: int) -> array[int]:
        costs = self._chunks[index]
        if isinstance(costs, int):
            costs = array("I", [costs]) * self._length(index)
            self._chunks[index] = costs
        return costs

    def cost(self, object_no: int) -> int:
        """Bytes to copy for this object; 0 for a hole and beyond the end."""
        self._flush()
        if not 0 <= object_no < self.objects:
            return 0
        index, place = divmod(object_no, CHUNK)
        costs = self._chunks[index]
        return (costs if isinstance(costs, int) else costs[place]) * UNIT

    def objects_to_copy(self) -> Iterator[int]:
        """The numbers of the objects that cost anything, rising."""
        self._flush()
        for index, costs in enumerate(self._chunks):
            first = index * CHUNK
            if not isinstance(costs, int):
                yield from (first + place for place, cost in enumerate(costs) if cost)
            elif costs:
                yield from range(first, first + self._length(index))

    @property
    def total(self) -> int:
        """Bytes to copy in all."""
        return self.copied_up_to(self.objects)

    def copied_up_to(self, object_no: int) -> int:
        """Bytes of all objects before this one: those copied, if objects are copied in order."""
        self._flush()
        number = max(0, min(object_no, self.objects))
        index, place = divmod(number, CHUNK)
        units = self._sums()[index]
        if place:
            costs = self._chunks[index]
            units += costs * place if isinstance(costs, int) else sum(costs[:place])
        return units * UNIT

    def _sums(self) -> array[int]:
        if self._before is None:
            sums = (
                costs * self._length(index) if isinstance(costs, int) else sum(costs)
                for index, costs in enumerate(self._chunks)
            )
            self._before = array("Q", itertools.accumulate(sums, initial=0))
        return self._before


def in_flight(usual: int, costs: CopyCost, *, paced: bool) -> int:
    """How many objects a copy has under way: more than ``usual`` in an image that is nearly empty.

    There a copy only waits for answers that an object does not exist. ``paced``: a rate is set. If
    all objects under way hold data after all, that is 256 MiB at most.
    """
    if paced or costs.total * _SPARSE > costs.size:
        return usual
    return max(usual, min(_MORE * usual, _IN_FLIGHT // costs.object_size))


class Throughput:
    """Bytes per second, smoothed over about ten seconds, of a count of bytes that grows.

    At the beginning it is the mean since the first observation. Observe it also while the count
    does not grow, or a stopped copy seems to run.
    """

    def __init__(self, smoothed: float = SMOOTHED) -> None:
        self._smoothed = smoothed
        self._last: Optional[tuple[float, int]] = None
        self._bytes = 0.0  # bytes copied and seconds taken, both with exponential decay
        self._seconds = 0.0
        self._observed = 0.0

    def observe(self, now: float, copied: int) -> None:
        """Note that ``copied`` bytes were done at ``now`` (seconds). A count that falls starts
        again.
        """
        if self._last is None or copied < self._last[1]:
            self._bytes = self._seconds = self._observed = 0.0
            self._last = (now, copied)
            return
        elapsed, grown = now - self._last[0], copied - self._last[1]
        if elapsed <= 0:
            return
        fades = math.exp(-elapsed / self._smoothed)
        # The growth is spread evenly over this time, and decays accordingly.
        weight = self._smoothed * (1 - fades)
        self._bytes = self._bytes * fades + grown / elapsed * weight
        self._seconds = self._seconds * fades + weight
        self._observed += elapsed
        self._last = (now, copied)

    @property
    def rate(self) -> Optional[float]:
        """Bytes per second; None before a second of observation."""
        if self._observed < EARLIEST:
            return None
        return self._bytes / self._seconds


def eta(total: int, copied: int, rate: Optional[float]) -> Optional[float]:
    """Seconds until ``total`` bytes are copied; None when not known, 0 when they are copied."""
    if copied >= total:
        return 0.0
    if not rate or rate <= 0:
        return None
    return (total - copied) / rate
