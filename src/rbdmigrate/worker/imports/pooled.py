"""Reading a stream with several requests at once: each thread has the stream open for itself.

The first thread has what is open already. Further ones take part once the source answers them too:
a server may serve one connection after another, or refuse more than some. What has to be read in
order has a single thread, which answers requests in the order in which they come: a copy makes them
in rising order.
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
        self._begun = 0
        self._most = 1 if content.in_order else _THREADS
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []  # that have the stream open
        self._serving = 0  # of these
        self._closing = False
        self._errno = 0
        self._failure: Optional[SourceError] = None

    def changes(self, base: Optional[View], offset: int, length: int) -> Iterable[Extent]:
        """What may hold data in this part of the disk."""
        return [Extent(*found) for found in self._content.extents(offset, length)]

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read. After a request that failed, all others fail in the same way."""
        if self._begun < self._most:
            self._begin()
        self._asked.put((offset, length, done))

    def _begin(self) -> None:
        """Begin another thread. RuntimeError: not even one can be begun."""
        work = self._further if self._begun else self._first
        try:
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError:
            if not self._begun:
                raise
            self._most = self._begun
            return
        self._begun += 1

    def _first(self) -> None:
        if self._joined():
            self._serve(self._content)

    def _further(self) -> None:
        try:
            content = self._opened()
        except Exception:
            return  # the first thread meets what is wrong with more than another connection
        with content:
            if self._joined():
                self._serve(content)

    def _joined(self) -> bool:
        """Whether this thread takes part from now on."""
        with self._lock:
            if self._closing:
                return False
            self._threads.append(threading.current_thread())
            self._serving += 1
            return True

    def _serve(self, content: Content) -> None:
        while True:
            asked = self._asked.get()
            if asked is None:
                return
            offset, length, done = asked
            if self._errno:
                done(self._errno, b"")
                continue
            try:
                found = content.read(offset, length)
            except Exception as error:
                if self._left_to_others(error):
                    self._asked.put(asked)
                    return
                done(self._noted(error), b"")
                continue
            done(0 if len(found) == length else EIO, found)

    def _left_to_others(self, error: Exception) -> bool:
        """Whether others read what this thread cannot, which takes no part any more then."""
        with self._lock:
            if self._serving < 2 or not isinstance(error, SourceError) or not error.transient:
                return False
            self._serving -= 1
            return True

    def _noted(self, error: Exception) -> int:
        """The errno of an error with which everything ends."""
        with self._lock:
            if isinstance(error, SourceError):
                self._failure = self._failure or error
            self._errno = self._errno or abs(getattr(error, "errno", 0) or 0) or EIO
            return self._errno

    def close(self) -> None:
        """End the threads; nothing is in flight any more. One that waits for its connection ends
        by itself later.
        """
        with self._lock:
            self._closing = True
        for _ in range(self._begun):
            self._asked.put(None)
        for thread in self._threads:
            thread.join()

    def failure(self) -> Optional[SourceError]:
        """The first error of the source; None if all went well."""
        return self._failure
