"""Verify: source and target are compared, view by view, while clients use the target.

A view is a snapshot, or the head by way of the comparison snapshot. Nothing is written. The first
view is read whole. Of a later one those objects are read that either side says have changed since
the view before, and what differed there; an object that has not changed is one and the same RADOS
object in both views, so it was compared already. Where that is not certain (a parent, another size,
a view that was not compared) the whole view is read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import takewhile
from typing import Optional

import rados
import rbd

from ... import __version__
from ...cluster import headers
from ...cluster.client import mon_command
from ...control.lifecycle.verification import conclude
from ...control.objects.extents import ExtentSet, union
from ...model.jobs import acts
from ...model.jobs.answers import Verified
from ...model.jobs.protocol import Tell, VerifyProgress
from ...model.layout import FEATURES
from ...model.verification import POINT_PREFIX, Compared, Extent, Verification
from ..imports.history import HistorySide
from ..mover.marks import brought_to
from ..session import Session
from .compare import ImageReader, compare
from .extents import allocated
from .object_map import flagged_invalid
from .plain_side import PlainSide
from .sides import Side, View

_TELL = 0.5  # seconds between two progress messages

_NO_POINT = (
    "no comparison snapshot was taken when it was prepared, and clients may have written since"
)


class Sides:
    """Both images, by id, and the names of their snapshots."""

    def __init__(self, source: Side, target: ImageReader) -> None:
        self.source = source
        self.target = target

    def views(self, stack: ExitStack, snapshot: Optional[str]) -> tuple[View, rbd.Image]:
        """A snapshot, or the head, of both sides, open for reading."""
        return (
            stack.enter_context(self.source.open(snapshot)),
            stack.enter_context(self.target.open(snapshot)),
        )


def verify(session: Session, ends: acts.Ends, act: acts.Verify, tell: Tell) -> Verified:
    """Compare; goes on where the verification was interrupted. Writes nothing."""
    target = ends.target
    with (
        session.without_cache(),
        session.open(target) as ioctx,
        _source(session, ends, act) as source,
    ):
        sides = Sides(source, ImageReader(name="target", ioctx=ioctx, ident=target.image_id))
        by_mover = isinstance(ends, acts.WarmEnds) or isinstance(source, HistorySide)
        v = _Run(session=session, act=act, sides=sides, tell=tell, by_mover=by_mover).all()
    release = f"rbd_migration {__version__}, {_release(session.rados)}"
    return Verified(conclude(v, time.time(), release))


def compare_all(
    session: Session, sides: Sides, v: Verification, *, comparison_snapshot: str, tell: Tell
) -> Verification:
    """Compare all views of two images, ``comparison_snapshot`` in place of the heads."""
    act = acts.Verify(v, comparison_snapshot=comparison_snapshot)
    return _Run(session=session, act=act, sides=sides, tell=tell, by_mover=True).all()


@contextmanager
def _source(session: Session, ends: acts.Ends, act: acts.Verify) -> Iterator[Side]:
    if isinstance(ends, acts.ImportEnds):
        from ..imports import readers as import_sides  # noqa: PLC0415 - only imports need it

        with import_sides.opened(session, ends, act.comparison_snapshot) as side:
            yield side
        return
    with session.open(ends.source) as ioctx:
        warm = isinstance(ends, acts.WarmEnds)
        refreshed = brought_to(ioctx, ends.source) if warm else None
        reader = ImageReader(
            name="source", ioctx=ioctx, ident=ends.source.image_id, refreshed=refreshed
        )
        with reader.open(None) as image:
            plain = not act.trust_maps or flagged_invalid(image)
        yield PlainSide(session, reader) if plain else reader


def _release(client: rados.Rados) -> str:
    """``ceph version 16.2.15``."""
    found = re.search(r"ceph version \S+", mon_command(client, prefix="version"))
    return found.group() if found else "ceph"


class _Run:
    """One run over all views, from the first that is not done."""

    def __init__(
        self,
        *,
        session: Session,
        act: acts.Verify,
        sides: Sides,
        tell: Tell,
        by_mover: bool = False,
    ) -> None:
        """``by_mover``: it was copied by differences, so that it is compared without them."""
        self._session = session
        self._by_mover = by_mover
        self._history = sides.source if isinstance(sides.source, HistorySide) else None
        self._point = act.comparison_snapshot if self._history is None else self._history.newest()
        self._no_point = act.no_comparison_snapshot
        self._untouched = act.untouched
        self._sides = sides
        self._v = act.verification
        self._tell = tell
        self._begun = time.monotonic()
        self._before = act.verification.seconds
        self._told = 0.0
        self._end = 0  # where the data of the view ends
        self._count = 1  # views

    def all(self) -> Verification:
        """Compare all views; the verification without its outcome."""
        names = self._sides.source.snapshots()
        carried = set(self._sides.target.snapshots())
        views: list[tuple[str, Optional[str], str]] = []  # name, snapshot, why not
        for name in names:
            of_rounds = self._by_mover and name.startswith(POINT_PREFIX)
            if name != self._point and not of_rounds:
                missing = "" if name in carried else "it was removed from the target"
                views.append((name, name, missing))
        views.append(("", *self._head(names, carried)))
        self._count = len(views)
        names_now = [name for name, _, _ in views]
        kept = takewhile(lambda pair: pair[0].name == pair[1], zip(self._v.views, names_now))
        self._v = replace(self._v, views=tuple(view for view, _ in kept))
        before: Optional[str] = None
        for number, (name, snapshot, why_not) in enumerate(views):
            done = self._v.views[number] if number < len(self._v.views) else None
            if done is None or not done.done:
                self._one(number, name, snapshot, why_not, before)
            before = None if why_not else snapshot
        return replace(self._v, seconds=self._seconds())

    def _head(self, names: list[str], carried: set[str]) -> tuple[Optional[str], str]:
        """What stands for the head: the comparison snapshot, or the head itself while untouched."""
        if self._point and self._point in names and self._point in carried:
            return self._point, self._sides.source.changed_since(self._point)
        if self._untouched is not None and self._version() == self._untouched:
            return None, ""
        if self._point and self._point in names:
            return None, "the comparison snapshot was removed from the target"
        return None, self._no_point or _NO_POINT

    def _version(self) -> Optional[int]:
        """The version of the target's header, if that proves anything about writes."""
        target = self._sides.target
        if not headers.features(target.ioctx, target.ident) & FEATURES["exclusive-lock"]:
            return None  # writes leave no trace in the header
        if headers.lock_holder(target.ioctx, target.ident) is not None:
            return None  # nor do those of whoever holds the lock
        return headers.version(target.ioctx, target.ident)

    def _one(
        self, number: int, name: str, snapshot: Optional[str], why_not: str, before: Optional[str]
    ) -> None:
        former = self._v.views[number - 1] if number else None
        view = self._v.views[number] if number < len(self._v.views) else Compared(name)
        if why_not:
            self._put(number, replace(view, done=True, skipped=why_not))
            return
        with ExitStack() as stack:
            pair = self._sides.views(stack, snapshot)
            view, extents = self._survey(view, pair, before, former)
            self._end = extents.end
            for reached in compare(self._session.pace, pair, view, extents, self._v):
                view = reached
                self._put(number, view)
        if self._history is not None and self._history.removed(snapshot):
            skipped = "it was removed from the source while it was compared"
            view = replace(view, skipped=skipped, different=0, differences=())
        if snapshot is None and self._version() != self._untouched:
            skipped = "a client wrote to the target while its head was compared"
            view = replace(view, skipped=skipped, different=0, differences=())
        self._put(number, replace(view, done=True), tell=True)

    def _survey(
        self,
        view: Compared,
        pair: tuple[View, rbd.Image],
        before: Optional[str],
        former: Optional[Compared],
    ) -> tuple[Compared, ExtentSet]:
        """What of the view is to be read; a difference in size is told at once."""
        sizes = [int(image.size()) for image in pair]
        if before is not None and not self._comparable(pair, sizes, before, former):
            before = None
        found = union(*(_allocated(i, before, size) for i, size in zip(pair, sizes)))
        if before is not None and former is not None:
            again = ExtentSet()
            for extent in former.differences:
                again.add(extent.offset, extent.offset + extent.length)
            found = union(found, again)
        if not view.position and sizes[0] != sizes[1]:
            odd = Extent(min(sizes), abs(sizes[0] - sizes[1]))
            view = replace(view, different=1, differences=(odd,))
        extents = ExtentSet()
        for begin, end in found:
            extents.add(begin, min(end, *sizes))
        return view, extents

    def _comparable(
        self,
        pair: tuple[View, rbd.Image],
        sizes: list[int],
        before: str,
        former: Optional[Compared],
    ) -> bool:
        """Whether what changed since ``before`` is all there is to read of a view."""
        if self._by_mover or not isinstance(pair[0], rbd.Image):
            return False
        if former is None or former.skipped or former.different > len(former.differences):
            return False
        with ExitStack() as stack:
            older = self._sides.views(stack, before)
            if [int(image.size()) for image in older] != sizes:
                return False
            return not any(_has_parent(image) for image in (*older, *pair))

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._begun

    def _put(self, number: int, view: Compared, *, tell: bool = False) -> None:
        """Take over how far a view is, and tell it now and then."""
        views = (*self._v.views[:number], view)
        self._v = replace(self._v, views=views, seconds=self._seconds())
        now = time.monotonic()
        if not tell and now - self._told < _TELL:
            return
        self._told = now
        part = 1.0 if view.done or not self._end else view.position / self._end
        share = (number + part) / self._count
        self._tell(VerifyProgress(self._v.bytes, share, self._v.bounded()))


def _allocated(view: View, before: Optional[str], size: int) -> ExtentSet:
    if isinstance(view, rbd.Image):
        return allocated(view, before, size)
    return view.allocated()


def _has_parent(image: rbd.Image) -> bool:
    try:
        image.parent_info()
    except rbd.ImageNotFound:
        return False
    return True
