"""The copy of a disk with its snapshots, from where it was cut off to its end.

Every snapshot is copied into the target's head, the oldest first, and then made a snapshot of the
target. At every moment the target's snapshots and the copy mark tell what is complete; what is
repeated after a crash writes the same bytes again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from errno import ENOENT, EUCLEAN

from ...control.mover.history import NextCopy, View, next_copy
from ...control.mover.pieces import Extent, piece_size, pieces, with_holes
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.verification import POINT_PREFIX
from ..copy.throttle import CopyThrottle
from .ends import OpenView, Reader, Writer
from .piece_copy import PieceCopy
from .requests import Requests

_SPAN = 4 << 30  # bytes of the disk whose extents are kept at a time
_SAVED = 1.0  # seconds between two marks: what is copied again after a pause


class SnapshotGone(Exception):
    """A snapshot was removed while it was read: what was read of it since may be zeros."""


class DiskCopy:
    """Copies from ``reader`` to ``writer``; ``pace`` is charged for each piece before it is read.

    ``progress`` is told the bytes that have been copied, now and then. ``name`` is the source, for
    people. ``follow``: snapshots that are renamed, protected, unprotected or removed after they
    were copied are so on the target too.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        pace: CopyThrottle,
        progress: Callable[[int], None],
        name: str,
        follow: bool = False,
    ) -> None:
        self._follow = follow
        self._reader = reader
        self._writer = writer
        self._pace = pace
        self._progress = progress
        self._name = name

    def run(self, mark: CopyMark) -> CopyMark:
        """Go on from ``mark`` until all is on the target; the mark at the end.

        Raises MigrationError, CopyFailed, and what reader and writer raise.
        """
        while True:
            views = self._views(mark.until)
            mark = self._completed(mark)
            mark = self._alike(mark, views)
            found = next_copy(views, mark)
            if found is None:
                return mark
            mark = self._saved(found.mark)
            try:
                mark = self._copy(found)
            except SnapshotGone:
                continue  # what was read since the mark was saved does not count
            mark = self._with_snapshot(found.view, mark)

    def _with_snapshot(self, view: View, mark: CopyMark) -> CopyMark:
        """Give the target the snapshot of ``view``. The mark then."""
        number = self._writer.reserved_number()
        if number is None:
            self._writer.take_snapshot(view)
            return mark  # it is completed once the snapshot is found there
        mark = self._saved(replace(mark, reserved=(0, number)))
        done = mark.completed(number)
        self._writer.take_numbered(view, number, done.to_json())
        return done

    def _views(self, until: int) -> list[View]:
        views = self._reader.views()
        if all(view.id != until for view in views):
            raise MigrationError(
                ENOENT,
                f"The snapshot {self._name} was removed before it was copied; abort this "
                "migration, and begin another one from a snapshot that stays.",
            )
        return views

    def _completed(self, mark: CopyMark) -> CopyMark:
        """The mark, once it says that the last snapshot which the target has got is complete."""
        if mark.removing is not None:
            self._writer.complete_removals()
            mark = self._removed(mark, mark.removing)
        there = [snapshot.id for snapshot in self._writer.snapshots()]
        added = [ident for ident in there if ident not in mark.targets]
        if len(there) != len(mark.targets) + len(added) or len(added) > 1:
            raise self._tampered()
        if not added:
            return mark
        if mark.view is None:
            raise self._tampered()
        return self._saved(mark.completed(added[0]))

    def _tampered(self) -> MigrationError:
        return MigrationError(
            EUCLEAN,
            f"Somebody made or removed snapshots of the target of {self._name}, which is not "
            "complete yet; abort this migration, and begin another one.",
        )

    def _alike(self, mark: CopyMark, views: Iterable[View]) -> CopyMark:
        """Give the snapshots of the target the names and the protection that the source's have.

        Without ``follow`` only those that were copied just now can differ, in their protection.
        """
        now = {view.id: view for view in views}
        for snapshot in self._writer.snapshots():
            if self._follow and mark.source_of(snapshot.id) not in now:
                mark = self._dropped(mark, snapshot)
        renamed = False
        for snapshot in self._writer.snapshots():
            source = now.get(mark.source_of(snapshot.id))
            if source is None:
                continue
            if source.protected != snapshot.protected and (self._follow or source.protected):
                self._writer.protect(snapshot, source.protected)
            if self._follow and source.name != snapshot.name:
                renamed = True  # not to its name at once: another one may have that still
                between = f"{POINT_PREFIX}renamed.{source.id}"
                if snapshot.name != between:
                    self._writer.rename(snapshot, between)
        for snapshot in self._writer.snapshots() if renamed else ():
            source = now.get(mark.source_of(snapshot.id))
            if source is not None and source.name != snapshot.name:
                self._writer.rename(snapshot, source.name)
        return mark

    def _dropped(self, mark: CopyMark, snapshot: View) -> CopyMark:
        """The mark when a snapshot that the source has no more is removed."""
        if snapshot.protected:
            self._writer.protect(snapshot, False)
        return self._removed(self._saved(replace(mark, removing=snapshot.id)), snapshot.id)

    def _removed(self, mark: CopyMark, ident: int) -> CopyMark:
        for snapshot in self._writer.snapshots():
            if snapshot.id == ident:
                self._writer.remove(snapshot)
        return self._saved(mark.without(ident))

    def _saved(self, mark: CopyMark) -> CopyMark:
        fault_point("mover.before", "mark")
        self._writer.save_mark(mark.to_json())
        fault_point("mover.after", "mark")
        return mark

    def _copy(self, found: NextCopy) -> CopyMark:
        """Make the target's head what the view is. Raises SnapshotGone."""
        kept = [view for view in (found.view, found.base) if view is not None]

        def save(mark: CopyMark) -> None:
            self._require(kept)
            self._saved(mark)

        self._writer.resize(found.view.size)
        copy = ViewCopy(
            writer=self._writer, pace=self._pace, found=found, save=save, progress=self._progress
        )
        try:
            with self._reader.open(found.view) as view:
                mark = copy.run(view)
        except Exception:
            self._require(kept)  # what failed may be that a snapshot is gone
            raise
        self._writer.flush()
        self._require(kept)
        return mark

    def _require(self, views: Iterable[View]) -> None:
        if not self._reader.has(views):
            raise SnapshotGone


