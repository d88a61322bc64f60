"""The throttle of one copy: how long to sleep, object by object. Pure; ``now`` is passed in.

librbd calls back when the copy of an object starts, and the copy waits while the callback sleeps.
An object is paid for before it is copied, so that a copy is never ahead of its rate by more than
the burst. The debt is kept in bytes, never in seconds: another rate is felt by the sleep after
this one, and no sleep is longer than ``MAX_SLEEP``. The caller's loop is::

    pause = bucket.charge(extents.cost(object_no), clock())
    while pause:
        sleep(pause)
        pause = bucket.pause(clock())

A caller that must not wait that long for one object (the callback holds the image's owner lock)
may leave the loop early: the debt stays and is slept off by the objects that follow.
"""

from __future__ import annotations

from typing import Optional

MAX_SLEEP = 0.5  # seconds; how soon a sleeping copy feels a new rate, a pause or a cancel
MIN_SLEEP = 0.005  # seconds; a shorter sleep is not worth its overhead, its bytes stay as debt
BURST = 0.5  # seconds' worth of bytes that a copy may catch up on after it fell behind its rate


class TokenBucket:
    """A rate in bytes per second: None is no limit, and with 0 nothing passes.

    It starts empty: a copy that begins has nothing to catch up on. ``now`` is of a clock that does
    not go back (``time.monotonic``), in seconds. Not thread-safe: the caller locks.
    """

    def __init__(self, rate: Optional[int], now: float, burst: float = BURST) -> None:
        """``burst``: seconds, at most 1."""
        if not 0 <= burst <= 1:
            raise ValueError("a burst is at most one second")
        self._rate = rate
        self._burst = burst
        self._then = now
        self._tokens = 0.0  # bytes that may be copied at once; a debt when below zero

    @property
    def rate(self) -> Optional[int]:
        """Bytes per second; None is no limit, and with 0 nothing passes."""
        return self._rate

    @property
    def debt(self) -> float:
        """Bytes that were charged and are not slept off yet, as of the last call."""
        return max(0.0, -self._tokens)

    def set_rate(self, rate: Optional[int], now: float) -> None:
        """Change the rate from ``now`` on, for existing debt too; no limit cancels the debt."""
        self._refill(now)
        self._rate = rate
        self._cap()

    def charge(self, size: int, now: float) -> float:
        """Return the seconds to sleep before an object of ``size`` bytes (0: a hole) is copied."""
        self._refill(now)
        if self._rate is not None:
            self._tokens -= size
        return self._sleep()

    def pause(self, now: float) -> float:
        """Return the seconds to sleep again after a sleep; 0 when the object may be copied."""
        self._refill(now)
        return self._sleep()

    def _refill(self, now: float) -> None:
        elapsed = max(0.0, now - self._then)
        self._then = max(now, self._then)
        self._tokens += elapsed * (self._rate or 0)
        self._cap()

    def _cap(self) -> None:
        self._tokens = 0.0 if self._rate is None else min(self._tokens, self._rate * self._burst)

    def _sleep(self) -> float:
        if self._rate is None or self._tokens >= 0:
            return 0.0
        if self._rate == 0:
            return MAX_SLEEP
        seconds = -self._tokens / self._rate
        return min(seconds, MAX_SLEEP) if seconds >= MIN_SLEEP else 0.0
