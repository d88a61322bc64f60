"""Alternating repetitions: every variant once, then every variant again."""

import time
from collections.abc import Mapping
from typing import Callable

Measure = Callable[[], float]


def in_turn(variants: "Mapping[str, Measure]", times: int) -> "dict[str, list[float]]":
    """Call each function ``times`` times, never twice in a row, and return the results.

    Every second round runs in reverse order, so that the effects of one variant do not always hit
    the same next one.
    """
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for repetition in range(times):
        names = list(variants) if repetition % 2 == 0 else list(variants)[::-1]
        for name in names:
            samples[name].append(variants[name]())
    return samples


def timed(act: "Callable[[], object]") -> float:
    """Return the seconds that the call takes."""
    begin = time.monotonic()
    act()
    return time.monotonic() - begin
