"""Answers that are kept for a moment, because thousands of images ask the same question.

An answer can be kept the longer the longer the look for it took: then looking takes a bounded part
of the time, and what is cheap is nearly always read again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_LONGEST = 60.0  # seconds
_MOST = 1000  # answers; beyond them all are forgotten

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Keeps an answer for each key. For several threads.

    An answer is kept for ``least`` seconds, or for ``times`` as long as the look took, whichever is
    longer. ``clock``: seconds, monotonic.
    """

    def __init__(
        self, clock: Callable[[], float], *, least: float = 0.0, times: float = 0.0
    ) -> None:
        self._least = least
        self._times = times
        self._clock = clock
        self._answers: dict[Key, tuple[float, Value]] = {}  # until when, and the answer
        self._lock = threading.Lock()

    def get(self, key: Key, look: Callable[[], Value]) -> Value:
        """The answer that is kept, else that of ``look``; what ``look`` raises is not kept."""
        began = self._clock()
        with self._lock:
            kept = self._answers.get(key)
        if kept is not None and began < kept[0]:
            return kept[1]
        value = look()
        now = self._clock()
        lasts = min(_LONGEST, max(self._least, self._times * (now - began)))
        with self._lock:
            if len(self._answers) >= _MOST:
                self._answers.clear()
            self._answers[key] = (now + lasts, value)
        return value
