"""Both images of a migration by the method ``warm``, open for a round or for a cutover."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple, Optional

import rados
import rbd

from ...model.layout import FEATURES
from ...model.migration import Place
from ..mover.image_writer import ImageWriter, open_writer
from ..session import Session
from ..snapshot_numbers import ReservedNumber


class SnapshotIds(NamedTuple):
    """Numbers of snapshots, one of each image."""

    old: int
    new: int


class OpenEnds:
    """``old``, from which clients go, and ``writer``, which has the exclusive lock of ``new``.

    Both are opened at the same time, without a cache. Closing may be repeated.
    """

    def __init__(self, *, session: Session, old: Place, new: Place) -> None:
        """Raises MigrationError(EBUSY) when a client has the lock of ``new``."""
        self.places = (old, new)
        self._session = session
        self._closing = ExitStack()
        self._image: Optional[rbd.Image] = None
        self._closing_writer = ExitStack()
        self._reserved: list[ReservedNumber] = []
        try:
            self.old_ioctx = self._closing.enter_context(session.open(old))
            self.new_ioctx = self._closing.enter_context(session.open(new))
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        def open_new() -> ImageWriter:
            return self._closing_writer.enter_context(open_writer(self.new_ioctx, self.places[1]))

        with self._session.without_cache(), ThreadPoolExecutor(1) as pool:
            opening = pool.submit(open_new)
            self._image = self._opened()
            self.writer = opening.result()

    def _opened(self) -> rbd.Image:
        return rbd.Image(self.old_ioctx, image_id=self.places[0].image_id)

    @property
    def old(self) -> rbd.Image:
        """``old``, open for writing; without its lock, unless that was taken."""
        assert self._image is not None
        return self._image

    def reserve_snapshots(self) -> SnapshotIds:
        """Reserve the number of a snapshot of each, unless they are; they are used once.

        Those that are not used are given back when the images are closed. A worker that is killed
        before leaves them: two numbers that no snapshot has.
        """
        if not self._reserved:
            with ThreadPoolExecutor(2) as pool:  # the monitors number both at once
                both = pool.map(self._reserve, self.places, (self.old_ioctx, self.new_ioctx))
                self._reserved = list(both)
            self._closing.callback(self._give_back)
        return SnapshotIds(*(one.number for one in self._reserved))

    def _reserve(self, place: Place, ioctx: rados.Ioctx) -> ReservedNumber:
        return self._session.numbers_of(place).reserve_for(ioctx, place.image_id)

    def _give_back(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ReservedNumber.give_back, self._reserved))

    def used(self, snap_id: int) -> None:
        """A snapshot has got this number, or may have."""
        self._reserved = [one for one in self._reserved if one.number != snap_id]

    def reopen_old(self, change: Callable[[], None]) -> None:
        """Close ``old``, call ``change``, and open it again."""
        self.old.close()
        self._image = None
        change()
        with self._session.without_cache():
            self._image = self._opened()

    def release_old(self) -> None:
        """Let go of the lock of ``old``, which a snapshot of an image that nobody uses needs.

        librbd lets clients wait for it, but a rollback fails (EROFS).
        """
        lockable = int(self.old.features()) & FEATURES["exclusive-lock"]
        if lockable and self.old.is_exclusive_lock_owner():
            self.old.lock_release()

    def close_writer(self) -> None:
        """Close ``new``, so that clients can write to it."""
        self._closing_writer.close()

    def close(self) -> None:
        """Close all."""
        with self._closing, self._closing_writer:
            if self._image is not None:
                self._image.close()
                self._image = None
