"""The last difference of a cutover, where it is a simple one: as fast as can be.

The snapshot of the cutover takes longer than all else, because the monitors give it its number. So
``old`` gets its own while what changed is copied from the head, which nobody else can write to, and
``new`` gets its own in the same moment, so that the monitors number both at once. The copy mark
says meanwhile that the head of ``new`` holds a snapshot without a number
(:data:`~rbdmigrate.model.copy_mark.UNNAMED`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from typing import Optional

import rbd

from ...cluster import headers
from ...control.cutover.steps import Steps
from ...control.mover.history import NextCopy, View
from ...control.mover.pieces import Extent, ExtentList
from ...model.copy_mark import UNNAMED, CopyMark
from ...model.jobs.protocol import Tell
from ..mover.candidates import everything, exact_within, flattened, since
from ..mover.copy import ViewCopy
from ..mover.ends import ReadDone
from ..mover.marks import read_mark
from ..mover.progress import CopiedSoFar
from ..mover.rbd_reader import begin_read, metadata_of_users
from ..session import Session
from .open_ends import OpenEnds
from .rounds import Round, next_name, older_than, own_snapshots, take_snapshot


class HeadOf:
    """The head of an image that nobody else can write to, as the end of a copy to read from."""

    def __init__(self, image: rbd.Image, changed: ExtentList) -> None:
        self._image = image
        self._changed = changed

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
        self._doubt = doubt

    def since(self, ident: int, name: str, varied: Optional[tuple[int, ...]]) -> ExtentList:
        """The difference of the head to the snapshot; ``varied`` as in the copy mark."""
        image, ioctx = self._ends.old, self._ends.old_ioctx
        size = int(image.size())
        if self._doubt:
            where = everything(size)
        else:
            where = since(ioctx, image, self._ends.places[0].image_id, ident, varied)
        return exact_within(image, name, where, parent=False)


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
        if mark.view is not None or mark.mixed or mark.removing is not None:
            return None
        snapshots = _of_users(self._ends.old)
        base = next((view for view in snapshots if view.id == mark.base), None)
        if base is None or base != snapshots[-1] or self._had_parent(base):
            return None
        copies = self._ends.writer.snapshots()
        there = {mark.source_of(copy.id): copy for copy in copies if copy.id in mark.targets}
        now = {view.id: view for view in snapshots}
        if len(there) != len(copies) or set(there) != set(now):
            return None
        same = all(
            (there[ident].name, there[ident].protected) == (view.name, view.protected)
            for ident, view in now.items()
        )
        return (mark, base) if same else None

    def _had_parent(self, base: View) -> bool:
        """Whether the head, or the base, may read from a parent."""
        ident = self._ends.places[0].image_id
        with suppress(rbd.ImageNotFound):
            if int(self._ends.old.overlap()):
                return True
        return headers.parent_overlap(self._ends.old_ioctx, ident, base.id) > 0

    def copy(self, mark: CopyMark, base: View) -> Round:
        """Copy it; both have the snapshot of the cutover then.

        Raises MigrationError, CopyFailed, and librbd's errors.
        """
        begun, at = time.monotonic(), time.time()
        ends, writer = self._ends, self._ends.writer
        name = next_name(own_snapshots(ends.old, self._migration), self._migration)
        numbered = self._pool.submit(self._take_old, name)
        try:
            size = int(ends.old.size())
            changed = self._changes.since(base.id, base.name, mark.varied)
            self._steps.end("difference")
            writer.save_mark(replace(mark, view=UNNAMED).to_json())
            copied = self._copied(mark, View(UNNAMED, name, size), base, changed)
            writer.flush()
            self._steps.end("copy")
            writer.take_snapshot(View(UNNAMED, name, size))
            self._steps.end("snapshot of new")
            writer.set_metadata(metadata_of_users(ends.old))
        finally:
            numbered.exception()  # it ends before anything else is done
        ident, older = numbered.result()
        target = next(view.id for view in writer.snapshots() if view.name == name)
        done = replace(mark, until=ident, view=ident, bytes=mark.bytes + copied).completed(target)
        if older == (base.id,):
            done = replace(done, varied=flattened(changed, writer.object_size))
        writer.save_mark(done.to_json())
        self._steps.end("copy mark")
        return Round(name, copied, time.monotonic() - begun, at)

    def _take_old(self, name: str) -> tuple[int, tuple[int, ...]]:
        """Take the snapshot of ``old``: its id, and the ids of older ones."""
        image = self._ends.old
        take_snapshot(image, name, self._ends.places[0])
        snapshots = list(image.list_snaps())
        self._steps.end("snapshot of old")
        ident = next(int(s["id"]) for s in snapshots if s["name"] == name)
        return ident, older_than(snapshots, ident)

    def _copied(self, mark: CopyMark, view: View, base: View, changed: ExtentList) -> int:
        """Copy what was changed; bytes."""
        writer = self._ends.writer
        writer.resize(view.size)
        total = sum(extent.length for extent in changed if extent.data)
        told = CopiedSoFar(tell=self._tell, total=total, object_size=writer.object_size)
        found = NextCopy(view, base, False, replace(mark, position=0, view=UNNAMED))
        copy = ViewCopy(
            writer=writer, pace=self._session.pace, found=found, save=_not_saved, progress=told
        )
        return copy.run(HeadOf(self._ends.old, changed)).bytes - mark.bytes


def _not_saved(mark: CopyMark) -> None:
    """A copy that is cut off is begun again: its snapshot has no number yet."""


def _of_users(image: rbd.Image) -> list[View]:
    """The snapshots that rounds copy, the oldest first; not whether they have a parent."""
    found = [
        View(
            id=int(s["id"]),
            name=str(s["name"]),
            size=int(s["size"]),
            protected=bool(image.is_protected_snap(s["name"])),
        )
        for s in list(image.list_snaps())
        if s["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER
    ]
    return sorted(found, key=lambda view: view.id)
