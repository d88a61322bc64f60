"""The worker's throttle: sleeps in librbd's callback, object by object, at the rate it was told.

librbd holds the image's owner lock while its callback runs, so a client that wants the exclusive
lock waits as long: no object is held up longer than ``LONGEST`` in all. What it still owes then is
slept off by the objects that follow. So the lowest rate that is kept is an object in ``LONGEST``:
2 MiB/s with objects of 4 MiB.
"""

from __future__ import annotations

import threading
import time
from typing import Optional

from ...control.pace.token_bucket import TokenBucket

LONGEST = 2.0  # seconds for which one object may be held up


class CopyThrottle:
    """A rate that another thread may change at any time. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bucket = TokenBucket(None, time.monotonic())
        self._hurry_until = 0.0  # monotonic

    def set(self, rate: Optional[int]) -> None:
        """Bytes per second from now on; None is no limit. Wakes a sleeping copy."""
        with self._changed:
            self._bucket.set_rate(rate, time.monotonic())
            self._changed.notify_all()

    def hurry(self, seconds: float) -> None:
        """Hold no object up for so long. What that costs is slept off later."""
        with self._changed:
            self._hurry_until = time.monotonic() + seconds
            self._changed.notify_all()

    def wait(self, size: int, *, patient: bool = False) -> None:
        """Hold an object of ``size`` bytes up until it may be copied.

        ``patient``: for as long as that takes, where nothing is locked meanwhile.
        """
        with self._changed:
            begin = time.monotonic()
            pause = self._bucket.charge(size, begin)
            while pause and (patient or not self._is_due(begin)):
                self._changed.wait(pause)
                pause = self._bucket.pause(time.monotonic())

    def _is_due(self, begin: float) -> bool:
        """Whether an object that is held up since ``begin`` has waited for long enough."""
        now = time.monotonic()
        return now - begin >= LONGEST or now < self._hurry_until
