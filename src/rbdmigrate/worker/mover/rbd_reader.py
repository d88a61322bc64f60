"""Reading an RBD image with its snapshots, with many requests at once.

Differences are exact ones, for which librbd asks the OSDs about the snapshots of each object:
object maps miss changes after a rollback (:mod:`..verify.extents`). What a single snapshot holds
they do know, so that holes of a large image need not be looked at object by object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EIO
from typing import Any, Optional

import rados
import rbd

from ...cluster import headers
from ...cluster.image_snapshots import has_snapshot
from ...control.mover.history import View
from ...control.mover.pieces import ExtentList, joined
from ..copy.estimate import changed
from ..verify.image_views import open_view
from ..verify.object_map import usable
from .ends import ReadDone

# Clients' quiesce hooks are for snapshots of users; ours need no file system at rest.
SKIP_QUIESCE = {"flags": rbd.RBD_SNAP_CREATE_SKIP_QUIESCE}
_GAP = 16  # objects; an exact look at that many holes costs less than a call


def begin_read(image: rbd.Image, offset: int, length: int, done: ReadDone) -> None:
    """Begin to read from an open image."""

    def on_read(completion: Any, content: Optional[bytes]) -> None:
        result = int(completion.get_return_value())
        if result < 0 or content is None:
            done(-result or EIO, b"")
        else:
            done(0, content)

    image.aio_read(offset, length, on_read)


def exact_extents(
    image: rbd.Image, before: Optional[str], offset: int, length: int, *, parent: bool
) -> ExtentList:
    """What differs exactly from the snapshot ``before`` (None: what holds data), in this span."""
    found = ExtentList()
    if length:  # librbd ends the process when asked for nothing
        image.diff_iterate(
            offset, length, before, found.add, include_parent=parent, whole_object=False
        )
    return found


class RbdView:
    """A snapshot of an image, open."""

    def __init__(self, image: rbd.Image, *, trust_map: bool) -> None:
        self._image = image
        self._trust_map = trust_map
        self._names = {
            int(s["id"]): str(s["name"])
            for s in image.list_snaps()
            if s["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER  # it changes first at a removal
        }
        self._gap = _GAP << int(image.stat()["order"])
        self._objects: Optional[ExtentList] = None

    def changes(self, base: Optional[View], offset: int, length: int) -> ExtentList:
        """What differs from ``base``, or holds data, in this span."""
        if base is not None:
            name = self._names.get(base.id)  # None: it was removed, and nothing of this counts
            return exact_extents(self._image, name, offset, length, parent=False)
        if not self._trust_map:
            return exact_extents(self._image, None, offset, length, parent=True)
        found = ExtentList()
        for begin, size in joined(self._candidates(), self._gap):
            start, stop = max(begin, offset), min(begin + size, offset + length)
            if start < stop:
                for extent in exact_extents(self._image, None, start, stop - start, parent=True):
                    found.add(*extent)
        return found

    def _candidates(self) -> ExtentList:
        """The objects that may hold data, by the object map, which is read once."""
        if self._objects is None:
            self._objects = ExtentList()
            size = int(self._image.size())
            if size:  # librbd ends the process when asked for nothing
                self._image.diff_iterate(
                    0, size, None, self._objects.add, include_parent=True, whole_object=True
                )
        return self._objects

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read."""
        begin_read(self._image, offset, length, done)


class RbdReader:
    """An image by its id."""

    def __init__(self, ioctx: rados.Ioctx, ident: str) -> None:
        self._ioctx = ioctx
        self._ident = ident

    def views(self) -> list[View]:
        """The snapshots of users, the oldest first."""
        with open_view(self._ioctx, self._ident, None) as image:
            found = []
            for snapshot in list(image.list_snaps()):
                if snapshot["namespace"] != rbd.RBD_SNAP_NAMESPACE_TYPE_USER:
                    continue
                with suppress(rbd.ImageNotFound):  # it was removed just now
                    found.append(_view(image, snapshot))
        return sorted(found, key=lambda view: view.id)

    def metadata(self) -> dict[str, str]:
        """Its image metadata, without those of this module."""
        with open_view(self._ioctx, self._ident, None) as image:
            return metadata_of_users(image)

    def estimate(self, views: Iterable[View]) -> int:
        """Bytes that a copy of ``views`` would read, about: object maps may miss changes."""
        total = 0
        base: Optional[View] = None
        with open_view(self._ioctx, self._ident, None) as image:
            for view in views:
                alone = base is None or base.parent or view.parent
                before = None if alone or base is None else base.name
                with suppress(rbd.ImageNotFound):  # one of both was removed just now
                    image.set_snap_by_id(view.id)
                    total += sum(length for _, length in changed(image, before, before is None))
                base = view
        return total

    @contextmanager
    def open(self, view: View) -> Iterator[RbdView]:
        """Open a snapshot, which is found by its number."""
        with open_view(self._ioctx, self._ident, None) as image:
            trust_map = usable(image)
            image.set_snap_by_id(view.id)
            yield RbdView(image, trust_map=trust_map)

    def has(self, views: Iterable[View]) -> bool:
        """Whether the header still lists all of them."""
        return all(has_snapshot(self._ioctx, self._ident, view.id) for view in views)


def metadata_of_users(image: rbd.Image) -> dict[str, str]:
    """The metadata of an open image, without those of this module."""
    listed = dict(image.metadata_list())
    return {key: value for key, value in listed.items() if key not in headers.OWN_KEYS}


def _view(image: rbd.Image, snapshot: dict[str, Any]) -> View:
    """A snapshot; the image is set to it. Raises ``rbd.ImageNotFound``."""
    name = str(snapshot["name"])
    image.set_snap_by_id(int(snapshot["id"]))
    return View(
        id=int(snapshot["id"]),
        name=name,
        size=int(snapshot["size"]),
        protected=bool(image.is_protected_snap(name)),
        parent=_overlap(image) > 0,
    )


def _overlap(image: rbd.Image) -> int:
    """Bytes of the view that is open which may come from a parent."""
    try:
        return int(image.overlap())
    except rbd.ImageNotFound:
        return 0
