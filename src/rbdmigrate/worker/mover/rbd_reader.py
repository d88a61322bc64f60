"""Reading an RBD image with its snapshots, with many requests at once.

Differences are exact ones, for which librbd asks the OSDs about the snapshots of each object:
object maps miss changes after a rollback (:mod:`..verify.extents`). What a single snapshot holds
they do know, so that what is a hole in both views need not be looked at (:mod:`.candidates`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EIO
from typing import Any, NamedTuple, Optional

import rados
import rbd

from ...cluster import headers
from ...cluster.image_snapshots import has_snapshot, of_users
from ...control.mover.history import View
from ...control.mover.pieces import GRAIN, SECTOR, Extent, ExtentList
from ...model.source_image import LUKS
from ..copy.estimate import changed
from ..thread_state import keep_thread_state
from ..verify.image_views import open_view
from ..verify.object_map import usable
from .candidates import Spans, everything, exact_extents, exact_within, existing, spans
from .ends import ReadDone

# Clients' quiesce hooks are for snapshots of users; ours need no file system at rest.
SKIP_QUIESCE = {"flags": rbd.RBD_SNAP_CREATE_SKIP_QUIESCE}


def begin_read(image: rbd.Image, offset: int, length: int, done: ReadDone) -> None:
    """Begin to read from an open image."""

    def on_read(completion: Any, content: Optional[bytes]) -> None:
        keep_thread_state()
        result = int(completion.get_return_value())
        if result < 0 or content is None:
            done(-result or EIO, b"")
        else:
            done(0, content)

    image.aio_read(offset, length, on_read)


def grain_of(image: rbd.Image) -> int:
    """Bytes of the blocks in which the zeros of an open view are told from data."""
    begin = bytes(image.read(0, min(8, int(image.size()))))
    return SECTOR if begin.startswith(LUKS) else GRAIN


class RbdView:
    """A snapshot of an image, open. ``twin`` as in :class:`RbdReader`."""

    def __init__(
        self, image: rbd.Image, view: View, *, trust_map: bool, twin: Optional[rbd.Image] = None
    ) -> None:
        self._image = image
        self._view = view
        self._trust_map = trust_map
        self._twin = twin if trust_map else None
        self.grain = grain_of(image)
        self._names = {
            int(s["id"]): str(s["name"])
            for s in image.list_snaps()
            if s["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER  # it changes first at a removal
        }
        self._spans: Optional[Spans] = None
        self.base: Optional[View] = None
        self.told = ExtentList()

    def changes(self, base: Optional[View], offset: int, length: int) -> ExtentList:
        """What differs from ``base``, or holds data, in this span. ``base`` is always the same.

        All that was told is kept in ``told``, unless a parent is involved: discards of its data
        may be in no difference, so that all is told where the views have data of their own.
        """
        parent = base is not None and (base.parent or self._view.parent)
        if parent or (base is None and self._twin is not None):
            return self._may_differ(base, offset, length)
        self.base = base
        name = None
        if base is not None:
            name = self._names.get(base.id)  # None: it was removed, and nothing of this counts
        if self._spans is None:  # nothing is read yet, which the look would disturb
            self._spans = self._look(base)
        where = self._spans.within(offset, length)
        found = exact_within(self._image, name, where, parent=base is None)
        for extent in found if base is not None else ():
            self.told.add(*extent)
        return found

    @property
    def tells_all(self) -> bool:
        """Whether ``changes`` tells also where only the target holds data, if asked for no base."""
        return self._twin is not None

    def _may_differ(self, base: Optional[View], offset: int, length: int) -> ExtentList:
        if self._spans is None:
            self._spans = self._look_at_own(base)
        found = ExtentList()
        for begin, size in self._spans.within(offset, length):
            found.add(begin, size, True)
        return found

    def _look_at_own(self, base: Optional[View]) -> Spans:
        """Where the view or ``base`` has data of its own, or only one of them those of the parent.

        By the object maps; without them, where any of both has data at all. None: the twin.
        """
        if base is None:
            other = self._own(self._twin)
        else:
            try:
                self._image.set_snap_by_id(base.id)
                other = self._own(self._image)
            except rbd.ImageNotFound:  # the base was removed: nothing of this counts
                return everything(self._view.size)
            finally:
                self._image.set_snap_by_id(self._view.id)
        mine = self._own(self._image)
        lists: list[Iterable[Extent]] = [other.data, mine.data]
        ends = {*other.ends, *mine.ends}
        if other.ends != mine.ends:
            lists.append([Extent(min(ends), max(ends) - min(ends))])
        return spans(self._image, lists, gap=0)

    def _own(self, image: rbd.Image) -> _Own:
        size = int(image.size())
        if self._trust_map:
            data = existing(image, parent=False)
        else:
            data = exact_extents(image, None, 0, size, parent=True)
        return _Own(data, (size, _overlap(image)))

    def _look(self, base: Optional[View]) -> Spans:
        """Where any of both views may hold data, by the object maps."""
        if not self._trust_map:
            return everything(int(self._image.size()))
        lists = [existing(self._image)]
        if base is not None and base.id in self._names:
            self._image.set_snap_by_id(base.id)
            try:
                lists.append(existing(self._image))
            finally:
                self._image.set_snap_by_id(self._view.id)
        return spans(self._image, lists)

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read."""
        begin_read(self._image, offset, length, done)


class _Own(NamedTuple):
    """What a view has itself. ``ends``: its size, and where its parent ends."""

    data: ExtentList
    ends: tuple[int, int]


class RbdReader:
    """An image by its id.

    ``twin``: the target, open, if it reads from the same parent, and its object map tells what it
    has itself.
    """

    def __init__(self, ioctx: rados.Ioctx, ident: str) -> None:
        self.twin: Optional[rbd.Image] = None
        self._ioctx = ioctx
        self._ident = ident
        self._last: Optional[tuple[int, RbdView]] = None

    def differed(self, base: int, view: int) -> Optional[ExtentList]:
        """What the difference of both was, if the copy of ``view`` used it and was the last one."""
        if self._last is None:
            return None
        ident, opened = self._last
        same = opened.base is not None and (opened.base.id, ident) == (base, view)
        return opened.told if same else None

    def views(self) -> list[View]:
        """The snapshots of users, the oldest first."""
        return [
            View(
                id=snapshot.snap_id,
                name=snapshot.name,
                size=snapshot.size,
                protected=snapshot.protected,
                parent=snapshot.overlap > 0,
            )
            for snapshot in of_users(self._ioctx, self._ident)
        ]

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
            opened = RbdView(image, view, trust_map=trust_map, twin=self.twin)
            self._last = view.id, opened
            yield opened

    def has(self, views: Iterable[View]) -> bool:
        """Whether the header still lists all of them."""
        return all(has_snapshot(self._ioctx, self._ident, view.id) for view in views)


def metadata_of_users(image: rbd.Image) -> dict[str, str]:
    """The metadata of an open image, without those of this module."""
    listed = dict(image.metadata_list())
    return {key: value for key, value in listed.items() if key not in headers.OWN_KEYS}


def _overlap(image: rbd.Image) -> int:
    """Bytes of the view that is open which may come from a parent."""
    try:
        return int(image.overlap())
    except rbd.ImageNotFound:
        return 0
