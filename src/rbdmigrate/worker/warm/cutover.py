"""The cutover: an image loses its name, and the image that has all its content gets one.

The same is done forward (the target takes over) and back (an abort after the cutover). ``old`` is
the image that loses its name, ``new`` the other one. ``old`` is closed; its name goes, unless both
have the same; the last difference is copied while we hold its exclusive lock; that lock is made one
that survives us, without ever letting go of it; nothing may have changed since; ``new`` gets its
name; and nobody may have opened ``old`` in the last moment. Before ``new`` has its name everything
is undone on failure, after that the cutover is only completed, unless a client came in that moment.
So no name ever leads to an image that is not complete, and no write is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from errno import EBUSY, EROFS
from typing import Optional

import rbd

from ...cluster import headers, image_names, image_snapshots
from ...cluster.lock_out import keep_locked, let_in, lock_out, locked_out
from ...control.cutover.steps import Steps
from ...faults import fault_point
from ...model.errors import MigrationError
from ...model.jobs.protocol import Tell
from ...model.migration import Place
from ...model.watchers import Watcher, name_users
from ..mover.marks import read_mark
from ..session import Session
from ..users import writers
from .last_difference import Changes, Known, LastDifference, bring_over, known_of
from .lockable import is_lockable, make_lockable, release
from .open_ends import OpenEnds, SnapshotIds
from .rounds import Round, RoundCopy
from .unchanged import round_if_equal


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
    """One cutover, begun or to be completed.

    ``armed``: both images, open already, where nothing of a former try is left. ``clients_wait``:
    the clients of ``old`` are known to wait, so that nobody opens it meanwhile. Then ``old`` is
    locked in a way that is faster, and on which writes of another client would fail (EROFS).
    ``on_published``: called as soon as clients may use ``new``, if they may before the end.
    """

    def __init__(
        self,
        *,
        session: Session,
        sides: Sides,
        tell: Tell,
        stack: ExitStack,
        armed: Optional[OpenEnds] = None,
        clients_wait: bool = False,
        on_published: Optional[Callable[[], None]] = None,
    ) -> None:
        self.steps = Steps()
        self._session = session
        self._sides = sides
        self._tell = tell
        self._old = stack.enter_context(session.open(sides.old))
        # Another thread takes the name. It removes what it read, by the version that it read, which
        # librados keeps for each ioctx.
        self._named = stack.enter_context(session.open(sides.old))
        self._new = stack.enter_context(session.open(sides.new))
        self._armed = armed
        self._clients_wait = clients_wait
        self._on_published = on_published
        self._left = False  # nobody had ``old`` open once ``new`` had its name
        self.pause = 0.0
        self.late = ""  # the clients that have ``old`` open although ``new`` is used

    @property
    def published(self) -> bool:
        """Whether ``new`` has its name: the point of no return is passed."""
        return headers.image_id(self._new, self._sides.new.image) == self._sides.new.image_id

    def run(self, *, undo: bool = False) -> Optional[Round]:
        """Do it. The last difference; None: only the names were completed.

        ``pause`` is then how long it took until clients could use ``new``, in seconds. ``undo``:
        only complete or undo one that was cut off. Raises MigrationError and librbd's errors,
        with everything undone.
        """
        begun = self.published
        if not begun and (self._armed is None or undo):
            self.undo()
        if undo and not begun:
            raise MigrationError(
                EBUSY, "The clients could not wait for the cutover any longer; nothing was changed."
            )
        try:
            last = None if begun else self._opened_and_done()
            self._require_left()
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
        let_in(self._new, self._sides.new.image_id)

    def _opened_and_done(self) -> Round:
        """All up to the point of no return, after which both images are closed."""
        ends = self._armed
        if ends is None:
            ends = OpenEnds(session=self._session, old=self._sides.old, new=self._sides.new)
        with closing(ends), ThreadPoolExecutor(3) as pool:
            self.steps.end("open")
            return self._done(ends, pool)

    def _done(self, ends: OpenEnds, pool: ThreadPoolExecutor) -> Round:
        ident = self._sides.old.image_id
        doubt = self._require_closed(ends)
        naming = pool.submit(self._take_name)
        reserving = pool.submit(ends.reserve_snapshots) if self._clients_wait else None
        if not is_lockable(self._old, ident):
            naming.result()
            ends.reopen_old(lambda: make_lockable(self._old, ident))
        self._lock(ends)
        known = known_of(ends.old, self._sides.migration)
        changes = Changes(ends, doubt=doubt)
        last = self._copy(ends, changes, pool, reserving)
        unlocking = pool.submit(self._let_into_new, ends)
        naming.result()
        fault_point("cutover.before", "lock")
        keep_locked(self._old, ident, self._session.clients_of(self._sides.old))
        fault_point("cutover.after", "lock")
        self._require_unchanged(ends, changes, last, known)
        self.steps.end("looked again")
        self._publish()
        self.steps.end("published")
        unlocking.result()
        self._left = not self._users(ends.old)
        self.pause = self.steps.seconds
        if self._left and self._on_published is not None:
            self._on_published()
        return last

    def _require_closed(self, ends: OpenEnds) -> bool:
        """Raise MigrationError(EBUSY) while a client has ``old`` open for writing.

        The lock of a client that was killed and whose watch is gone is no obstacle: librbd shuts
        that client out when we take the lock. True: there is such a lock.
        """
        users = self._users(ends.old)
        if users:
            raise self._busy(users)
        holder = headers.lock_holder(self._old, self._sides.old.image_id)
        self.steps.end("closed")
        ours = self._session.clients_of(self._sides.old)
        return holder is not None and holder.client not in ours

    def _users(self, image: rbd.Image) -> list[Watcher]:
        return writers(self._session, self._sides.old, self._old, image, self._sides.fenced)

    def _busy(self, users: list[Watcher]) -> MigrationError:
        old = self._sides.old
        return MigrationError(
            EBUSY,
            f"{old} is open for writing by {name_users(users)}; stop the client, then try again "
            "(one that was killed counts for half a minute); nothing was changed.",
        )

    def _take_name(self) -> None:
        """List ``old`` in the trash, and take its name unless ``new`` gets the same one."""
        old = self._sides.old
        fault_point("cutover.before", "name")
        image_names.trash(self._named, old.image, old.image_id)
        fault_point("cutover.between", "name")
        if not self._sides.same_name:
            image_names.drop(self._named, old.image, old.image_id)
        fault_point("cutover.after", "name")
        self.steps.end("name")

    def _lock(self, ends: OpenEnds) -> None:
        """Take the lock of ``old``. Where clients wait nobody else gets it from now on.

        Else it is librbd's ordinary one, which any change takes: a client that asks for it gets it.
        """
        try:
            if self._clients_wait:
                ends.old.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
            else:
                ends.old.set_snap_limit(ends.old.get_snap_limit())
        except rbd.Error as error:
            if abs(error.errno or 0) not in (EBUSY, EROFS):
                raise
            raise MigrationError(
                EBUSY,
                f"A client has {self._sides.old} open for writing; nothing was changed.",
            ) from error
        users = self._users(ends.old)
        if users:
            raise self._busy(users)
        self.steps.end("lock")

    def _copy(
        self,
        ends: OpenEnds,
        changes: Changes,
        pool: ThreadPoolExecutor,
        reserving: Optional[Future[SnapshotIds]],
    ) -> Round:
        """The last round. We have the lock of ``old``, unless a client asks for it.

        ``reserving``: the numbers of its snapshots, if they are being reserved.
        """
        if reserving is not None:
            simple = LastDifference(
                session=self._session,
                migration=self._sides.migration,
                ends=ends,
                pool=pool,
                changes=changes,
                steps=self.steps,
                tell=self._tell,
            )
            found = simple.simple()
            if found is not None:
                return simple.copy(*found, reserving)
        last = None if changes.doubt else round_if_equal(ends)
        if last is None:
            last = RoundCopy.between(
                ends,
                session=self._session,
                migration=self._sides.migration,
                fenced=self._sides.fenced,
                tell=self._tell,
            ).run_up_to_now(ends.old, ends.writer, quick=True)
        bring_over(ends)
        self.steps.end("round")
        return last

    def _let_into_new(self, ends: OpenEnds) -> None:
        ends.close_writer()
        self.steps.end("new closed")

    def _require_unchanged(
        self, ends: OpenEnds, changes: Changes, last: Round, known: Known
    ) -> None:
        """Raise MigrationError unless ``old`` is what it was at the snapshot, and closed.

        ``known``: what users gave it before that was copied. A client that had the lock may have
        rolled ``old`` back, which an object map does not tell; not since a snapshot that we took
        with the lock.
        """
        ident = self._sides.old.image_id
        newest = max(list(ends.old.list_snaps()), key=lambda snapshot: int(snapshot["id"]))
        snap_id, size = int(newest["id"]), headers.size(self._old, ident)
        _, snapshots = image_snapshots.snapshot_ids(self._old, ident)
        same = newest["name"] == last.comparison_snapshot and int(newest["size"]) == size
        same = same and snapshots[-1] == snap_id and not self._users(ends.old)
        # librbd may not have been told yet of one that was removed: the header says it.
        same = same and {view.id for view in known.snapshots} <= set(snapshots)
        same = same and known == known_of(ends.old, self._sides.migration)
        varied: Optional[tuple[int, ...]] = ()
        if last.unchanged:
            varied = read_mark(self._new, self._sides.new).varied
        if same and not len(changes.since(snap_id, last.comparison_snapshot, varied)):
            return
        raise MigrationError(
            EBUSY,
            f"Somebody opened {self._sides.old}, or changed its data, its snapshots or its "
            "metadata during the cutover, which was undone; try again.",
        )

    def _publish(self) -> None:
        old, new = self._sides.old, self._sides.new
        fault_point("cutover.before", "publish")
        if self._sides.same_name:
            image_names.switch(self._new, new.image, old.image_id, new.image_id)
        else:
            image_names.give(self._new, new.image, new.image_id)
        fault_point("cutover.after", "publish")

    def _require_left(self) -> None:
        """Take the name back where a client opened ``old`` by it in the last moment.

        That client waits for the lock, and would wait without end. Where somebody uses ``new``
        already it has to be stopped by hand. Raises MigrationError(EBUSY).
        """
        old, new = self._sides.old, self._sides.new
        if self._left or not locked_out(self._old, old.image_id):
            return  # else it is being removed, or was given back to its clients
        with rbd.Image(self._old, image_id=old.image_id, read_only=True) as image:
            users = self._users(image)
        if not users:
            return
        self.late = name_users(users)
        try:
            lock_out(self._new, new.image_id)
        except MigrationError:
            return  # a client has the lock of ``new``
        fault_point("cutover.after", "second thoughts")
        with rbd.Image(self._new, image_id=new.image_id, read_only=True) as image:
            used = writers(self._session, new, self._new, image, self._sides.fenced)
        if used:
            let_in(self._new, new.image_id)
            return
        if self._sides.same_name:
            image_names.switch(self._new, new.image, new.image_id, old.image_id)
        else:
            image_names.drop(self._new, new.image, new.image_id)
        fault_point("cutover.after", "taken back")
        raise self._busy(users)

    def _complete(self) -> None:
        """Bring directory and trash in line with the names."""
        old, new, former = self._sides.old, self._sides.new, self._sides.former
        let_in(self._new, new.image_id)
        if headers.image_exists(self._old, old.image_id):
            image_names.trash(self._old, old.image, old.image_id)
            if not self._sides.same_name:
                image_names.drop(self._old, old.image, old.image_id)
        image_names.complete(self._new, new.image, new.image_id, former)
        fault_point("cutover.after", "complete")
