"""Requests in flight: a limited number at a time, and their first failure."""

from __future__ import annotations

import threading
from typing import Optional

from ...control.mover.pieces import Extent, Position
from ...model.errors import errno_name

MOST = 64  # requests
MOST_BYTES = 32 << 20  # a worker needs twice as much memory for them


class CopyFailed(Exception):
    """A request failed, as one sentence. ``side`` is what was asked: ``source`` or ``target``."""

    def __init__(self, errno: int, side: str, offset: int) -> None:
        what = "The source could not be read" if side == "source" else "The target failed"
        super().__init__(f"{what} at the byte {offset} ({errno_name(errno)}).")
        self.errno = errno
        self.side = side
        self.offset = offset


class Requests:
    """Counts pieces that are being copied. Thread-safe."""

    def __init__(self, begin: int) -> None:
        """``begin``: where the first piece begins; what is before it is done."""
        self._changed = threading.Condition()
        self._position = Position(begin)
        self._count = 0
        self._bytes = 0
        self._copied = 0
        self._failure: Optional[CopyFailed] = None

    def begin(self, piece: Extent) -> None:
        """Wait until another piece may begin. Raises the first failure instead."""
        with self._changed:
            while self._failure is None and not self._room(piece.length):
                self._changed.wait()
            if self._failure is not None:
                raise self._failure
            self._count += 1
            self._bytes += piece.length
            self._position.begin(piece.end)

    def _room(self, length: int) -> bool:
        if not self._count:
            return True
        return self._count < MOST and self._bytes + length <= MOST_BYTES

    def done(self, piece: Extent) -> None:
        """A piece is on the target."""
        with self._changed:
            self._position.done(piece.end)
            self._copied += piece.length if piece.data else 0
            self._end(piece)

    def failed(self, piece: Extent, failure: CopyFailed) -> None:
        """A piece could not be copied."""
        with self._changed:
            self._failure = self._failure or failure
            self._end(piece)

    def _end(self, piece: Extent) -> None:
        self._count -= 1
        self._bytes -= piece.length
        self._changed.notify_all()

    def reached(self) -> tuple[int, int]:
        """Up to where everything is done, and the bytes of data of all pieces that are."""
        with self._changed:
            return self._position.reached, self._copied

    def drain(self) -> None:
        """Wait until none is in flight."""
        with self._changed:
            while self._count:
                self._changed.wait()

    def require_done(self) -> None:
        """Wait until none is in flight, then raise the first failure, if there was one."""
        self.drain()
        if self._failure is not None:
            raise self._failure
