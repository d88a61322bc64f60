"""The cutover: an image loses its name, and the image that has all its content gets one.

The same is done forward (the target takes over) and back (an abort after the cutover). ``old`` is
the image that loses its name, ``new`` the other one. The sequence, each step of which may be
repeated: ``old`` is closed; its name goes, unless both have the same; the last difference is copied
while we hold its exclusive lock; clients are locked out of ``old`` with a lock that survives us;
nothing may have changed since; ``new`` gets its name. Before that last step everything is undone on
failure, after it the cutover is only completed. So no name ever leads to an image that is not
complete, and no write is lost.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from errno import EBUSY, EROFS
from typing import Optional

import rbd

from ...cluster import headers, image_names
from ...cluster.lock_out import let_in, lock_out
from ...faults import fault_point
from ...model.errors import MigrationError
from ...model.jobs.protocol import Tell
from ...model.migration import Place
from ...model.watchers import Watcher, name_users
from ..mover.image_writer import ImageWriter, open_writer
from ..mover.rbd_reader import metadata_of_users
from ..session import Session
from ..users import writers
from ..verify.extents import diff
from .lockable import make_lockable, release
from .rounds import Round, RoundCopy

_TRIES = 3  # times that somebody may write at the wrong moment


@dataclass(frozen=True)
class Sides:
    """The images of a cutover, with the names that they have or get.

    ``former`` is the name of ``new`` until then; ``same_name``: both have one name, which changes
    hands. ``fenced``: addresses of our dead workers.
    """

    migration: str
    old: Place
    new: Place
    former: str
    same_name: bool
    fenced: tuple[str, ...] = ()


class Cutover:
    """One cutover, begun or to be completed."""

    def __init__(self, *, session: Session, sides: Sides, tell: Tell, stack: ExitStack) -> None:
        self._session = session
        self._sides = sides
        self._tell = tell
        self._old = stack.enter_context(session.open(sides.old))
        self._new = stack.enter_context(session.open(sides.new))

    @property
    def published(self) -> bool:
        """Whether ``new`` has its name: the point of no return is passed."""
        return headers.image_id(self._new, self._sides.new.image) == self._sides.new.image_id

    def run(self, *, undo: bool = False) -> Optional[Round]:
        """Do it. The last difference; None: only the names were completed.

        ``undo``: only complete or undo one that was cut off. Raises MigrationError and librbd's
        errors, with everything undone.
        """
        if self.published:
            self._complete()
            return None
        self.undo()
        if undo:
            raise MigrationError(
                EBUSY, "The clients could not wait for the cutover any longer; nothing was changed."
            )
        self._require_closed()
        try:
            last = self._last_difference()
            self._publish()
        except BaseException:
            if not self.published:
                self.undo()
            raise
        self._complete()
        return last

    def undo(self) -> None:
        """Give ``old`` its name again, and let clients in. May be repeated.

        Raises MigrationError(EEXIST) if another image has taken the name.
        """
        old = self._sides.old
        if not self._sides.same_name:
            fault_point("cutover.before", "restore")
            image_names.restore(self._old, old.image, old.image_id)
        elif headers.trash_entry(self._old, old.image_id) is not None:
            image_names.complete(self._old, old.image, old.image_id, former=old.image)
        release(self._old, old.image_id)

    def _require_closed(self) -> None:
        """Raise MigrationError(EBUSY) while a client has ``old`` open for writing.

        The lock of a client that was killed and whose watch is gone is no obstacle: librbd shuts
        that client out when we take the lock.
        """
        old = self._sides.old
        with rbd.Image(self._old, image_id=old.image_id, read_only=True) as image:
            users = self._users(image)
        if users:
            raise self._busy(users)

    def _users(self, image: rbd.Image) -> list[Watcher]:
        return writers(self._session, self._old, image, self._sides.fenced)

    def _busy(self, users: list[Watcher]) -> MigrationError:
        old = self._sides.old.spec
        return MigrationError(
            EBUSY,
            f"{old} is open for writing by {name_users(users)}; stop the client, then try again "
            "(one that was killed counts for half a minute); nothing was changed.",
        )

    def _last_difference(self) -> Round:
        """Copy what is left, and lock all clients out of ``old`` when nothing is."""
        old = self._sides.old
        fault_point("cutover.before", "name")
        image_names.trash(self._old, old.image, old.image_id)
        fault_point("cutover.between", "name")
        if not self._sides.same_name:
            image_names.drop(self._old, old.image, old.image_id)
        fault_point("cutover.after", "name")
        make_lockable(self._old, old.image_id)
        for _ in range(_TRIES):
            with open_writer(self._new, self._sides.new) as writer:
                last = self._copy(writer)
            fault_point("cutover.before", "lock")
            lock_out(self._old, old.image_id)
            fault_point("cutover.after", "lock")
            if self._unchanged(last.point):
                return last
            let_in(self._old, old.image_id)
        raise MigrationError(
            EBUSY, f"Somebody wrote to {old.spec} during the cutover; nothing was changed."
        )

    def _copy(self, writer: ImageWriter) -> Round:
        """The last round, during which nobody else can write to ``old``."""
        old = self._sides.old
        with rbd.Image(self._old, image_id=old.image_id) as image:
            try:
                image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
            except rbd.Error as error:
                if abs(error.errno or 0) not in (EBUSY, EROFS):
                    raise
                raise MigrationError(
                    EBUSY, f"A client has {old.spec} open for writing; nothing was changed."
                ) from error
            users = self._users(image)
            if users:
                raise self._busy(users)
            last = RoundCopy(
                session=self._session,
                migration=self._sides.migration,
                old=old,
                new=self._sides.new,
                old_ioctx=self._old,
                new_ioctx=self._new,
                tell=self._tell,
            ).run(image, writer, clients_wait=True)
            writer.set_metadata(metadata_of_users(image))
        return last

    def _unchanged(self, point: str) -> bool:
        """Whether ``old`` is what it was at the snapshot, and nobody has it open."""
        with rbd.Image(self._old, image_id=self._sides.old.image_id, read_only=True) as image:
            snapshots = list(image.list_snaps())
            newest = max(snapshots, key=lambda snapshot: int(snapshot["id"]))
            size = int(image.size())
            if newest["name"] != point or int(newest["size"]) != size or self._users(image):
                return False
            return not any(diff(image, point, (0, size), False, False)) if size else True

    def _publish(self) -> None:
        old, new = self._sides.old, self._sides.new
        fault_point("cutover.before", "publish")
        if self._sides.same_name:
            image_names.switch(self._new, new.image, old.image_id, new.image_id)
        else:
            image_names.give(self._new, new.image, new.image_id)
        fault_point("cutover.after", "publish")

    def _complete(self) -> None:
        """Bring directory and trash in line with the names."""
        old, new, former = self._sides.old, self._sides.new, self._sides.former
        if headers.image_exists(self._old, old.image_id):
            image_names.trash(self._old, old.image, old.image_id)
            if not self._sides.same_name:
                image_names.drop(self._old, old.image, old.image_id)
        image_names.complete(self._new, new.image, new.image_id, former)
        fault_point("cutover.after", "complete")
