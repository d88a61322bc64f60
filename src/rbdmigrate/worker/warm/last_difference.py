"""The last difference of a cutover, where it is a simple one: as fast as can be.

The numbers of its snapshots were reserved before. ``old`` gets its own while what changed is copied
from the head, which nobody else can write to.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Optional

import rbd

from ...cluster import headers, surgery
from ...cluster.reserved_snapshots import take
from ...control.cutover.steps import Steps
from ...control.mover.history import NextCopy, View
from ...control.mover.pieces import Extent, ExtentList
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.jobs.protocol import Tell
from ...model.rounds import round_prefix
from ..mover.candidates import everything, exact_within, flattened, pairs, since
from ..mover.copy import ViewCopy
from ..mover.ends import ReadDone
from ..mover.marks import read_mark
from ..mover.progress import CopiedSoFar
from ..mover.rbd_reader import begin_read, grain_of, metadata_of_users
from ..session import Session
from .open_ends import OpenEnds, SnapshotIds
from .round_snapshots import next_name, older_than, own_snapshots, take_numbered
from .rounds import Round
from .unchanged import newest_if_alike, snapshots_of_users


class HeadOf:
    """The head of an image that nobody else can write to, as the end of a copy to read from."""

    tells_all = False

    def __init__(self, image: rbd.Image, changed: ExtentList) -> None:
        self._image = image
        self._changed = changed
        self.grain = grain_of(image)

    def changes(self, base: Optional[View], offset: int, length: int) -> Iterable[Extent]:
        """What was changed."""
        end = offset + length
        for extent in self._changed:
            begin, stop = max(extent.offset, offset), min(extent.end, end)
            if begin < stop:
                yield Extent(begin, stop - begin, extent.data)

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read."""
        begin_read(self._image, offset, length, done)


class Changes:
    """What of ``old`` differs from one of its snapshots, exactly, found as fast as is safe.

    ``doubt``: somebody may have written without the object maps being told.
    """

    def __init__(self, ends: OpenEnds, *, doubt: bool) -> None:
        self._ends = ends
        self.doubt = doubt

    def since(self, ident: int, name: str, varied: Optional[tuple[int, ...]]) -> ExtentList:
        """The difference of the head to the snapshot; ``varied`` as in the copy mark."""
        image, ioctx = self._ends.old, self._ends.old_ioctx
        size = int(image.size())
        if self.doubt:
            where = everything(size)
        else:
            where = since(ioctx, image, self._ends.places[0].image_id, ident, varied)
        return exact_within(image, name, where, parent=False)


@dataclass(frozen=True)
class Known:
    """What users gave an image, apart from its data."""

    snapshots: list[View]
    metadata: dict[str, str]


def known_of(image: rbd.Image, migration: str) -> Known:
    """Read it, without our own snapshots."""
    views = snapshots_of_users(image)
    own = round_prefix(migration)
    return Known([v for v in views if not v.name.startswith(own)], metadata_of_users(image))


def bring_over(ends: OpenEnds) -> None:
    """Bring what users keep with ``old``, its metadata and its limit of snapshots, to ``new``."""
    ends.writer.set_metadata(metadata_of_users(ends.old))
    ends.writer.limit_snapshots(int(ends.old.get_snap_limit()))


