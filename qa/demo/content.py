"""The expected content of the image, head and snapshots, known without reading the image.

The image is a row of 64 KiB blocks. Each write of the source gives a block a new *generation*; the
bytes of a block follow from the seed, its generation and its number. So one small number per block
describes a whole snapshot, and every byte that was ever written can be computed again.
"""

import functools
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qa.demo.sizes import KIB, MIB

BLOCK = 64 * KIB
WRITE = 4 * KIB  # bytes of a client's write
HEAD = "head"
ZERO = 0  # the generation of blocks never written, or discarded
SIZE_STEP = 1 * MIB  # a sixteenth of it is a block

_PARTS = 16
_ZEROS = bytes(BLOCK)


@dataclass(frozen=True)
class Change:
    """Blocks that get this generation; ZERO discards them."""

    generation: int
    blocks: range


@dataclass(frozen=True)
class Stage:
    """The changes before the snapshot `name` is taken, or for HEAD after the last snapshot."""

    name: str
    changes: tuple[Change, ...]


def stages(size: int) -> tuple[Stage, ...]:
    """Return the history of a source image of this size: two snapshots, and the head after them.

    Long ranges and single blocks are written, in data and in holes. One range is discarded, so that
    the head is empty where a snapshot is not. Part of the hole is never written.
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
    """Return the generation of each block in the snapshots and the head."""
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
    """Return the bytes of one block."""
    if generation == ZERO:
        return _ZEROS
    return random.Random(f"{seed}/{generation}/{block}").randbytes(BLOCK)


def write_bytes(seed: int, number: int) -> bytes:
    """Return the bytes of the client's write with this number."""
    return random.Random(f"{seed}/client/{number}").randbytes(WRITE)


@dataclass(frozen=True)
class Expected:
    """The expected content of one view: the source's blocks, with the client's writes on top.

    `writes` has the number of the last write at each offset. `unsure` is the last write if the
    client never learnt whether it succeeded: there both old and new bytes are right.
    """

    seed: int
    blocks: bytes
    writes: Mapping[int, int]
    unsure: Mapping[int, int]

    @property
    def size(self) -> int:
        return len(self.blocks) * BLOCK

    def read(self, offset: int, length: int, *, hoped: bool = False) -> bytes:
        """Return bytes from `offset`, a multiple of BLOCK; `hoped`: with the unsure write done."""
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
        """Return the generations of the source's blocks in this range."""
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
