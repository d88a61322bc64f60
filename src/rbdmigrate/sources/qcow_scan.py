"""A scan of all L2 tables of a QCOW file: clusters that librbd cannot read, and bytes to copy."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from .qcow_entries import Counts, count, count_changed, host_offset
from .qcow_header import Header
from .qcow_tables import Tables, View
from .stream import Stream


@dataclass
class Scan:
    """The result in clusters; a table shared by several views counts once. ``to_copy``: clusters
    with data in the first view, and with changed data in each later one. ``unfinished``: why not
    all tables were scanned; empty when they were.
    """

    to_copy: int = 0
    compressed: int = 0
    zeroed: int = 0
    beyond: int = 0
    malformed: int = 0
    unfinished: str = ""


class Scanner:
    """Scans the tables of one file. At most ``budget`` bytes of them are read, and only while
    ``in_time`` is true.
    """

    def __init__(
        self, stream: Stream, header: Header, *, budget: int, in_time: Callable[[], bool]
    ) -> None:
        self._file_size = stream.size
        self._header = header
        self._tables = Tables(stream, header)
        self._budget = budget
        self._in_time = in_time
        self._known: dict[int, Counts] = {}
        self._scan = Scan()

    def look(self, views: list[View]) -> Scan:
        """Scan ``views``, given in the order in which they are copied. Raises SourceError."""
        for number in range(max(len(view.l1) for view in views)):
            if not self._look_at_column(number, views):
                break
        return self._scan

    def _look_at_column(self, number: int, views: list[View]) -> bool:
        """Scan the tables of one part of the disk, view by view; False when the time is up."""
        before, last = 0, None
        for view in views:
            entry = view.l1[number] if number < len(view.l1) else 0
            place = host_offset(self._header, entry)
            if place == before:
                continue
            table = None
            if place:
                if not self._may_read(place):
                    return False
                table = self._tables.l2(entry)
            if table is not None:
                self._scan.to_copy += self._changed(place, table, last)
            before, last = place, table
        return True

    def _may_read(self, place: int) -> bool:
        if place in self._known:
            return True
        self._budget -= 8 << self._header.l2_bits
        if self._budget < 0:
            self._scan.unfinished = "it is too large"
        elif not self._in_time():
            self._scan.unfinished = "the time was up"
        return not self._scan.unfinished

    def _changed(self, place: int, table: array[int], before: Optional[array[int]]) -> int:
        """The number of clusters of the table whose data differs from the view before."""
        counts = self._known.get(place)
        if counts is None:
            counts = self._known[place] = count(self._header, table, self._file_size)
            self._scan.compressed += counts.compressed
            self._scan.zeroed += counts.zeroed
            self._scan.beyond += counts.beyond
            self._scan.malformed += counts.malformed
        return counts.data if before is None else count_changed(self._header, table, before)
