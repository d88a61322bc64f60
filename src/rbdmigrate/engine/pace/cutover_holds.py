"""Why a cutover must not begin now: its window, and the limit of cutovers at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sized
from datetime import datetime, timezone
from typing import Optional

from ...control.lifecycle.cutover import changed_over, in_cutover
from ...control.pace.window import Window
from ...model.errors import MigrationError
from ...model.migration import Hold, Migration
from ...model.states import HoldReason
from ..settings import Settings
from .windows import closed, parsed

_STALE = 1.0  # seconds for which a window's state is remembered: many ask, and often


class CutoverHolds:
    """Says what holds a cutover. Thread-safe."""

    def __init__(self, settings: Callable[[], Settings], in_cutover: Callable[[], Sized]) -> None:
        self._settings = settings
        self._in_cutover = in_cutover
        self._lock = threading.Lock()
        self._closed: dict[Window, Optional[Hold]] = {}
        self._closed_until = 0.0

    def hold(self, m: Migration) -> Optional[Hold]:
        """Why the cutover of ``m`` must not begin now; None: it may, or it has begun."""
        if changed_over(m) or in_cutover(m):
            return None
        return self.window(m) or self._limit()

    def window(self, m: Migration) -> Optional[Hold]:
        """Why it is not the time for the cutover of ``m``; None when it is."""
        if not m.cutover_window:
            return None
        try:
            window = parsed(m.cutover_window, self._settings().timezone)
        except MigrationError as error:  # a zone that this host does not know
            return Hold(HoldReason.WINDOW, f"Its cutover window cannot be read: {error}")
        with self._lock:
            if time.monotonic() > self._closed_until:
                self._closed.clear()
                self._closed_until = time.monotonic() + _STALE
            if window not in self._closed:
                now = datetime.fromtimestamp(time.time(), timezone.utc)
                self._closed[window] = closed(window, "Its cutover window", now)
            return self._closed[window]

    def _limit(self) -> Optional[Hold]:
        most = self._settings().max_cutovers
        if not most:
            return None
        if len(self._in_cutover()) < most:
            return None
        return Hold(
            HoldReason.LIMIT,
            f"At most {most} may cut over at once (limit max_cutovers); it waits for another one.",
        )
