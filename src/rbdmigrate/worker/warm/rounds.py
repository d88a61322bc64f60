"""Rounds: a snapshot of ours on the source, and the copy of what it holds, until little is left.

A round that was cut off goes on with its snapshot, unless there may be clients that do not know of
it: what they write afterwards is in no difference to that snapshot. Snapshots that users made,
renamed, protected or removed are made, renamed, protected or removed on the target too. Of our own
snapshots both images keep one: the last that was copied.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from errno import EBUSY
from operator import attrgetter
from typing import Optional, Union

import rados
import rbd

from ...cluster import headers
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.jobs.acts import Arm, Execute, WarmEnds
from ...model.jobs.answers import Synchronized
from ...model.jobs.protocol import Tell
from ...model.layout import FEATURES
from ...model.migration import Place
from ...model.rounds import in_step
from ...model.watchers import name_users
from ..copy.estimate import changed
from ..mover.candidates import exact_within, flattened, maps_hold, pairs, since
from ..mover.copy import DiskCopy
from ..mover.image_writer import ImageWriter
from ..mover.marks import read_mark
from ..mover.progress import CopiedSoFar
from ..mover.rbd_reader import RbdReader
from ..mover.requests import CopyFailed
from ..session import Session
from ..users import writers
from .early_copy import EarlyCopy, may_be_early
from .open_ends import OpenEnds
from .round_snapshots import (
    drop_reserved,
    next_name,
    older_than,
    own_snapshots,
    take_snapshot,
)
from .target import drop_rounds

_MOST = 10  # rounds of one act; a client that writes faster than we copy never gets small


@dataclass(frozen=True)
class Round:
    """What one round did: the snapshot's name, and bytes and seconds of its copy.

    ``resumed``: it completed one that was cut off, so that its snapshot is older than ``at``.
    ``unchanged``: nothing was written since the round before, whose snapshot it has.
    """

    comparison_snapshot: str
    bytes: int
    seconds: float
    at: float
    resumed: bool = False
    unchanged: bool = False


class RoundCopy:
    """Copies rounds from an image to another one. ``old`` is read, ``new`` is written.

    ``fenced``: addresses of clients that are no users any more.
    """

    def __init__(
        self,
        *,
        session: Session,
        migration: str,
        old: Place,
        new: Place,
        old_ioctx: rados.Ioctx,
        new_ioctx: rados.Ioctx,
        fenced: tuple[str, ...],
        tell: Tell,
    ) -> None:
        self._session = session
        self._migration = migration
        self._old = old
        self._new = new
        self._new_ioctx = new_ioctx
        self._fenced = fenced
        self._tell = tell
        self._old_ioctx = old_ioctx
        self._reader = RbdReader(old_ioctx, old.image_id)

    @classmethod
    def between(
        cls,
        opened: OpenEnds,
        *,
        session: Session,
        migration: str,
        fenced: tuple[str, ...],
        tell: Tell,
    ) -> RoundCopy:
        """Copies between two images that are open."""
        old, new = opened.places
        return cls(
            session=session,
            migration=migration,
            old=old,
            new=new,
            old_ioctx=opened.old_ioctx,
            new_ioctx=opened.new_ioctx,
            fenced=fenced,
            tell=tell,
        )

    def run(
        self, image: rbd.Image, writer: ImageWriter, *, quick: bool = False, stays: str = ""
    ) -> Round:
        """One round. ``image`` is ``old``, open for writing. Raises MigrationError.

        ``quick``: the snapshots of former rounds are left for later. ``stays``: the name of one of
        them that is kept.
        """
        begun, at = time.monotonic(), time.time()
        before = mark = read_mark(self._new_ioctx, self._new)
        drop_reserved(mark, (self._old_ioctx, self._old), (self._new_ioctx, self._new))
        self._reader.twin = self._twin(writer)
        with writer.numbering(self._session.numbers_of(self._new)):
            mark = self._begun_early(image, writer, mark)
            early = before.view is None and mark.view is not None
            name, ident, older = self._snapshot(image, mark, early=early)
            if mark.total is None:
                mark = replace(mark, total=self._total(image, ident))
            mark = self._copy(writer, replace(mark, until=ident))
        mark = replace(mark, varied=self._varied(before, ident, older, writer.object_size))
        writer.save_mark(mark.to_json())
        writer.limit_snapshots(int(image.get_snap_limit()))
        if not quick and drop_rounds(image, self._migration, keep={name, stays}):
            self._copy(writer, mark)  # copies nothing: those of the target go too
        copied = mark.bytes - before.bytes
        return Round(name, copied, time.monotonic() - begun, at, resumed=older is None)

    def run_up_to_now(
        self, image: rbd.Image, writer: ImageWriter, *, quick: bool = False, stays: str = ""
    ) -> Round:
        """One round, and another one if the first only completed one that was cut off."""
        first = self.run(image, writer, quick=quick, stays=stays)
        if not first.resumed:
            return first
        last = self.run(image, writer, quick=quick, stays=stays)
        both = (first.bytes + last.bytes, first.seconds + last.seconds)
        return replace(last, bytes=both[0], seconds=both[1])

    def _begun_early(self, image: rbd.Image, writer: ImageWriter, mark: CopyMark) -> CopyMark:
        """The mark, after a part of the first round was copied from the head where that is safe."""
        place, ioctx = self._old, self._old_ioctx
        if not may_be_early(self._session, place, ioctx, image, mark):
            return mark
        early = EarlyCopy(
            session=self._session,
            migration=self._migration,
            place=place,
            ioctx=ioctx,
            image=image,
            writer=writer,
            tell=self._tell,
        )
        return self._explained(lambda: early.run(mark))

    def _total(self, image: rbd.Image, ident: int) -> int:
        """Bytes of all snapshots up to this one, about."""
        views = [view for view in self._reader.views() if view.id <= ident]
        if len(views) > 1:
            return self._reader.estimate(views)
        return sum(length for _, length in changed(image, None, True))  # the head is hardly another

    def _twin(self, writer: ImageWriter) -> Optional[rbd.Image]:
        """``new``, if it is a clone of the same parent, and its object map can be trusted."""
        if self._old.cluster != self._new.cluster:
            return None  # ids of another cluster are not those of this one
        parent = headers.parent(self._old_ioctx, self._old.image_id)
        same = parent == headers.parent(self._new_ioctx, self._new.image_id)
        if parent is None or not same:
            return None
        trusted = maps_hold(self._new_ioctx, writer.image, self._new.image_id, [])
        return writer.image if trusted else None

    def _varied(
        self, before: CopyMark, ident: int, older: Optional[tuple[int, ...]], grain: int
    ) -> Optional[tuple[int, ...]]:
        """What the copy mark says as ``varied``. ``older``: snapshots older than this round's."""
        if older == ():
            return ()
        if older is None or before.base is None or older[-1] != before.base:
            return None
        if older != (before.base,) and before.varied is None:
            return None
        if before.view is not None:
            return None  # only the rest of it was looked at
        found = self._reader.differed(before.base, ident)
        if found is None:
            return None
        if older == (before.base,):
            return flattened(found, grain)
        known = pairs(before.varied or ())  # what the base and the others differ in
        return flattened(heapq.merge(known, found, key=attrgetter("offset")), grain)

    def _copy(self, writer: ImageWriter, mark: CopyMark) -> CopyMark:
        total = mark.total if mark.base is None else None
        told = CopiedSoFar(tell=self._tell, total=total or 0, object_size=writer.object_size)
        copy = DiskCopy(
            reader=self._reader,
            writer=writer,
            pace=self._session.pace,
            progress=told,
            name=str(self._old),
            follow=True,
        )
        return self._explained(lambda: copy.run(mark))

    def _explained(self, copy: Callable[[], CopyMark]) -> CopyMark:
        """The mark of a copy. What its target says is told as of any image."""
        try:
            return copy()
        except CopyFailed as error:
            if error.side == "target":
                raise rbd.OSError("a request to the target failed", errno=error.errno) from error
            raise MigrationError(error.errno, str(error)) from error

    def _snapshot(
        self, image: rbd.Image, mark: CopyMark, *, early: bool
    ) -> tuple[str, int, Optional[tuple[int, ...]]]:
        """Name and id of the round's snapshot: that of a round which was cut off, or a new one.

        ``early``: it was taken just now, as the first of the image. With the ids of older ones that
        somebody can roll back to; None: they are not known.
        """
        ours = own_snapshots(image, self._migration)
        newest = max(ours, default=None)
        if newest is not None and newest[0] != mark.base:
            if mark.is_known_to_clients(newest[0]):
                return newest[1], newest[0], () if early else None
            drop_rounds(
                image, self._migration, keep={each for _, each in ours if each != newest[1]}
            )
        name = next_name(ours, self._migration)
        take_snapshot(image, name, self._old)
        # Again: somebody may have opened the image while the monitors gave the snapshot its number.
        require_snapshots_that_hold(self._session, self._old_ioctx, image, self._old, self._fenced)
        snapshots = list(image.list_snaps())
        ident = next(int(s["id"]) for s in snapshots if s["name"] == name)
        return name, ident, older_than(snapshots, ident)


