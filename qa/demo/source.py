"""Makes the source image by writing the history in ``content``."""

from collections.abc import Iterator

import rados
import rbd

from qa.demo.content import BLOCK, HEAD, ZERO, Change, block_bytes, stages
from qa.demo.sizes import MIB

_PIECE = 4 * MIB


def make_source(ioctx: rados.Ioctx, name: str, size: int, seed: int) -> str:
    """Make the image with its snapshots and return its id."""
    rbd.RBD().create(ioctx, name, size)
    with rbd.Image(ioctx, name) as image:
        for stage in stages(size):
            for change in stage.changes:
                _apply(image, change, seed)
            if stage.name != HEAD:
                image.create_snap(stage.name)
        return str(image.id())


def _apply(image: rbd.Image, change: Change, seed: int) -> None:
    for run in _runs(change.blocks):
        if change.generation == ZERO:
            image.discard(run[0] * BLOCK, len(run) * BLOCK)
        else:
            data = b"".join(block_bytes(seed, change.generation, block) for block in run)
            image.write(data, run[0] * BLOCK)


def _runs(blocks: range) -> Iterator[range]:
    """Return runs of neighbouring blocks that can be written at once."""
    longest = _PIECE // BLOCK if blocks.step == 1 else 1
    for begin in range(0, len(blocks), longest):
        yield blocks[begin : begin + longest]
