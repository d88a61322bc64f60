"""Measures the duration of each step, and finds the step of a point in time."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Measures consecutive steps with the monotonic clock."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, float, float]] = []

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self._steps.append((name, begun, time.monotonic()))

    @property
    def seconds(self) -> dict[str, float]:
        return {name: end - begun for name, begun, end in self._steps}

    def step_at(self, moment: float) -> str:
        """Return the step that was running at a time; empty between two of them."""
        for name, begun, end in self._steps:
            if begun <= moment <= end:
                return name
        return ""
