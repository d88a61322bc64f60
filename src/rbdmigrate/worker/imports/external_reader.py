"""A source outside as one end of a copy: its snapshots and its head, read by ourselves or QEMU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from errno import ESTALE
from typing import Optional, Union

from ...control.mover.history import View
from ...control.mover.pieces import GRAIN, Extent
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError
from ...sources.content import Content
from ...sources.copying import CopySource
from ...sources.errors import SourceError
from ...sources.qemu.content import QemuContent
from ..mover.ends import OpenView, ReadDone
from .pooled import PooledView

HEAD = 1 << 40
"""The number of the head among the views of a source; its snapshots are counted from 1."""


class ExternalReader:
    """A source outside with its snapshots. What QEMU has open is kept for the next one to ask."""

    def __init__(self, source: CopySource, head: str) -> None:
        """``head``: the name of the snapshot that the target gets for the head."""
        self._source = source
        self._kept: Optional[tuple[Optional[str], QemuContent]] = None
        snapshots = source.snapshots()
        with self._content(None) as content:
            size = content.size
        self._views = [
            View(number, snapshot.name, snapshot.size, compared=True)
            for number, snapshot in enumerate(snapshots, 1)
        ]
        self._views.append(View(HEAD, head, size, compared=True))
        self.failure: Optional[SourceError] = None

    def views(self) -> list[View]:
        """Its snapshots, the oldest first, and the head."""
        return self._views

    def has(self, views: Iterable[View]) -> bool:
        """They do not go: whether a source changed is asked otherwise."""
        return True

    def require(self, names: Iterable[str]) -> None:
        """Require that its snapshots are those that were found when the import was asked for."""
        if [view.name for view in self._views[:-1]] != list(names):
            raise MigrationError(
                ESTALE,
                f"The snapshots of {self._source.spec.label()} are others than when the import was "
                "prepared; abort it, and begin another one.",
            )

    def from_its_beginning(self, mark: CopyMark) -> CopyMark:
        """The mark for a view that was begun and has to be read from its beginning again.

        The target may hold what the source does not give any more, so all of it is compared.
        """
        begun = [view for view in self._views if view.id == mark.view]
        if not begun:
            return mark
        with self._content(self._name(begun[0])) as content:
            if not content.in_order:
                return mark
        before = sum(view.size for view in self._views if view.id in mark.sources)
        return replace(mark, position=0, mixed=True, bytes=min(mark.bytes, before))

    def _name(self, view: View) -> Optional[str]:
        return None if view.id == HEAD else view.name

    def close(self) -> None:
        """End what is kept open. Never raises."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[1].close()

    @contextmanager
    def _content(self, name: Optional[str]) -> Iterator[Content]:
        """The disk in a snapshot or the head. It is kept open when nothing went wrong with it."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == name:
            content: Content = kept[1]
        else:
            if kept is not None:
                kept[1].close()
            content = self._source.open(name, summed=True)
        with ExitStack() as stack:
            stack.enter_context(content)
            yield content
            if isinstance(content, QemuContent) and not content.client.failed:
                self._kept = name, content
                stack.pop_all()

    @contextmanager
    def open(self, view: View) -> Iterator[OpenView]:
        """Open a snapshot, or the head."""
        name = self._name(view)
        with self._content(name) as content:
            if isinstance(content, QemuContent):
                made: Union[QemuView, PooledView] = QemuView(content)
            else:
                made = PooledView(content, lambda: self._source.open(name, summed=True))
            try:
                yield made
            finally:
                made.close()
                self.failure = made.failure()
            content.finish()


class QemuView:
    """A disk that QEMU reads, open."""

    tells_all = False
    grain = GRAIN

    def __init__(self, content: QemuContent) -> None:
        self._content = content
        self._failed: Optional[tuple[int, int]] = None

    def changes(self, base: Optional[View], offset: int, length: int) -> Iterable[Extent]:
        """What holds data in this part of the disk."""
        return (Extent(*found) for found in self._content.extents(offset, length))

    def read(self, offset: int, length: int, done: ReadDone) -> None:
        """Begin to read."""

        def noted(errno: int, content: bytes) -> None:
            if errno and self._failed is None:
                self._failed = (errno, offset)
            done(errno, content)

        self._content.begin_read(offset, length, noted)

    def close(self) -> None:
        """Nothing is in flight any more."""

    def failure(self) -> Optional[SourceError]:
        """Why the first read that failed did; None if all went well."""
        return None if self._failed is None else self._content.explained(*self._failed)
