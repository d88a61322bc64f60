"""The mapping between an image's bytes and its objects. Pure.

librbd spreads an image over object sets: ``stripe_count`` objects that are filled in turns, a
``stripe_unit`` each. Without fancy striping a set is one object and the unit its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Striping:
    """An image's layout; sizes in bytes. ``stripe_unit`` divides ``object_size``."""

    object_size: int
    stripe_unit: int
    stripe_count: int = 1

    @property
    def fancy(self) -> bool:
        """Whether an object holds more than one extent of the image."""
        return self.stripe_unit != self.object_size

    @property
    def set_size(self) -> int:
        """Bytes of an object set."""
        return self.object_size * self.stripe_count

    def objects(self, offset: int, length: int) -> Iterator[int]:
        """The numbers of the objects that hold an extent of the image, each once per stripe."""
        if self.stripe_count == 1:
            if length > 0:
                yield from range(
                    offset // self.object_size, (offset + length - 1) // self.object_size + 1
                )
            return
        end = offset + length
        while offset < end:
            stripe = offset // self.set_size * self.stripe_count
            yield stripe + offset // self.stripe_unit % self.stripe_count
            offset = (offset // self.stripe_unit + 1) * self.stripe_unit

    def pieces(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """(object, offset in it, length) of the parts of an extent of the image, in image order."""
        end = offset + length
        while offset < end:
            stripe, within = divmod(offset, self.set_size)
            unit, into = divmod(within, self.stripe_unit)
            turn, place = divmod(unit, self.stripe_count)
            count = min(self.stripe_unit - into, end - offset)
            number = stripe * self.stripe_count + place
            yield number, turn * self.stripe_unit + into, count
            offset += count

    def extents(self, number: int) -> Iterator[tuple[int, int]]:
        """(offset in the image, length) of an object's bytes, in the object's order."""
        if self.stripe_count == 1:
            yield number * self.object_size, self.object_size
            return
        stripe, place = divmod(number, self.stripe_count)
        for turn in range(self.object_size // self.stripe_unit):
            unit = turn * self.stripe_count + place
            yield stripe * self.set_size + unit * self.stripe_unit, self.stripe_unit

    def count(self, size: int) -> int:
        """How many objects an image of ``size`` bytes may have."""
        return -(-size // self.set_size) * self.stripe_count

    def span(self, first: int, last: int) -> tuple[int, int]:
        """(offset, length) of the image that spans the objects from ``first`` to ``last``."""
        begin = first // self.stripe_count * self.set_size
        return begin, (last // self.stripe_count + 1) * self.set_size - begin
