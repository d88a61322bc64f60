"""Reading both sides of a view at once, several pieces in flight, and comparing them in order."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from errno import EIO
from typing import Optional

import rados
import rbd

from ...control.lifecycle.verification import differing, sample, with_differences
from ...control.mover.pieces import ExtentList
from ...control.objects.extents import ExtentSet
from ...faults import fault_point
from ...model.errors import MigrationError, errno_name
from ...model.verification import Compared, Verification
from ..copy.throttle import CopyThrottle
from ..mover.candidates import exact_within, existing, spans
from .image_views import open_view
from .object_map import usable
from .sides import View, is_in_order

_SKIPPED = 16 << 20  # bytes that are read at a time up to the next piece
_IN_FLIGHT = 4  # pieces of up to 4 MiB, each read on both sides: 32 MiB, and twice that in memory


class ImageReader:
    """One of both images, found by its id, for reading.

    ``refreshed``: the name of the snapshot to which we brought its head after the comparison
    snapshot; empty: its head may be anything. None: nobody should have written to it since then.
    """

    def __init__(
        self, *, name: str, ioctx: rados.Ioctx, ident: str, refreshed: Optional[str] = None
    ) -> None:
        self._refreshed = refreshed
        self.name = name
        self.ioctx = ioctx
        self.ident = ident

    def open(self, snapshot: Optional[str]) -> rbd.Image:
        """A snapshot, or the head (None)."""
        return open_view(self.ioctx, self.ident, snapshot)

    def snapshots(self) -> list[str]:
        """The names of the image's snapshots, the oldest first."""
        with self.open(None) as image:
            return [str(snapshot["name"]) for snapshot in image.list_snaps()]

    def changed_since(self, comparison_snapshot: str) -> str:
        """Whether somebody else wrote to it after the comparison snapshot, and before the link."""
        since = comparison_snapshot if self._refreshed is None else self._refreshed
        if not since:
            return ""
        with self.open(None) as image:
            found = self._differences(image, since)
        first = next(iter(found), None)
        if first is None:
            return ""
        more = f", and {len(found) - 1} other parts" if len(found) > 1 else ""
        return (
            "a client wrote to the source after the comparison snapshot was taken "
            f"({first.length} bytes at the byte {first.offset}{more})"
        )

    def _differences(self, image: rbd.Image, comparison_snapshot: str) -> ExtentList:
        """Where the head differs from a snapshot. What neither has by the maps is a hole in both,
        and need not be looked at (16.5 s per TiB). That the head's map says that an object was
        written proves nothing: a snapshot that is cut off leaves such a map. So what differs is
        asked exactly, also where no map is trusted.
        """
        where: Iterable[tuple[int, int]] = [(0, int(image.size()))]
        if usable(image):
            held = [existing(image)]
            image.set_snap(comparison_snapshot)
            held.append(existing(image))
            image.set_snap(None)
            where = spans(image, held)
        return exact_within(image, comparison_snapshot, where, parent=False)


def compare(
    pace: CopyThrottle,
    pair: tuple[View, rbd.Image],
    view: Compared,
    extents: ExtentSet,
    v: Verification,
) -> Iterator[Compared]:
    """Compare ``extents`` of a view from its position on; yields the view after each piece.

    What is read is charged to ``pace`` once, though it is read twice: a copy's bytes are read and
    written too. Raises MigrationError when a piece cannot be read.
    """
    blocks = extents.blocks()
    chosen = sample(blocks, v.fraction, v.seed, view.name)
    view = replace(view, blocks=len(chosen), of_blocks=len(blocks))
    yield view
    pieces = (
        (offset, length)
        for block, offset, length in extents.pieces()
        if offset >= view.position and block in chosen
    )
    waiting: deque[tuple[int, int, Future[bytes], Future[bytes]]] = deque()
    with ThreadPoolExecutor(2 * _IN_FLIGHT) as readers, ThreadPoolExecutor(1) as one_by_one:
        in_order = [side for side in pair if is_in_order(side)]
        pools = [one_by_one if is_in_order(side) else readers for side in pair]
        reached = 0
        try:
            for offset, length in pieces:
                for side in in_order:
                    for at in range(reached, offset, _SKIPPED):  # it is read all the same
                        one_by_one.submit(side.read, at, min(_SKIPPED, offset - at)).result()
                        yield view
                reached = offset + length
                pace.wait(length, patient=True)
                reads = [
                    pool.submit(_read, side, offset, length, number)
                    for number, (pool, side) in enumerate(zip(pools, pair))
                ]
                waiting.append((offset, length, reads[0], reads[1]))
                if len(waiting) >= _IN_FLIGHT:
                    view = _take(view, waiting)
                    yield view
            while waiting:
                view = _take(view, waiting)
                yield view
        finally:
            for _, _, left, right in waiting:
                left.cancel()
                right.cancel()


def _read(image: View, offset: int, length: int, side: int) -> bytes:
    try:
        return bytes(image.read(offset, length))
    except rbd.Error as error:
        number = abs(error.errno or 0) or EIO
        raise MigrationError(
            number,
            f"{('The source', 'The target')[side]} could not be read at {offset} "
            f"({errno_name(number)}), so it is not known whether they differ.",
        ) from error


def _take(
    view: Compared, waiting: deque[tuple[int, int, Future[bytes], Future[bytes]]]
) -> Compared:
    offset, length, left, right = waiting.popleft()
    ours, theirs = left.result(), right.result()
    if ours != theirs:
        view = with_differences(view, differing(ours, theirs, offset))
    fault_point("verify.piece", view.name)
    digest = hashlib.sha256(bytes.fromhex(view.digest))
    digest.update(offset.to_bytes(8, "big"))
    digest.update(ours)
    return replace(
        view,
        position=offset + length,
        bytes=view.bytes + length,
        extents=view.extents + 1,
        digest=digest.hexdigest(),
    )
