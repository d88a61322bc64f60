"""The holes of an open file, as its file system tells them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from errno import ENXIO


class FileData:
    """Tells what of an open file is data.

    The answer of the file system is kept for the next question: to find the end of the data it may
    walk through all of them, and so a question for each block of a file would take quadratic time.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._known = (0, 0, 0)  # from, begin, end: a hole until begin, data until end

    def within(self, offset: int, end: int) -> Iterator[tuple[int, int]]:
        """(offset, length) of what is not a hole, in order.

        Where the file system does not tell, all of it.
        """
        while offset < end:
            asked, begin, stop = self._known
            if not asked <= offset < stop:
                begin, stop = self._next(offset)
                self._known = (offset, begin, stop)
            begin = max(begin, offset)
            if begin >= end:
                return
            yield begin, min(stop, end) - begin
            offset = stop

    def _next(self, offset: int) -> tuple[int, int]:
        """Where the next data begin and end; both are beyond every file where there are none."""
        try:
            begin = os.lseek(self._descriptor, offset, os.SEEK_DATA)
            return begin, os.lseek(self._descriptor, begin, os.SEEK_HOLE)
        except OSError as error:
            return (sys.maxsize if error.errno == ENXIO else offset), sys.maxsize
