"""Writing the target of a copy: an ordinary RBD image that nobody uses yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EBUSY, EROFS
from typing import Any

import rados
import rbd

from ...cluster import headers
from ...control.mover.history import View
from ...control.mover.pieces import ExtentList
from ...faults import fault_point
from ...model.errors import MigrationError
from ...model.layout import FEATURES
from ...model.migration import Place
from ..removal import complete_removals
from .candidates import exact_extents
from .ends import ReadDone, WriteDone
from .rbd_reader import SKIP_QUIESCE, begin_read


def _told(done: WriteDone) -> Any:
    def on_written(completion: Any) -> None:
        done(max(0, -int(completion.get_return_value())))

    return on_written


class ImageWriter:
    """An open image. Holes are written with ``write_zeroes``: librbd ignores smaller discards than
    ``rbd_discard_granularity_bytes``."""

    def __init__(self, image: rbd.Image) -> None:
        self.image = image
        self.object_size = 1 << int(image.stat()["order"])

    def snapshots(self) -> list[View]:
        """Its snapshots, the oldest first."""
        found = [
            View(
                id=int(snapshot["id"]),
                name=str(snapshot["name"]),
                size=int(snapshot["size"]),
                protected=bool(self.image.is_protected_snap(snapshot["name"])),
            )
            for snapshot in list(self.image.list_snaps())
        ]
        return sorted(found, key=lambda view: view.id)

    def resize(self, size: int) -> None:
        """Make the head ``size`` bytes long."""
        if int(self.image.size()) != size:
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
        self.image.flush()

    def take_snapshot(self, view: View) -> None:
        """Give the target the snapshot of ``view``."""
        fault_point("mover.before", "snapshot")
        self.image.create_snap(view.name, **SKIP_QUIESCE)
        fault_point("mover.after", "snapshot")

    def protect(self, snapshot: View, protected: bool) -> None:
        """Protect a snapshot of its own, or unprotect it."""
        change = self.image.protect_snap if protected else self.image.unprotect_snap
        change(snapshot.name)

    def rename(self, snapshot: View, name: str) -> None:
        """Rename a snapshot of its own."""
        self.image.rename_snap(snapshot.name, name)

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
        there = dict(self.image.metadata_list())
        for key in there:
            if key not in wanted and key not in headers.OWN_KEYS:
                self.image.metadata_remove(key)
        for key, value in wanted.items():
            if there.get(key) != value:
                self.image.metadata_set(key, value)

    def limit_snapshots(self, limit: int) -> None:
        """Give the image this limit of snapshots."""
        if int(self.image.get_snap_limit()) != limit:
            self.image.set_snap_limit(limit)

    def save_mark(self, text: str) -> None:
        """Keep the copy mark."""
        self.image.metadata_set(headers.COPY_KEY, text)


@contextmanager
def open_writer(ioctx: rados.Ioctx, target: Place) -> Iterator[ImageWriter]:
    """Open the target for writing; with the feature exclusive-lock nobody else can meanwhile.

    Raises MigrationError(EBUSY) when a client has the lock.
    """
    with rbd.Image(ioctx, image_id=target.image_id) as image:
        if int(image.features()) & FEATURES["exclusive-lock"]:
            try:
                image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
            except rbd.Error as error:
                if abs(error.errno or 0) not in (EBUSY, EROFS):
                    raise
                raise MigrationError(
                    EBUSY,
                    f"A client has the target {target.spec} open for writing, which is not "
                    f"complete yet; `rbd status {target.spec}` names it. Stop it: the copy goes on "
                    "then.",
                ) from error
        yield ImageWriter(image)
