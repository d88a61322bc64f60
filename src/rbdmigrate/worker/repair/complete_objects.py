"""Completing the objects of a target that a copy, cut off in the middle, left copied in part.

librbd copies an object of an image with snapshots in several writes, one for each view that
differs (:mod:`...cluster.data_objects`). A process that is killed between two of them leaves an
object whose later views, the head among them, read as the last view that was written, because
what exists on the target is not looked for at the source any more.

What is missing is written here: the whole content of each view, read from the source, under
librbd's own guards. So it takes no lock, may be done during any copy and with any client, may be
repeated, and never changes what a client wrote (a client's write completes the object first).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Optional

import rados
import rbd

from ...cluster import headers, image_snapshots
from ...cluster.data_objects import DataObjects
from ...control.objects.partial import runs, search_ranges
from ...control.objects.striping import Striping
from ...faults import fault_point
from ...model.jobs.acts import CompleteObjects, Ends, ImportEnds
from ...model.jobs.answers import ObjectsCompleted
from ...model.jobs.protocol import Progress, Tell
from ..image_objects import data_objects, striping_of
from ..open_image import open_image
from ..session import Session
from ..verify.sides import Side, View

log = logging.getLogger(__name__)

_Read = Callable[[int, int], bytes]  # offset and length in bytes of a view; short past its end


@dataclass(frozen=True)
class _View:
    """A snapshot of the target (None: the head), and what it was copied from.

    ``gone``: the snapshot was removed from the target; there is nothing to be completed for it.
    """

    number: Optional[int]
    source: Any
    gone: bool = False


def complete_objects(
    session: Session, ends: Ends, act: CompleteObjects, tell: Tell
) -> ObjectsCompleted:
    """Complete what is there in part."""
    target, around = ends.target, act.around
    with session.open(target) as ioctx, ExitStack() as stack:
        header = headers.migration_header(ioctx, target.image_id)
        if header is None or not header.snapshots:
            return ObjectsCompleted(0, whole=True)  # each object is written at once
        image = stack.enter_context(rbd.Image(ioctx, image_id=target.image_id, read_only=True))
        striping = striping_of(image)
        objects = data_objects(session, ioctx, image)
        stack.callback(objects.close)
        kept = {entry.snap_id for entry in image_snapshots.snapshots(ioctx, target.image_id)}
        source = _opened(session, ends, act.comparison_snapshot, stack, image)
        carried = sorted((new, old) for old, new in header.snapshots)
        views = [_View(new, source.key(old, new), new not in kept) for new, old in carried]
        views.append(_View(None, source.key(None, None)))
        size = int(image.size())
        mapped = bool(image.features() & rbd.RBD_FEATURE_FAST_DIFF)
        count = striping.count(max(size, source.size()))
        fault_point("complete_objects.before")
        done = 0
        for part in search_ranges(count, around):
            there = set(part)
            if around is None and mapped:  # exact differences take long: not of what is not there
                there &= _mapped(image, striping, part)
            several: dict[int, int] = {}
            for run in runs(there):
                several.update(source.several(run, striping, dict(header.snapshots)))
            existing = objects.existing(several)
            if several and not existing and around is not None and part.start > around:
                break  # the copy had not come so far
            behind = objects.behind({number: several[number] for number in existing})
            done += _complete(objects, source, striping, behind, views, size)
            tell(Progress(count - part[0], count))
    if done:
        log.info("%s: %d objects were completed", target.spec, done)
    return ObjectsCompleted(done, whole=around is None)


def _opened(
    session: Session, ends: Ends, comparison_snapshot: str, stack: ExitStack, target: rbd.Image
) -> _Source:
    """The migration's source, as long as ``stack`` is open."""
    if isinstance(ends, ImportEnds):
        from ..imports import readers as import_sides  # noqa: PLC0415 - only imports need it

        named = {str(s["name"]): int(s["id"]) for s in target.list_snaps()}
        return _External(
            stack.enter_context(import_sides.opened(session, ends, comparison_snapshot)), named
        )
    return _Image(stack, session.open(ends.source), ends.source.image_id)