def synchronize(
    session: Session, ends: WarmEnds, opened: OpenEnds, act: Union[Execute, Arm], tell: Tell
) -> Synchronized:
    """Copy rounds until one is small; for a cutover one more, whose snapshot is as new as can be.

    What clients write from then on is copied while they wait.
    """
    copy = RoundCopy.between(
        opened, session=session, migration=ends.id, fenced=act.fenced, tell=tell
    )
    image, writer = opened.old, opened.writer
    done: list[Round] = []
    while True:
        require_snapshots_that_hold(session, opened.old_ioctx, image, ends.source, act.fenced)
        last = copy.run(image, writer)
        done.append(last)
        mark = read_mark(opened.new_ioctx, ends.target)
        scan, left = difference_left(opened, mark, last)
        if in_step(last.bytes, last.seconds, left) or len(done) >= _MOST:
            break
    writer.save_mark(replace(mark, synchronized=True).to_json())
    if isinstance(act, Arm):
        last = copy.run(image, writer, quick=True)
        writer.reload()
        opened.reserve_snapshots()  # their numbers have to be above all others of the images
        done.append(last)
        mark = read_mark(opened.new_ioctx, ends.target)
    return Synchronized(
        comparison_snapshot=last.comparison_snapshot,
        rounds=len(done),
        bytes=last.bytes,
        seconds=last.seconds,
        at=last.at,
        total=mark.bytes,
        scan=scan,
        left=left,
    )


