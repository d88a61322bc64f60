"""The beginning of a first round: copied from the head while the monitors number its snapshot.

Nobody has the image open, and we have its exclusive lock, so the snapshot will hold what the head
holds now. A client that comes meanwhile gets the lock when it asks for it, which changes the
image's header. Then nothing of this counts: the snapshot is taken as any other, and what was copied
is compared with it. The same happens where the worker is killed before it has taken the snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from errno import EBUSY, EROFS, ESTALE
from typing import Optional

import rados
import rbd

from ...cluster import headers
from ...control.mover.history import NextCopy, View
from ...control.mover.pieces import Extent, ExtentList
from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.jobs.protocol import Tell
from ...model.migration import Place
from ..mover.candidates import exact_extents, existing, maps_hold, spans
from ..mover.copy import ViewCopy
from ..mover.ends import ReadDone
from ..mover.image_writer import ImageWriter
from ..mover.progress import CopiedSoFar
from ..mover.rbd_reader import begin_read, grain_of
from ..session import Session
from ..snapshot_numbers import ReservedNumber
from ..users import other_writers
from .round_snapshots import next_name, take_numbered

_STEP = 16 << 20  # bytes of the disk that are looked at together


def may_be_early(
    session: Session, place: Place, ioctx: rados.Ioctx, image: rbd.Image, mark: CopyMark
) -> bool:
    """Whether the first round of an open image may begin before it has its snapshot.

    The image has a lock and usable object maps, no snapshots, no parent and no other users, and
    its target is empty.
    """
    fresh = mark.base is None and mark.view is None and not mark.mixed
    if not fresh or not maps_hold(ioctx, image, place.image_id, []):
        return False
    if list(image.list_snaps()) or headers.parent(ioctx, place.image_id) is not None:
        return False
    return not other_writers(ioctx, image, session.clients_of(place))


class HeadUntilNumbered:
    """The head of an image as the end of a copy to read from, until ``numbering`` is done."""

    tells_all = False

    def __init__(
        self, image: rbd.Image, there: ExtentList, numbering: Future[ReservedNumber]
    ) -> None:
        """``there``: the objects that may hold data."""
        self._image = image
        self._numbering = numbering
        self._where = spans(image, [there])
        self.grain = grain_of(image)

    def changes(self, base: Optional[View], offset: int, length: int) -> Iterable[Extent]:
        """What holds data; nothing more once there is a number."""
        for begin, size in self._where.within(offset, length):
            for at in range(begin, begin + size, _STEP):
                part = min(_STEP, begin + size - at)
                for extent in exact_extents(self._image, None, at, part, parent=False):
                    if self._numbering.done():
                        return
                    yield extent

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read."""
        begin_read(self._image, offset, length, done)


class EarlyCopy:
    """Copies from ``image``, which is at ``place``, to ``writer``."""

    def __init__(
        self,
        *,
        session: Session,
        migration: str,
        place: Place,
        ioctx: rados.Ioctx,
        image: rbd.Image,
        writer: ImageWriter,
        tell: Tell,
    ) -> None:
        self._session = session
        self._migration = migration
        self._place = place
        self._ioctx = ioctx
        self._image = image
        self._writer = writer
        self._tell = tell

    def run(self, mark: CopyMark) -> CopyMark:
        """The mark, which says how much of the new snapshot is on the target.

        Where a client came it says that what the target holds is not known. Raises MigrationError,
        CopyFailed, and what RADOS and librbd raise.
        """
        unused = True
        with ThreadPoolExecutor(1) as pool:
            numbering = pool.submit(self._number)  # first, with that of the target's snapshot
            try:
                version = self._locked()
                if version is None:
                    return mark
                there = existing(self._image, parent=False)
                mark = replace(mark, total=sum(extent.length for extent in there))
                mixed = replace(mark, mixed=True)
                self._save(mixed)
                copied = self._copied(mark, there, numbering)
                number = numbering.result().number
                self._save(replace(mixed, reserved=(number, 0)))
                unused = False  # a snapshot may have it from here on, whatever goes wrong
                taken = self._take(number, version)
            finally:
                if unused and numbering.exception() is None:
                    numbering.result().give_back()
        return replace(copied, view=number, until=number, mixed=False) if taken else mixed

    def _locked(self) -> Optional[int]:
        """Take the lock, as any change of the image does; the version of the header then.

        None: a client was faster.
        """
        image, ioctx, ident = self._image, self._ioctx, self._place.image_id
        try:
            image.set_snap_limit(image.get_snap_limit())
        except rbd.Error as error:
            if abs(error.errno or 0) not in (EBUSY, EROFS):
                raise
            return None
        version = headers.version(ioctx, ident)
        ours = self._session.clients_of(self._place)
        holder = headers.lock_holder(ioctx, ident)
        locked = holder is not None and holder.client in ours
        return version if locked and not other_writers(ioctx, image, ours) else None

    def _number(self) -> ReservedNumber:
        fault_point("early.before", "number")
        return self._session.numbers_of(self._place).reserve_for(self._ioctx, self._place.image_id)

    def _copied(
        self, mark: CopyMark, there: ExtentList, numbering: Future[ReservedNumber]
    ) -> CopyMark:
        """Copy from the beginning until the number is there. The mark then."""
        size = int(self._image.size())
        told = CopiedSoFar(
            tell=self._tell, total=mark.total or 0, object_size=self._writer.object_size
        )
        self._writer.resize(size)
        copy = ViewCopy(
            writer=self._writer,
            pace=self._session.pace,
            found=NextCopy(View(0, "", size), None, False, mark),
            save=_not_saved,
            progress=told,
        )
        return copy.run(HeadUntilNumbered(self._image, there, numbering))

    def _take(self, number: int, version: int) -> bool:
        """Take the snapshot; False where the header was written since it had this version."""
        name = next_name([], self._migration)
        try:
            take_numbered(self._ioctx, self._place, number, name, version=version)
        except MigrationError as error:
            if error.errno not in (EBUSY, ESTALE):
                raise
            return False
        # While librbd has not read the header again it would never release the lock (16.2.15).
        list(self._image.list_snaps())
        if self._image.is_exclusive_lock_owner():
            self._image.lock_release()  # librbd reads the object map again when it takes it
        return True

    def _save(self, mark: CopyMark) -> None:
        fault_point("mover.before", "mark")
        self._writer.save_mark(mark.to_json())
        fault_point("mover.after", "mark")


def _not_saved(mark: CopyMark) -> None:
    """A copy that is cut off here is compared."""