def _mapped(image: rbd.Image, striping: Striping, part: range) -> set[int]:
    """The objects of a part of the target that exist in one of its views.

    librbd writes the object maps of all views before the object itself. That of the head alone
    would not do: it may not have the object in the end.
    """
    found: set[int] = set()
    image.set_snap(None)
    for snapshot in list(image.list_snaps()):
        image.set_snap_by_id(int(snapshot["id"]))
        found |= _told(image, None, striping, part, int(image.size()), whole=True)
    image.set_snap(None)
    return found | _told(image, None, striping, part, int(image.size()), whole=True)


def changed(
    image: rbd.Image, before: Optional[str], striping: Striping, part: range, size: int
) -> set[int]:
    """The objects of a part, and some next to it, that differ from a snapshot (None: exist).

    By object maps, and exactly as well, because those may miss changes (:mod:`..verify.extents`).
    """
    return _told(image, before, striping, part, size, whole=True) | _told(
        image, before, striping, part, size, whole=False
    )


def _told(
    image: rbd.Image,
    before: Optional[str],
    striping: Striping,
    part: range,
    size: int,
    *,
    whole: bool,
) -> set[int]:
    """What librbd tells of a part, by object maps (``whole``) or exactly."""
    begin, length = striping.span(part.start, part.stop - 1)
    own = (1 << int(image.stat()["order"])) * int(image.stripe_count())
    offset = begin // own * own  # fast-diff tells wrong offsets where none of its objects begins
    length = min(begin + length, size) - offset
    found: set[int] = set()

    def note(start: int, extent: int, exists: bool) -> None:
        found.update(striping.objects(start, extent))

    if length > 0:  # librbd ends the process when asked for nothing
        image.diff_iterate(offset, length, before, note, include_parent=False, whole_object=whole)
    return found


def _complete(
    objects: DataObjects,
    source: _Source,
    striping: Striping,
    numbers: list[int],
    views: list[_View],
    head_size: int,
) -> int:
    """Write the views that are missing of these objects; how many objects that changed."""
    completed: set[int] = set()
    for index, view in enumerate(views):
        if not index or view.gone or not numbers:
            continue  # the first view is what makes an object: it is never missing
        above = views[index - 1].number
        assert above is not None
        before = [v.number for v in views[:index] if not v.gone and v.number is not None]
        read, size = source.open(view.source)
        size = min(size, head_size) if view.number is None else size
        for number in numbers:
            version = objects.version(number)
            have = objects.read(number, view.number)
            if version is None or have is None:
                continue  # it reads from the source
            want = _content(read, size, striping, number)
            if have == want:
                continue
            lacks = not want.strip(b"\0") and source.lacks(number, striping)
            content = None if lacks else want
            if objects.write_view(number, content, above, before, version):
                completed.add(number)
                fault_point("complete_objects.written")
    return len(completed)


def _content(read: _Read, size: int, striping: Striping, number: int) -> bytes:
    """An object's bytes in a view of ``size`` bytes, padded with zeros."""
    pieces = []
    for offset, length in striping.extents(number):
        within = max(0, min(length, size - offset))
        pieces.append((read(offset, within) if within else b"").ljust(length, b"\0"))
    return b"".join(pieces)


class _Source(ABC):
    """Where a target's views come from."""

    @abstractmethod
    def key(self, old: Optional[int], new: Optional[int]) -> Any:
        """What :meth:`open` takes for a snapshot, by its number at the source and the target."""

    @abstractmethod
    def open(self, key: Any) -> tuple[_Read, int]:
        """A view's reader and its size in bytes; the former one is closed."""

    def lacks(self, number: int, striping: Striping) -> bool:
        """Whether the view that was opened last has nothing of an object that reads as zeros."""
        return True

    @abstractmethod
    def size(self) -> int:
        """The largest size that a view has, in bytes."""

    def several(self, part: range, striping: Striping, carried: dict[int, int]) -> dict[int, int]:
        """The objects that may take more than one write, and what their sequence reaches by that.

        ``carried``: the source's snapshots with the numbers that they have on the target.
        """
        return dict.fromkeys(part, max(carried.values()))


