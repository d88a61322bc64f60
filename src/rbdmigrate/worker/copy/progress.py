"""librbd's progress callbacks: pacing a copy object by object, and telling how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...model.jobs.protocol import Progress, Tell
from ..thread_state import keep_thread_state
from .estimate import CopyEstimate
from .sole_writer import SoleWriter
from .throttle import CopyThrottle

PROGRESS_INTERVAL = 0.25  # seconds between two progress messages of a copy


class CopyProgress:
    """A copy's callback: paces each object, and tells how far it is now and then."""

    def __init__(
        self, *, pace: CopyThrottle, found: CopyEstimate, tell: Tell, watch: SoleWriter
    ) -> None:
        self._watch = watch
        self._pace = pace
        self._found = found
        self._report = tell
        self._last = 0.0

    def next(self, number: int, total: int) -> int:
        """The copy of the object ``number`` begins; librbd calls this for each."""
        keep_thread_state()
        alone = self._watch.alone
        self._watch.object(number)
        costs = self._found.to_copy
        self._pace.wait(costs.cost(number) if number < costs.objects else 0)
        now = time.monotonic()
        if now - self._last >= PROGRESS_INTERVAL or alone != self._watch.alone:
            self._last = now
            self.tell(number, total)
        return 0

    def done(self) -> None:
        """Report that all objects were copied."""
        self.tell(self._found.to_copy.objects, self._found.to_copy.objects)

    def tell(self, number: int, total: int) -> None:
        """Report the objects begun and the bytes that are on the target with them."""
        found = self._found
        copied = min(found.total, found.present + found.to_copy.copied_up_to(number))
        self._report(Progress(number, total, copied, found.total, self._watch.alone))


def objects(tell: Tell) -> Callable[[int, int], int]:
    """A progress callback for acts that copy nothing: passed on a few times a second."""
    last = 0.0

    def callback(done: int, total: int) -> int:
        nonlocal last
        keep_thread_state()
        now = time.monotonic()
        if now - last >= PROGRESS_INTERVAL:
            last = now
            tell(Progress(done, total))
        return 0

    return callback
