"""Whether our worker had a target to itself while it copied.

Our copy writes the target's header all the time, so that its version proves nothing meanwhile. What
does: a client that wants to write takes the exclusive lock, and librbd's copy begins again at the
first object whenever it has lost the lock and got it back, or has handed the copy over.
"""

from __future__ import annotations

from typing import Optional

import rados

from ...cluster import headers
from ...model.migration import Place
from ..session import Session


class SoleWriter:
    """Watches one copy. ``alone`` is true as long as nothing shows that somebody else was there."""

    def __init__(
        self, *, session: Session, ioctx: rados.Ioctx, target: Place, untouched: Optional[int]
    ) -> None:
        """``untouched``: the version of the header while nobody wrote it; None: it is not known."""
        self._session = session
        self._ioctx = ioctx
        self._target = target
        self._untouched = untouched
        self._last = -1
        self.alone = True

    def begins(self) -> None:
        """Call it right before the copy."""
        version = headers.version(self._ioctx, self._target.image_id)
        if self._untouched is None or version != self._untouched or self._held_by_others():
            self.alone = False

    def object(self, number: int) -> None:
        """Call it with each object number that librbd tells of."""
        if number <= self._last:
            self.alone = False
        self._last = number

    def ended(self) -> Optional[int]:
        """Call it right after the copy; the version of the header then."""
        version = headers.version(self._ioctx, self._target.image_id)
        if self._held_by_others():
            self.alone = False
        return version

    def _held_by_others(self) -> bool:
        holder = headers.lock_holder(self._ioctx, self._target.image_id)
        return holder is not None and holder.client not in self._session.clients
