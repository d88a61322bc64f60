"""A thread of the engine that does one thing again and again until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Optional


class RepeatingThread:
    """A thread that calls ``step``, for the first time after ``first`` seconds.

    ``step`` returns the seconds until it is called again; None ends the thread. It has to catch
    what it raises.
    """

    def __init__(
        self, *, name: str, step: Callable[[], Optional[float]], first: float = 0.0
    ) -> None:
        self._step = step
        self._first = first
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rbdmigrate-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Have the thread end; :meth:`join` waits for it."""
        self._stopping.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False when it is still there."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait: Optional[float] = self._first
        while wait is not None and not self._stopping.wait(wait):
            wait = self._step()
