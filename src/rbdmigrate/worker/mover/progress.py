"""Telling how far a copy of the mover is."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...model.jobs.protocol import Progress, Tell
from ..copy.progress import PROGRESS_INTERVAL


class CopiedSoFar:
    """Tells a few times a second how far a copy is: in bytes, and in objects of the target.

    ``total``: bytes to copy, as estimated. ``alone``: whether nobody else has the target open.
    """

    def __init__(
        self,
        *,
        tell: Tell,
        total: int,
        object_size: int,
        alone: Callable[[], bool] = lambda: True,
    ) -> None:
        self._tell = tell
        self._total = total
        self._object_size = object_size
        self._alone = alone
        self._last = 0.0

    def __call__(self, copied: int) -> None:
        now = time.monotonic()
        if now - self._last < PROGRESS_INTERVAL:
            return
        self._last = now
        size, total = self._object_size, max(self._total, copied)
        self._tell(Progress(copied // size, -(-total // size), copied, total, self._alone()))