class LastDifference:
    """The last round, for which ``old`` is locked, and its snapshots are those of the one before.

    ``pool`` runs what takes long meanwhile.
    """

    def __init__(
        self,
        *,
        session: Session,
        migration: str,
        ends: OpenEnds,
        pool: Executor,
        changes: Changes,
        steps: Steps,
        tell: Tell,
    ) -> None:
        self._session = session
        self._migration = migration
        self._ends = ends
        self._pool = pool
        self._changes = changes
        self._steps = steps
        self._tell = tell

    def simple(self) -> Optional[tuple[CopyMark, View]]:
        """The mark, and the snapshot that both have; None: this round is not a simple one.

        It is not when snapshots of users were made, removed, renamed, protected or unprotected
        since the last round, when that was cut off, and when there is a parent.
        """
        mark = read_mark(self._ends.new_ioctx, self._ends.places[1])
        newest = newest_if_alike(self._ends, mark)
        return None if newest is None else (mark, newest)

    def copy(self, mark: CopyMark, base: View, reserving: Future[SnapshotIds]) -> Round:
        """Copy it; both have the snapshot of the cutover then.

        ``reserving``: the numbers of their snapshots. Where nothing changed they are not used, for
        both have that of the round before. Raises MigrationError, CopyFailed, and librbd's errors.
        """
        begun, at = time.monotonic(), time.time()
        ends, writer = self._ends, self._ends.writer
        name = next_name(own_snapshots(ends.old, self._migration), self._migration)
        size = int(ends.old.size())
        varied = mark.varied
        preparing = self._pool.submit(bring_over, ends)
        try:
            changed = self._changes.since(base.id, base.name, varied)
            self._steps.end("difference")
        finally:
            preparing.exception()  # it ends before anything else is done
        preparing.result()
        if not len(changed) and size == base.size == writer.size():
            return Round(base.name, 0, time.monotonic() - begun, at, unchanged=True)
        ids = reserving.result()
        mark = replace(mark, until=ids.old, view=ids.old, reserved=(ids.old, ids.new))
        writer.save_mark(mark.to_json())
        told = replace(mark, reserved=(0, ids.new))
        taken = self._pool.submit(self._take_old, ids.old, name, told)
        try:
            copied = self._copied(mark, View(ids.old, name, size), base, changed)
            writer.flush()
            self._steps.end("copy")
        finally:
            taken.exception()  # as above
        older = taken.result()
        done = replace(mark, bytes=mark.bytes + copied).completed(ids.new)
        if older == (base.id,):
            done = replace(done, varied=flattened(changed, writer.object_size))
        elif varied is not None:  # it is about all the others
            lists = (pairs(varied), list(changed))
            both = heapq.merge(*lists, key=attrgetter("offset"))
            done = replace(done, varied=flattened(both, writer.object_size))
        self._take_new(ids.new, name, done)
        return Round(name, copied, time.monotonic() - begun, at)

    def _take_old(self, snap_id: int, name: str, told: CopyMark) -> tuple[int, ...]:
        """Take the snapshot of ``old``; the ids of older ones.

        ``told``: the mark once clients know of it, so that another worker may go on with it.
        """
        ends, place = self._ends, self._ends.places[0]
        ends.used(snap_id)
        take_numbered(ends.old_ioctx, place, snap_id, name)
        surgery.set_metadata(
            ends.new_ioctx, ends.places[1].image_id, headers.COPY_KEY, told.to_json()
        )
        self._steps.end("snapshot of old")
        return older_than(list(ends.old.list_snaps()), snap_id)

    def _take_new(self, snap_id: int, name: str, mark: CopyMark) -> None:
        """Take the snapshot of ``new``; the same write to its header says that it is complete."""
        ident = self._ends.places[1].image_id
        self._ends.used(snap_id)
        fault_point("mover.before", "snapshot")
        take(self._ends.new_ioctx, ident, snap_id, name, {headers.COPY_KEY: mark.to_json()})
        fault_point("mover.after", "snapshot")
        self._steps.end("snapshot of new")

    def _copied(self, mark: CopyMark, view: View, base: View, changed: ExtentList) -> int:
        """Copy what was changed; bytes."""
        writer = self._ends.writer
        writer.resize(view.size)
        total = sum(extent.length for extent in changed if extent.data)
        told = CopiedSoFar(tell=self._tell, total=total, object_size=writer.object_size)
        found = NextCopy(view, base, False, replace(mark, position=0))
        copy = ViewCopy(
            writer=writer, pace=self._session.pace, found=found, save=_not_saved, progress=told
        )
        return copy.run(HeadOf(self._ends.old, changed)).bytes - mark.bytes


def _not_saved(mark: CopyMark) -> None:
    """A copy that is cut off is begun again: it is short."""
