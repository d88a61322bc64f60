"""Repetitions in turn: every variant once, then every variant again."""

import time
from collections.abc import Mapping
from typing import Callable

Measure = Callable[[], float]


def in_turn(variants: "Mapping[str, Measure]", times: int) -> "dict[str, list[float]]":
    """Call each ``times`` times, never one of them twice in a row; returns what they returned.

    Every second round goes backwards, so that what one leaves behind does not always fall on the
    same next one.
    """
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for repetition in range(times):
        names = list(variants) if repetition % 2 == 0 else list(variants)[::-1]
        for name in names:
            samples[name].append(variants[name]())
    return samples


def timed(act: "Callable[[], object]") -> float:
    """Seconds that it takes."""
    begin = time.monotonic()
    act()
    return time.monotonic() - begin