def difference_left(opened: OpenEnds, mark: CopyMark, last: Round) -> tuple[float, Optional[int]]:
    """Seconds for which a cutover would look for what differs, twice, and bytes that differ now.

    Where it has to look at each object with data, or at every one, that is what the round did, and
    the bytes are not known (None).
    """
    ioctx, image, ident = opened.old_ioctx, opened.old, opened.places[0].image_id
    base = mark.base or 0
    if not maps_hold(ioctx, image, ident, [base]):
        return 2 * last.seconds, None
    if mark.varied is None:
        return last.seconds, None
    begun = time.monotonic()
    where = since(ioctx, image, ident, base, mark.varied)
    found = exact_within(image, last.comparison_snapshot, where, parent=False)
    left = sum(extent.length for extent in found if extent.data)
    return time.monotonic() - begun, left


def require_snapshots_that_hold(
    session: Session, ioctx: rados.Ioctx, image: rbd.Image, source: Place, fenced: tuple[str, ...]
) -> None:
    """Raise MigrationError(EBUSY) where a snapshot would miss writes that follow it.

    A client of an image without exclusive-lock learns of a snapshot later, and until then writes
    into it; what it writes is in no difference (measured, 16.2.15).
    """
    if int(image.features()) & FEATURES["exclusive-lock"]:
        return
    users = writers(session, source, ioctx, image, fenced)
    if users:
        raise MigrationError(
            EBUSY,
            f"{source} is open for writing by {name_users(users)}, and has not the feature "
            "exclusive-lock, without which snapshots of an open image miss writes; stop the "
            "client, or use --method live.",
        )
