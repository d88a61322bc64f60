"""The snapshots of an image that a native import by the method ``copy`` brings.

It loads none of the servers and formats of other imports.
"""

from __future__ import annotations

from typing import Optional

import rados
import rbd

from ...control.mover.history import View
from ...model.migration import Place
from ..mover.rbd_reader import RbdReader
from ..verify.compare import ImageReader


def history_until(reader: RbdReader, until: int) -> list[View]:
    """The snapshot with the id ``until`` and all that are older, the oldest first."""
    return [view for view in reader.views() if view.id <= until]


class HistorySide(ImageReader):
    """The source's side of a verification: the snapshot that was asked for, and older ones."""

    def __init__(self, ioctx: rados.Ioctx, place: Place, until: int) -> None:
        super().__init__(name="source", ioctx=ioctx, ident=place.image_id)
        self._reader = RbdReader(ioctx, place.image_id)
        self._views = {view.name: view for view in history_until(self._reader, until)}
        self.has_newest = any(view.id == until for view in self._views.values())

    def newest(self) -> str:
        """The snapshot that was asked for, which stands for the head."""
        return next(reversed(self._views))

    def removed(self, snapshot: Optional[str]) -> bool:
        """Whether it is gone: then zeros were read from it. None is the newest one."""
        return not self._reader.has([self._views[snapshot or self.newest()]])

    def open(self, snapshot: Optional[str]) -> rbd.Image:
        """A snapshot; None is the newest one."""
        return super().open(snapshot or self.newest())

    def snapshots(self) -> list[str]:
        """All that are compared, the oldest first."""
        return list(self._views)

    def changed_since(self, comparison_snapshot: str) -> str:
        """Snapshots do not change."""
        return ""
