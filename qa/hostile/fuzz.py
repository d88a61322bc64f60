"""Random changes of the headers and tables of good files; a seed makes the same file again."""

import random
from collections.abc import Sequence

from .bases import BASES
from .packed import regions
from .sums import correct

_VALUES = (
    *(0, 1, 2, 3, 7, 8, 9, 63, 64, 255, 511, 512, 4095, 1 << 16, (1 << 31) - 1, 1 << 31),
    *((1 << 32) - 1, 1 << 40, 1 << 62, (1 << 63) - 1, (1 << 64) - 512, (1 << 64) - 1),
)


def changed(name: str, good: bytes, seed: int) -> bytes:
    """Return the file of the base ``name`` with some changes."""
    base = BASES[name]
    return _changed(f"{name}/{seed}", good, base.regions, base.qemu)


def changed_packed(packing: str, name: str, good: bytes, seed: int) -> bytes:
    """Return a packed file of the base ``name`` with some changes."""
    return _changed(f"{packing}/{name}/{seed}", good, regions(packing, len(good)), packing)


def _changed(seed: str, good: bytes, where: "Sequence[tuple[int, int]]", form: str) -> bytes:
    chance, data = random.Random(seed), bytearray(good)
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        offset, length = chance.choice(where)
        begin = offset if offset >= 0 else len(data) + offset
        _change(data, begin + chance.randrange(length), chance)
    if chance.random() < 0.7:
        correct(data, form)
    if chance.random() < 0.05:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def _change(data: bytearray, at: int, chance: random.Random) -> None:
    """A byte, a number, or a copy of what is elsewhere."""
    kind, size = chance.random(), chance.choice((1, 2, 4, 8))
    at = min(at, len(data) - 8)
    if kind < 0.4:
        data[at] = chance.randrange(256)
    elif kind < 0.5:
        data[at] ^= 1 << chance.randrange(8)
    elif kind < 0.9:
        at -= at % size
        value = chance.choice(_VALUES) & ((1 << 8 * size) - 1)
        data[at : at + size] = value.to_bytes(size, chance.choice(("big", "little")))
    else:
        other = chance.randrange(len(data) - 8)
        data[at : at + 8] = data[other : other + 8]
