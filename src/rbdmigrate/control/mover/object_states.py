"""Which objects may differ between a snapshot and the head after it, by both object maps. Pure.

A map has two bits for each object, four in a byte, the first one in the highest bits: missing,
there, being removed, or there and not written since the newest snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator

MISSING, THERE, REMOVING, UNWRITTEN = range(4)
_CHUNK = 1 << 12  # bytes that are compared at once


def _table(change: dict[int, int]) -> bytes:
    """For ``bytes.translate``: other states in all four places of a byte."""
    states = [change.get(state, state) for state in range(4)]
    return bytes(
        sum(states[byte >> shift & 3] << shift for shift in (6, 4, 2, 0)) for byte in range(256)
    )


# A state of the head that equals that of the snapshot is one that was not written since.
_OF_HEAD = _table({REMOVING: THERE})
_OF_SNAPSHOT = _table({THERE: UNWRITTEN})
_THERE = _table({REMOVING: THERE, UNWRITTEN: THERE})


def written(snapshot: bytes, head: bytes) -> Iterator[int]:
    """The objects that were written, made or removed since the newest snapshot, in rising order.

    Complete unless the head was rolled back to an older snapshot meanwhile.
    """
    length = max(len(snapshot), len(head))
    before = snapshot.translate(_OF_SNAPSHOT).ljust(length, b"\0")
    yield from _differing(before, head.translate(_OF_HEAD).ljust(length, b"\0"))


def there(snapshot: bytes, head: bytes) -> Iterator[int]:
    """The objects that the snapshot or the head has, in rising order."""
    length = max(len(snapshot), len(head))
    one = int.from_bytes(snapshot.translate(_THERE).ljust(length, b"\0"), "big")
    two = int.from_bytes(head.translate(_THERE).ljust(length, b"\0"), "big")
    yield from _differing((one | two).to_bytes(length, "big"), bytes(length))


def _differing(one: bytes, two: bytes) -> Iterator[int]:
    for begin in range(0, len(one), _CHUNK):
        left, right = one[begin : begin + _CHUNK], two[begin : begin + _CHUNK]
        if left == right:
            continue
        for at, (a, b) in enumerate(zip(left, right)):
            if a != b:
                for place in range(4):
                    if (a ^ b) >> (6 - 2 * place) & 3:
                        yield 4 * (begin + at) + place
