"""The two ends of a copy: what is read from, and what is written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Optional, Protocol

from ...control.mover.history import View
from ...control.mover.pieces import Extent, ExtentList

ReadDone = Callable[[int, bytes], None]
"""Called with a positive errno, 0 for success, and the content; in a thread of librbd."""

WriteDone = Callable[[int], None]
"""Called with a positive errno, 0 for success; in a thread of librbd."""


class OpenView(Protocol):
    """A view that is open for reading. Thread-safe.

    ``tells_all``: without a base ``changes`` tells also where only the target holds data.
    ``grain``: size in bytes of the blocks in which zeros are left out.
    """

    @property
    def tells_all(self) -> bool: ...

    @property
    def grain(self) -> int: ...

    def changes(self, base: Optional[View], offset: int, length: int) -> Iterable[Extent]:
        """What differs from ``base`` in this part of the disk, in rising order.

        None: what holds data. Never too little; what is told as data may be zeros, and where a
        parent is involved also the same as in ``base``. Extents without data are told only of a
        difference.
        """

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read."""


class Reader(Protocol):
    """A disk with its snapshots."""

    def views(self) -> list[View]:
        """The snapshots that it has now, the oldest first."""

    def open(self, view: View) -> AbstractContextManager[OpenView]:
        """Open a view."""

    def has(self, views: Iterable[View]) -> bool:
        """Whether all of them are still there.

        What was read from a snapshot counts only when it was there afterwards: once it is removed
        librbd reads zeros from it, without an error (measured, 16.2.15).
        """


class Writer(Protocol):
    """The target, which nobody else writes to. Thread-safe as far as requests go."""

    object_size: int

    def snapshots(self) -> list[View]:
        """Its snapshots, the oldest first."""

    def resize(self, size: int) -> None:
        """Make the head ``size`` bytes long; what is added reads as zeros."""

    def allocated(self, offset: int, length: int) -> ExtentList:
        """What of the head may hold anything but zeros."""

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read from the head."""

    def write(self, offset: int, content: bytes, done: WriteDone) -> None:
        """Begin to write to the head."""

    def write_zeroes(self, offset: int, length: int, done: WriteDone) -> None:
        """Begin to make a part of the head read as zeros."""

    def flush(self) -> None:
        """Return when all that was written is safe."""

    def complete_removals(self) -> None:
        """Complete the removal of snapshots of its own that was cut off."""

    def take_snapshot(self, view: View) -> None:
        """Give the target the snapshot of ``view``, whose content the head has."""

    def reserved_number(self) -> Optional[int]:
        """The number for :meth:`take_numbered`; None: use :meth:`take_snapshot`."""

    def take_numbered(self, view: View, number: int, mark: str) -> None:
        """Give the target the snapshot of ``view`` with this number, and the copy mark with it."""

    def protect(self, snapshot: View, protected: bool) -> None:
        """Protect a snapshot of its own, or unprotect it."""

    def rename(self, snapshot: View, name: str) -> None:
        """Rename a snapshot of its own."""

    def remove(self, snapshot: View) -> None:
        """Remove a snapshot of its own, which is not protected."""

    def save_mark(self, text: str) -> None:
        """Keep the copy mark."""
