"""Copying one piece: read, leave zeros out, write; each step begins when the one before it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from errno import EIO

from ...control.mover.pieces import Extent, runs
from .ends import OpenView, Writer
from .requests import CopyFailed, Requests


class PieceCopy:
    """One piece on its way. Its steps run in threads of librbd.

    ``onto_nothing``: the target reads as zeros there, so that zeros are not written. ``compare``:
    what the target has there is read too, and only what differs is written. ``grain``: bytes of
    the blocks in which zeros are told from data.
    """

    def __init__(
        self,
        *,
        view: OpenView,
        writer: Writer,
        piece: Extent,
        requests: Requests,
        onto_nothing: bool,
        compare: bool,
        grain: int,
    ) -> None:
        self._view = view
        self._writer = writer
        self._piece = piece
        self._requests = requests
        self._onto_nothing = onto_nothing
        self._compare = compare
        self._grain = grain
        self._lock = threading.Lock()
        self._writing = 0
        self._errno = 0

    def begin(self) -> None:
        """Begin the first step. A step that fails ends the piece."""
        piece = self._piece
        if piece.data:
            self._guarded(lambda: self._view.read(piece.offset, piece.length, self._have_read))
        else:
            self._guarded(lambda: self._write([piece], b""))

    def _have_read(self, errno: int, content: bytes) -> None:
        if errno:
            self._failed(errno, "source")
        elif self._compare:
            offset, length = self._piece.offset, self._piece.length

            def have_both(failed: int, there: bytes) -> None:
                if failed:
                    self._failed(failed, "target")
                elif there == content:
                    self._requests.done(self._piece)
                else:
                    self._guarded(lambda: self._write_data(content))

            self._guarded(lambda: self._writer.read(offset, length, have_both))
        else:
            self._guarded(lambda: self._write_data(content))

    def _write_data(self, content: bytes) -> None:
        found = list(runs(content, self._piece.offset, self._grain))
        self._write([run for run in found if run.data or not self._onto_nothing], content)

    def _write(self, parts: list[Extent], content: bytes) -> None:
        if not parts:
            self._requests.done(self._piece)
            return
        self._writing = len(parts)
        for number, part in enumerate(parts):
            try:
                self._write_part(part, content)
            except Exception as error:
                self._errno = abs(getattr(error, "errno", 0) or 0) or EIO
                self._end(len(parts) - number)
                return

    def _write_part(self, part: Extent, content: bytes) -> None:
        if not part.data:
            self._writer.write_zeroes(part.offset, part.length, self._written)
            return
        begin = part.offset - self._piece.offset
        whole = part.length == len(content)
        data = content if whole else content[begin : begin + part.length]
        self._writer.write(part.offset, data, self._written)

    def _written(self, errno: int) -> None:
        if errno:
            self._errno = errno
        self._end(1)

    def _end(self, parts: int) -> None:
        with self._lock:
            self._writing -= parts
            if self._writing:
                return
        if self._errno:
            self._failed(self._errno, "target")
        else:
            self._requests.done(self._piece)

    def _failed(self, errno: int, side: str) -> None:
        self._requests.failed(self._piece, CopyFailed(errno, side, self._piece.offset))

    def _guarded(self, step: Callable[[], None]) -> None:
        """Begin a step: an exception in a thread of librbd would end nothing, and be lost."""
        try:
            step()
        except Exception as error:
            errno = abs(getattr(error, "errno", 0) or 0) or EIO
            self._failed(errno, "target" if self._writing else "source")
