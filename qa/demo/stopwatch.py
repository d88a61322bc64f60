"""How long each step took, and which step a moment belongs to."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Steps follow one another; their times are those of the monotonic clock."""

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
        """The step that was under way then; empty between two of them."""
        for name, begun, end in self._steps:
            if begun <= moment <= end:
                return name
        return ""
