"""The source of a verification, read object by object, without librbd's object maps.

An object map that is wrong makes librbd take an object for missing: it is neither copied nor
compared, and reads as zeros. So where maps are not to be trusted each object of a view is read from
RADOS itself. What is not there is read by librbd, which asks the parent if there is one.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Optional

from ...control.objects.extents import ExtentSet
from ..image_objects import data_objects, striping_of
from ..session import Session
from .compare import ImageReader


class PlainView:
    """A snapshot, or the head, of an image. Thread-safe."""

    in_order = False

    def __init__(self, session: Session, side: ImageReader, snapshot: Optional[str]) -> None:
        with ExitStack() as stack:
            self._image = stack.enter_context(side.open(snapshot))
            self._striping = striping_of(self._image)
            number = None if snapshot is None else int(self._image.snap_get_id(snapshot))
            self._objects = data_objects(session, side.ioctx, self._image, number)
            stack.callback(self._objects.close)
            self._opened = stack.pop_all()

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._opened.close()

    def size(self) -> int:
        """Bytes."""
        return int(self._image.size())

    def allocated(self) -> ExtentSet:
        """All of it: which objects exist is not known before they are read."""
        extents = ExtentSet()
        extents.add(0, self.size())
        return extents

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the view."""
        pieces = []
        for number, within, count in self._striping.pieces(offset, length):
            found = self._objects.read_part(number, within, count)
            if found is None:
                found = bytes(self._image.read(offset, count))
            pieces.append(found)
            offset += count
        return b"".join(pieces)


class PlainSide:
    """An image whose object maps are not trusted."""

    def __init__(self, session: Session, side: ImageReader) -> None:
        self._session = session
        self._librbd = side

    def open(self, snapshot: Optional[str]) -> PlainView:
        """A snapshot, or the head (None)."""
        return PlainView(self._session, self._librbd, snapshot)

    def snapshots(self) -> list[str]:
        """The names of the image's snapshots, the oldest first."""
        return self._librbd.snapshots()

    def changed_since(self, comparison_snapshot: str) -> str:
        """Whether somebody wrote to it after the comparison snapshot, and before the link."""
        return self._librbd.changed_since(comparison_snapshot)