class ViewCopy:
    """Copies one view, piece by piece. ``save`` gets the mark about once a second."""

    def __init__(
        self,
        *,
        writer: Writer,
        pace: CopyThrottle,
        found: NextCopy,
        save: Callable[[CopyMark], None],
        progress: Callable[[int], None],
    ) -> None:
        self._writer = writer
        self._pace = pace
        self._found = found
        self._save = save
        self._progress = progress
        self._requests = Requests(found.mark.position)
        self._saved_at = time.monotonic()

    def run(self, view: OpenView) -> CopyMark:
        """Copy from the mark's position to the end; the mark then. Raises CopyFailed."""
        size, offset = self._found.view.size, self._found.mark.position
        try:
            while offset < size:
                length = min(_SPAN - offset % _SPAN, size - offset)
                self._span(view, self._extents(view, offset, length))
                offset += length
        finally:
            self._requests.drain()  # before the view is closed, whatever happened
        self._requests.require_done()
        return self._mark()

    def _span(self, view: OpenView, extents: Iterable[Extent]) -> None:
        for piece in pieces(extents, piece_size(self._writer.object_size)):
            self._pace.wait(piece.length if piece.data else 0, patient=True)
            self._requests.begin(piece)
            PieceCopy(
                view=view,
                writer=self._writer,
                piece=piece,
                requests=self._requests,
                onto_nothing=self._found.onto_nothing,
                compare=self._found.compare,
                grain=view.grain,
            ).begin()
            fault_point("mover.piece", self._found.view.name)
            self._tell()
        self._tell()

    def _extents(self, view: OpenView, offset: int, length: int) -> Iterable[Extent]:
        changed = view.changes(self._found.base, offset, length)
        if not self._found.compare or self._found.base is not None or view.tells_all:
            return changed
        return with_holes(changed, self._writer.allocated(offset, length))

    def _mark(self) -> CopyMark:
        before = self._found.mark
        position, copied = self._requests.reached()
        return replace(before, position=position, bytes=before.bytes + copied)

    def _tell(self) -> None:
        mark = self._mark()
        self._progress(mark.bytes)
        now = time.monotonic()
        if now - self._saved_at >= _SAVED:
            self._saved_at = now
            self._save(mark)