class _Image(_Source):
    """An image, which librbd keeps for the migration."""

    def __init__(self, stack: ExitStack, ioctx: rados.Ioctx, ident: str) -> None:
        stack.enter_context(ioctx)
        self._image = stack.enter_context(open_image(ioctx, ident, read_only=True))
        self._alone = not self._has_parent()

    def key(self, old: Optional[int], new: Optional[int]) -> Optional[int]:
        return old

    def open(self, key: Optional[int]) -> tuple[_Read, int]:
        self._show(key)
        return self._read, int(self._image.size())

    def _read(self, offset: int, length: int) -> bytes:
        return bytes(self._image.read(offset, length))

    def _show(self, snapshot: Optional[int]) -> None:
        if snapshot is None:
            self._image.set_snap(None)
        else:
            self._image.set_snap_by_id(snapshot)

    def lacks(self, number: int, striping: Striping) -> bool:
        """As the object map of the view on the target will have it; a parent would show through."""
        part = range(number, number + 1)
        size = int(self._image.size())
        there = _told(self._image, None, striping, part, size, whole=True)
        return self._alone and number not in there

    def size(self) -> int:
        sizes = [int(snap["size"]) for snap in self._image.list_snaps()]
        return max(int(self._image.size()), *sizes)

    def several(self, part: range, striping: Striping, carried: dict[int, int]) -> dict[int, int]:
        """Those that changed in two views, or at all where a parent's data is the first."""
        self._show(None)
        snapshots = list(self._image.list_snaps())
        if any(s["namespace"] != rbd.RBD_SNAP_NAMESPACE_TYPE_USER for s in snapshots):
            return super().several(part, striping, carried)  # they cannot be compared by name
        seen: set[int] = set() if self._alone else set(part)
        found: dict[int, int] = {}
        before: Optional[str] = None
        reached = former = 0
        for snapshot in [*snapshots, None]:
            name = None if snapshot is None else str(snapshot["name"])
            self._image.set_snap(name)
            size = int(self._image.size())
            touched = changed(self._image, before, striping, part, size)
            if before is not None:  # what the image was cut by is gone, and is not told
                cut = sorted((striping.count(size), striping.count(former)))
                touched.update(range(max(part.start, cut[0] - 1), min(part.stop, cut[1])))
                found.update((number, reached) for number in touched & seen)
            seen |= touched
            before, former = name, size
            if snapshot is not None:
                reached = carried.get(int(snapshot["id"]), reached)
        return {number: at for number, at in found.items() if number in part}

    def _has_parent(self) -> bool:
        """Whether any of its views has one."""
        for snapshot in [None, *(int(s["id"]) for s in self._image.list_snaps())]:
            self._show(snapshot)
            with suppress(rbd.ImageNotFound):
                self._image.parent_info()
                return True
        return False


class _External(_Source):
    """A source outside, of an import. ``named``: the target's snapshots."""

    def __init__(self, side: Side, named: dict[str, int]) -> None:
        self._side = side
        self._names = {number: name for name, number in named.items()}
        self._view: Optional[View] = None

    def key(self, old: Optional[int], new: Optional[int]) -> Optional[str]:
        return None if new is None else self._names.get(new, "")

    def open(self, key: Optional[str]) -> tuple[_Read, int]:
        with ExitStack() as closing:
            if self._view is not None:
                closing.enter_context(self._view)
        self._view = self._side.open(key)
        return self._view.read, int(self._view.size())

    def size(self) -> int:
        return 0  # librbd makes the target as large as its largest view
