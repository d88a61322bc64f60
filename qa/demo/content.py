"""What the image must hold: head and snapshots, known without reading a byte of it.

The image is a row of 64 KiB blocks. Each write of the source gives a block a new *generation*;
the bytes of a block follow from the seed, its generation and its number. So one small number a
block describes a whole snapshot, and every byte that was ever written can be made again.
"""

import functools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qa.demo.sizes import KIB, MIB

BLOCK = 64 * KIB
WRITE = 4 * KIB  # of the client
HEAD = "head"
ZERO = 0  # the generation of what was never written, or was discarded
SIZE_STEP = 1 * MIB  # a sixteenth of it is a block

_PARTS = 16
_ZEROS = bytes(BLOCK)


@dataclass(frozen=True)
class Change:
    """These blocks become this generation; ZERO discards them."""

    generation: int
    blocks: range


@dataclass(frozen=True)
class Stage:
    """What is done to the source before the snapshot `name` is taken, or last of all for HEAD."""

    name: str
    changes: tuple[Change, ...]


def stages(size: int) -> tuple[Stage, ...]:
    """The history of a source image of this size: two snapshots, and the head after them.

    Whole stretches and single blocks are written, in data and in holes; one stretch is discarded,
    so that the head is empty where a snapshot is not. Part of the hole is never written.
    """

    def part(begin: float, end: float, step: int = 1) -> range:
        blocks = size // BLOCK
        return range(int(blocks * begin / _PARTS), int(blocks * end / _PARTS), step)

    return (
        Stage("monday", (Change(1, part(0, 5)), Change(1, part(8, 16)))),
        Stage("tuesday", (Change(2, part(2, 4)), Change(2, part(7, 7.5)))),
        Stage(
            HEAD,
            (
                Change(3, part(3, 4.5)),
                Change(ZERO, part(10, 11)),
                Change(3, part(10.5, 10.75)),
                Change(3, part(12, 14, step=7)),
            ),
        ),
    )


def views(size: int) -> dict[str, bytes]:
    """The generation of each block, as the snapshots and the head show it."""
    blocks = bytearray(size // BLOCK)
    seen: dict[str, bytes] = {}
    for stage in stages(size):
        for change in stage.changes:
            for block in change.blocks:
                blocks[block] = change.generation
        seen[stage.name] = bytes(blocks)
    return seen


@functools.lru_cache(maxsize=256)
def block_bytes(seed: int, generation: int, block: int) -> bytes:
    """The bytes of one block."""
    if generation == ZERO:
        return _ZEROS
    return random.Random(f"{seed}/{generation}/{block}").randbytes(BLOCK)


def write_bytes(seed: int, number: int) -> bytes:
    """The bytes of the client's write of that number."""
    return random.Random(f"{seed}/client/{number}").randbytes(WRITE)


@dataclass(frozen=True)
class Expected:
    """What one view of the target must hold: the source's blocks, with the client's writes on top.

    `writes` gives the number of the last write at each offset. Where the client never learnt
    whether its last write succeeded, `unsure` gives it: old and new are both right there.
    """

    seed: int
    blocks: bytes
    writes: Mapping[int, int]
    unsure: Mapping[int, int]

    @property
    def size(self) -> int:
        return len(self.blocks) * BLOCK

    def read(self, offset: int, length: int, *, hoped: bool = False) -> bytes:
        """The bytes from `offset`, a multiple of BLOCK; `hoped`: with the unsure write done."""
        first, count = offset // BLOCK, length // BLOCK
        data = bytearray().join(
            block_bytes(self.seed, self.blocks[block], block)
            for block in range(first, first + count)
        )
        for writes in (self.writes, self.unsure) if hoped else (self.writes,):
            for place in _within(writes, offset, length):
                at = place - offset
                data[at : at + WRITE] = write_bytes(self.seed, writes[place])
        return bytes(data)

    def generations(self, offset: int, length: int) -> bytes:
        """Of the source's blocks in this range."""
        return self.blocks[offset // BLOCK : (offset + length) // BLOCK]

    def has_writes(self, offset: int, length: int) -> bool:
        """Whether the client wrote, or may have written, in this range."""
        return self.is_unsure(offset, length) or any(
            True for _ in _within(self.writes, offset, length)
        )

    def is_unsure(self, offset: int, length: int) -> bool:
        """Whether there is an unsure write in this range."""
        return any(True for _ in _within(self.unsure, offset, length))


def _within(writes: Mapping[int, int], offset: int, length: int) -> Iterable[int]:
    if len(writes) < length // WRITE:
        return (place for place in writes if offset <= place < offset + length)
    return (place for place in range(offset, offset + length, WRITE) if place in writes)
