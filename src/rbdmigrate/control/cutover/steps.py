"""The steps of a cutover or a pause and when each ended, to see where its time goes."""

from __future__ import annotations

import threading
import time

from ...model.jobs.answers import StepTime


class Steps:
    """Notes when steps end, in seconds since it was made. Thread-safe."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._ended: list[StepTime] = []

    def end(self, name: str) -> None:
        """A step has ended just now."""
        with self._lock:
            self._ended.append(StepTime(name, round(self.seconds, 4)))

    @property
    def seconds(self) -> float:
        """Since the begin."""
        return time.monotonic() - self._begun

    @property
    def ended(self) -> tuple[StepTime, ...]:
        """The steps in the order in which they ended."""
        with self._lock:
            return tuple(self._ended)

    def text(self) -> str:
        """How long each step took, such as ``pause 0.01 s, close 0.05 s``."""
        ended = self.ended
        begins = [0.0, *(step.ended for step in ended)]
        return ", ".join(
            f"{step.name} {step.ended - begun:.2f} s" for step, begun in zip(ended, begins)
        )
