"""Reading a stream with several requests at once: each thread has the stream open for itself.

What has to be read in order has a single thread, which answers requests in the order in which they
come: a copy makes them in rising order.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from errno import EIO
from typing import Optional

from ...control.mover.history import View
from ...control.mover.pieces import GRAIN, Extent
from ...sources.content import Content
from ...sources.errors import SourceError
from ..mover.ends import ReadDone

_THREADS = 8

_Asked = tuple[int, int, ReadDone]


class PooledView:
    """A disk whose bytes are read by ourselves. ``content`` is open, ``opened`` opens it again."""

    tells_all = False
    grain = GRAIN

    def __init__(self, content: Content, opened: Callable[[], Content]) -> None:
        self._content = content
        self._opened = opened
        self._asked: queue.SimpleQueue[Optional[_Asked]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._failure: Optional[SourceError] = None
        self._most = 1 if content.in_order else _THREADS

    def changes(self, base: Optional[View], offset: int, length: int) -> Iterable[Extent]:
        """What may hold data in this part of the disk."""
        return [Extent(*found) for found in self._content.extents(offset, length)]

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read."""
        self._asked.put((offset, length, done))
        if len(self._threads) < self._most:
            self._threads.append(threading.Thread(target=self._work, daemon=True))
            self._threads[-1].start()

    def _work(self) -> None:
        content = self._content if self._content.in_order else None
        while True:
            asked = self._asked.get()
            if asked is None:
                break
            offset, length, done = asked
            try:
                content = content or self._opened()
                found = content.read(offset, length)
            except Exception as error:
                self._note(error)
                done(abs(getattr(error, "errno", 0) or 0) or EIO, b"")
                continue
            done(0 if len(found) == length else EIO, found)
        if content is not None and content is not self._content:
            content.close()

    def _note(self, error: Exception) -> None:
        if isinstance(error, SourceError):
            self._failure = self._failure or error

    def close(self) -> None:
        """End the threads; nothing is in flight any more."""
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join()

    def failure(self) -> Optional[SourceError]:
        """The first error of the source; None if all went well."""
        return self._failure
