"""The guests that are paused, or about to be: nobody makes their agents wait for an answer.

A manager runs the commands of a module one after another. So a command that waits for an outcome
delays the question of an agent whose guest is paused, and that guest is paused for longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class GuestPauses:
    """Pauses by their tokens. Thread-safe.

    ``clock``: seconds that only grow.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def expect(self, token: str, seconds: float) -> None:
        """The pause begins or goes on, and is over in so many seconds at the latest."""
        with self._lock:
            self._until[token] = self._clock() + seconds

    def over(self, token: str) -> None:
        """The guest runs again, or was not paused."""
        with self._lock:
            self._until.pop(token, None)

    def any_other(self, token: str = "") -> bool:
        """Whether there is a pause except that of ``token``."""
        now = self._clock()
        with self._lock:
            self._until = {key: until for key, until in self._until.items() if until > now}
            return any(key != token for key in self._until)
