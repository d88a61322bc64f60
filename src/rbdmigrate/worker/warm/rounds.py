"""Rounds: a snapshot of ours on the source, and the copy of what it holds, until little is left.

A round that was cut off goes on with its snapshot. Snapshots that users made, renamed, protected or
removed are made, renamed, protected or removed on the target too. Of our own snapshots both images
keep one: the last that was copied.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from errno import EBUSY, EDQUOT

import rados
import rbd

from ...faults import fault_point
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...model.jobs.acts import Execute, WarmEnds
from ...model.jobs.answers import Synchronized
from ...model.jobs.protocol import Tell
from ...model.layout import FEATURES
from ...model.migration import Place
from ...model.rounds import round_prefix, round_snapshot
from ...model.watchers import name_users
from ..mover.copy import DiskCopy
from ..mover.image_writer import ImageWriter, open_writer
from ..mover.marks import read_mark
from ..mover.progress import CopiedSoFar
from ..mover.rbd_reader import SKIP_QUIESCE, RbdReader
from ..mover.requests import CopyFailed
from ..session import Session
from ..users import writers
from .target import drop_round_snapshots

_SMALL = 8 << 20  # bytes; what a round copies then takes as long as the snapshot itself
_MOST = 10  # rounds of one act; a client that writes faster than we copy never gets small


@dataclass(frozen=True)
class Round:
    """What one round did: the snapshot's name, and bytes and seconds of its copy."""

    point: str
    bytes: int
    seconds: float
    at: float


class RoundCopy:
    """Copies rounds from an image to another one. ``old`` is read, ``new`` is written."""

    def __init__(
        self,
        *,
        session: Session,
        migration: str,
        old: Place,
        new: Place,
        old_ioctx: rados.Ioctx,
        new_ioctx: rados.Ioctx,
        tell: Tell,
    ) -> None:
        self._session = session
        self._migration = migration
        self._old = old
        self._new = new
        self._old_ioctx = old_ioctx
        self._new_ioctx = new_ioctx
        self._tell = tell
        self._reader = RbdReader(old_ioctx, old.image_id)

    def run(self, image: rbd.Image, writer: ImageWriter, *, clients_wait: bool = False) -> Round:
        """One round. ``image`` is ``old``, open for writing. Raises MigrationError.

        ``clients_wait``: the snapshots of former rounds are left for later.
        """
        begun, at = time.monotonic(), time.time()
        mark = read_mark(self._new_ioctx, self._new)
        name, ident = self._snapshot(image, mark)
        if mark.total is None:
            views = [view for view in self._reader.views() if view.id <= ident]
            mark = replace(mark, total=self._reader.estimate(views))
        before = mark.bytes
        mark = self._copy(writer, replace(mark, until=ident))
        if not clients_wait:
            drop_round_snapshots(self._old_ioctx, self._old.image_id, self._migration, keep=ident)
            self._copy(writer, mark)  # copies nothing: those of the target go too
        return Round(name, mark.bytes - before, time.monotonic() - begun, at)

    def _copy(self, writer: ImageWriter, mark: CopyMark) -> CopyMark:
        total = mark.total if mark.base is None else None
        told = CopiedSoFar(tell=self._tell, total=total or 0, object_size=writer.object_size)
        try:
            return DiskCopy(
                reader=self._reader,
                writer=writer,
                pace=self._session.pace,
                progress=told,
                name=str(self._old.spec),
                follow=True,
            ).run(mark)
        except CopyFailed as error:
            if error.side == "target":
                raise rbd.OSError("a request to the target failed", errno=error.errno) from error
            raise MigrationError(error.errno, str(error)) from error

    def _snapshot(self, image: rbd.Image, mark: CopyMark) -> tuple[str, int]:
        """Name and id of the round's snapshot: that of a round which was cut off, or a new one."""
        ours = [
            (int(snapshot["id"]), str(snapshot["name"]))
            for snapshot in list(image.list_snaps())
            if str(snapshot["name"]).startswith(round_prefix(self._migration))
        ]
        newest = max(ours, default=None)
        if newest is not None and newest[0] != mark.base:
            return newest[1], newest[0]
        numbers = [int(name.rpartition(".")[2]) for _, name in ours]
        name = round_snapshot(self._migration, max(numbers, default=0) + 1)
        fault_point("warm.before", "snapshot")
        try:
            image.create_snap(name, **SKIP_QUIESCE)
        except rbd.Error as error:
            if abs(error.errno or 0) != EDQUOT:
                raise
            raise MigrationError(
                EDQUOT,
                f"The limit of snapshots of {self._old.spec} leaves no room for a snapshot of the "
                "copy; remove a snapshot, or raise it with `rbd snap limit set`.",
            ) from error
        fault_point("warm.after", "snapshot")
        return name, next(int(s["id"]) for s in image.list_snaps() if s["name"] == name)


def synchronize(session: Session, ends: WarmEnds, act: Execute, tell: Tell) -> Synchronized:
    """Copy rounds until one is small."""
    session.pace.set(act.rate)
    with (
        session.open(ends.source) as source,
        session.open(ends.target) as target,
        session.without_cache(),
        open_writer(target, ends.target) as writer,
        rbd.Image(source, image_id=ends.source.image_id) as image,
    ):
        copy = RoundCopy(
            session=session,
            migration=ends.id,
            old=ends.source,
            new=ends.target,
            old_ioctx=source,
            new_ioctx=target,
            tell=tell,
        )
        done: list[Round] = []
        while not done or (done[-1].bytes > _SMALL and len(done) < _MOST):
            _require_snapshots_that_hold(session, source, image, ends.source, act.fenced)
            done.append(copy.run(image, writer))
        mark = read_mark(target, ends.target)
        writer.save_mark(replace(mark, synchronized=True).to_json())
    last = done[-1]
    return Synchronized(
        point=last.point,
        rounds=len(done),
        bytes=last.bytes,
        seconds=last.seconds,
        at=last.at,
        total=mark.bytes,
    )


def _require_snapshots_that_hold(
    session: Session, ioctx: rados.Ioctx, image: rbd.Image, source: Place, fenced: tuple[str, ...]
) -> None:
    """Raise MigrationError(EBUSY) where a snapshot would miss writes that follow it.

    A client of an image without exclusive-lock learns of a snapshot later, and until then writes
    into it; what it writes is in no difference (measured, 16.2.15).
    """
    if int(image.features()) & FEATURES["exclusive-lock"]:
        return
    users = writers(session, ioctx, image, fenced)
    if users:
        raise MigrationError(
            EBUSY,
            f"{source.spec} is open for writing by {name_users(users)}, and has not the feature "
            "exclusive-lock, without which snapshots of an open image miss writes; stop the "
            "client, or use --method live.",
        )
