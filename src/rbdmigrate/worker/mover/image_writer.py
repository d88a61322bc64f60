"""Writing the target of a copy: an ordinary RBD image that nobody uses yet."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from errno import EBUSY, EROFS
from typing import Any, Optional

import rados
import rbd

from ...cluster import headers, reserved_snapshots
from ...control.mover.history import View
from ...control.mover.pieces import ExtentList
from ...faults import fault_point
from ...model.errors import MigrationError
from ...model.layout import FEATURES
from ...model.migration import Place
from ..removal import complete_removals
from ..snapshot_numbers import ReservedNumber, SnapshotNumbers
from ..thread_state import keep_thread_state
from .candidates import exact_extents
from .ends import ReadDone, WriteDone
from .rbd_reader import SKIP_QUIESCE, begin_read


def _told(done: WriteDone) -> Any:
    def on_written(completion: Any) -> None:
        keep_thread_state()
        done(max(0, -int(completion.get_return_value())))

    return on_written


class ImageWriter:
    """An open image. Holes are written with ``write_zeroes``: librbd ignores smaller discards than
    ``rbd_discard_granularity_bytes``."""

    def __init__(self, image: rbd.Image, ioctx: rados.Ioctx, place: Place) -> None:
        self.object_size = 1 << int(image.stat()["order"])
        self._opened = image
        self._ioctx, self._place = ioctx, place
        self._numbering: Optional[Future[ReservedNumber]] = None
        self._stale = False  # librbd's object map in memory is not the one in RADOS any more

    @property
    def image(self) -> rbd.Image:
        """The image, with the object map that it has."""
        self.reload()
        return self._opened

    def reload(self) -> None:
        """Have librbd read the object map again, if it has changed. Takes some milliseconds.

        librbd reads it when it takes the lock. Raises MigrationError as :func:`open_writer`.
        """
        if self._stale:
            if int(self._opened.features()) & FEATURES["object-map"]:
                self._opened.lock_release()
                _lock(self._opened, self._place)
            self._stale = False

    def size(self) -> int:
        """The size of the head in bytes."""
        return int(self._opened.size())

    def snapshots(self) -> list[View]:
        """Its snapshots, the oldest first."""
        found = [
            View(
                id=int(snapshot["id"]),
                name=str(snapshot["name"]),
                size=int(snapshot["size"]),
                protected=bool(self._opened.is_protected_snap(snapshot["name"])),
            )
            for snapshot in list(self._opened.list_snaps())
        ]
        return sorted(found, key=lambda view: view.id)

    def resize(self, size: int) -> None:
        """Make the head ``size`` bytes long; every copy of a snapshot begins with it."""
        self.reload()  # here, since requests are made by threads of librbd, too
        if self.size() != size:
            self.image.resize(size)

    def allocated(self, offset: int, length: int) -> ExtentList:
        """What of the head may hold anything but zeros."""
        return exact_extents(self.image, None, offset, length, parent=True)

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read from the head."""
        begin_read(self.image, offset, length, done)

    def write(self, offset: int, content: bytes, done: WriteDone) -> None:
        """Begin to write to the head."""
        self.image.aio_write(content, offset, _told(done))

    def write_zeroes(self, offset: int, length: int, done: WriteDone) -> None:
        """Begin to make a part of the head read as zeros; whole objects of it are removed."""
        self.image.aio_write_zeroes(offset, length, _told(done))

    def flush(self) -> None:
        """Return when all that was written is safe."""
        self._opened.flush()

    def take_snapshot(self, view: View) -> None:
        """Give the target the snapshot of ``view``."""
        fault_point("mover.before", "snapshot")
        self.image.create_snap(view.name, **SKIP_QUIESCE)
        fault_point("mover.after", "snapshot")

    @contextmanager
    def numbering(self, numbers: SnapshotNumbers) -> Iterator[None]:
        """Have the monitors reserve the number of the next snapshot while the block runs.

        A number that is not used is given back. Not for an image with a journal, where librbd takes
        snapshots, so that they are in the journal.
        """
        if int(self._opened.features()) & FEATURES["journaling"]:
            yield
            return
        with ThreadPoolExecutor(1) as pool:
            ident = self._place.image_id
            self._numbering = pool.submit(numbers.reserve_for, self._ioctx, ident)
            try:
                yield
            finally:
                left, self._numbering = self._numbering, None
                if left is not None and left.exception() is None:
                    left.result().give_back()

    def reserved_number(self) -> Optional[int]:
        """The number for :meth:`take_numbered`; None: use :meth:`take_snapshot`.

        Waits for the monitors, which were asked before.
        """
        return None if self._numbering is None else self._numbering.result().number

    def take_numbered(self, view: View, number: int, mark: str) -> None:
        """Give the target the snapshot of ``view`` with this number, and the copy mark with it."""
        ioctx, ident = self._ioctx, self._place.image_id
        self._numbering, self._stale = None, True
        fault_point("mover.before", "snapshot")
        reserved_snapshots.take(ioctx, ident, number, view.name, {headers.COPY_KEY: mark})
        fault_point("mover.after", "snapshot")
        reserved_snapshots.tell_clients(ioctx, ident)

    def protect(self, snapshot: View, protected: bool) -> None:
        """Protect a snapshot of its own, or unprotect it."""
        change = self._opened.protect_snap if protected else self._opened.unprotect_snap
        change(snapshot.name)

    def rename(self, snapshot: View, name: str) -> None:
        """Rename a snapshot of its own."""
        self._opened.rename_snap(snapshot.name, name)

    def remove(self, snapshot: View) -> None:
        """Remove a snapshot of its own, which is not protected."""
        fault_point("mover.before", "remove")
        self.image.remove_snap(snapshot.name)
        fault_point("mover.after", "remove")

    def complete_removals(self) -> None:
        """Complete the removal of snapshots of its own that was cut off."""
        complete_removals(self.image)

    def set_metadata(self, wanted: dict[str, str]) -> None:
        """Give the image this metadata, but for the keys of this module."""
        there = dict(self._opened.metadata_list())
        for key in there:
            if key not in wanted and key not in headers.OWN_KEYS:
                self._opened.metadata_remove(key)
        for key, value in wanted.items():
            if there.get(key) != value:
                self._opened.metadata_set(key, value)

    def limit_snapshots(self, limit: int) -> None:
        """Give the image this limit of snapshots."""
        if int(self._opened.get_snap_limit()) != limit:
            self._opened.set_snap_limit(limit)

    def save_mark(self, text: str) -> None:
        """Keep the copy mark."""
        self._opened.metadata_set(headers.COPY_KEY, text)


@contextmanager
def open_writer(ioctx: rados.Ioctx, target: Place) -> Iterator[ImageWriter]:
    """Open the target for writing; with the feature exclusive-lock nobody else can meanwhile.

    Raises MigrationError(EBUSY) when a client has the lock.
    """
    with rbd.Image(ioctx, image_id=target.image_id) as image:
        if int(image.features()) & FEATURES["exclusive-lock"]:
            _lock(image, target)
        yield ImageWriter(image, ioctx, target)


def _lock(image: rbd.Image, target: Place) -> None:
    try:
        image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
    except rbd.Error as error:
        if abs(error.errno or 0) not in (EBUSY, EROFS):
            raise
        raise MigrationError(
            EBUSY,
            f"A client has the target {target.spec} open for writing, which is not complete yet; "
            f"`rbd status {target.spec}` names it. Stop it: the copy goes on then.",
        ) from error
