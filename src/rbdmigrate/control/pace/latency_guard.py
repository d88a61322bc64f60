"""The client-latency guard: a closed loop that keeps the clients' latency within a factor. Pure.

It knows how long the clients' operations take when copies do not disturb (the baseline) and gives
a rate for all copies together. While the latency is well within ``factor`` times the baseline the
rate grows, by less the nearer it gets; when it is over, the rate is cut by a part of itself
(additive increase, multiplicative decrease, as in TCP). A single sample has no effect: the median
of the last ones counts; after a cut, of those since the cut. The rate never falls below a floor:
copies never starve.

The baseline is learnt while no copy runs. While copies run for a long time it is learnt again now
and then, and whenever the floor is still too much, by probing: a few seconds at the floor. So the
clients' latency is compared with the latency they would have now without the copies.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Optional

from ...model.units import format_size

MiB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """Measurements since the previous sample.

    ``at``: seconds, of a clock that does not go back. ``latency``: of the clients' operations,
    seconds. ``ops``: their number; the latency means nothing when it is 0. ``copied``: bytes per
    second of all copies together, None when no copy ran.
    """

    at: float
    latency: float
    ops: int
    copied: Optional[float]


@dataclass(frozen=True)
class GuardSettings:
    """``factor``: how many times the baseline operations may take, above 1.

    Bytes per second: ``start`` is the first rate where the baseline is known (otherwise it is
    ``floor``), ``floor`` and ``ceiling`` are the bounds. ``cut`` is the factor of a cut; ``step``
    is added per ``interval`` (seconds, the shortest time between two changes), as a fraction of
    the rate before the last cut. Samples: ``window`` in a median while copies run, ``idle_window``
    in the baseline while none runs. Seconds: ``blind`` without a sample, after which only the
    floor is allowed, and ``probe`` after which the baseline is learnt again.
    """

    factor: float = 1.5
    start: int = 16 * MiB
    floor: int = 1 * MiB
    ceiling: int = 16384 * MiB
    cut: float = 0.7
    step: float = 0.05
    interval: float = 3.0
    window: int = 5
    idle_window: int = 60
    blind: float = 30.0
    probe: float = 600.0


CALM = 10  # intervals without a cut after which the steps grow: a load may have gone away
FIRST_GROWTH = 0.5  # of the rate per interval, until the first cut shows the limit
AIM = 0.9  # of the way from the baseline to the target: up to there the rate grows
IN_USE = 0.8  # of the rate: copies that use less show nothing about a higher rate

CLEARLY_LOWER = 0.7  # of the baseline: more than noise


class LatencyGuard:
    """The loop's state. Feed it a sample about once a second, and ask for :meth:`rate`.

    Not thread-safe: the caller locks.
    """

    def __init__(self, settings: GuardSettings) -> None:
        if settings.factor <= 1:
            raise ValueError("the factor of the guard must be above 1")
        self._set = settings
        self._rate = float(settings.start)
        self._idle: deque[float] = deque(maxlen=settings.idle_window)
        self._recent: deque[float] = deque(maxlen=settings.window)  # since the last cut
        self._shown: deque[float] = deque(maxlen=settings.window)
        self._used: deque[float] = deque(maxlen=settings.window)
        self._probed: Optional[list[float]] = None  # the samples of the probe that is under way
        self._silent = 0  # samples without operations in a row
        self._baseline: Optional[float] = None
        self._learnt = -math.inf  # when the baseline was learnt
        self._seen: Optional[float] = None  # when the last sample came
        self._changed = -math.inf  # when the rate last changed
        self._limit: Optional[float] = None  # bytes per second of the copies before the last cut
        self._calm = 0  # intervals since the last cut

    @property
    def baseline(self) -> Optional[float]:
        """Seconds that an operation takes without copies; None until it is known."""
        return self._baseline

    @property
    def target(self) -> Optional[float]:
        """Seconds that an operation may take; None until it is known."""
        return None if self._baseline is None else self._baseline * self._set.factor

    @property
    def latency(self) -> Optional[float]:
        """Seconds that an operation takes while copies run: the median of the last samples."""
        return statistics.median(self._shown) if self._shown else None

    def rate(self, now: float) -> int:
        """Bytes per second for all guarded copies together; never below the floor."""
        low = self._blind(now) or self._probed is not None
        return self._set.floor if low else int(self._rate)

    def explain(self, now: float) -> str:
        """The state of the guard in one sentence for people."""
        rate = f"copies may make {format_size(self.rate(now))}/s together"
        if self._blind(now):
            return f"Nothing is known of the clients' latency at the moment; {rate}."
        if self._probed is not None or self._baseline is None:
            return f"The clients' latency is being learnt; {rate}."
        may = f"{self._baseline * 1000:.2f} ms without copies (allowed: {self._set.factor:g} times)"
        if self.latency is None:
            return f"The clients' latency is {may}; {rate}."
        times = self.latency / self._baseline
        return (
            f"The clients' latency is {self.latency * 1000:.2f} ms, {times:.2f} times the {may}; "
            f"{rate}."
        )

    def feed(self, sample: Sample) -> None:
        """Add a sample and adjust the rate."""
        self._seen = sample.at
        if sample.copied is None:
            self._learn_idle(sample)
            return
        self._idle.clear()
        self._used.append(sample.copied)
        self._recent.append(sample.latency if sample.ops > 0 else 0.0)
        if sample.ops > 0:
            self._shown.append(sample.latency)
        if self._probed is None and sample.ops > 0 and self._unsure(sample.at):
            self._begin_probe()
        elif self._probed is not None:
            self._probe(self._probed, sample)
        else:
            self._regulate(sample.at)

    def _blind(self, now: float) -> bool:
        return self._seen is None or now - self._seen > self._set.blind

    def _learn_idle(self, sample: Sample) -> None:
        for past in (self._recent, self._shown, self._used):
            past.clear()
        self._probed = None
        if sample.ops > 0:
            self._idle.append(sample.latency)
        if len(self._idle) >= self._set.window:
            self._baseline, self._learnt = statistics.median(self._idle), sample.at

    def _unsure(self, now: float) -> bool:
        """Whether the baseline is not known, is old, or cannot be held even at the floor."""
        if self.target is None or now - self._learnt >= self._set.probe:
            return True
        held = self._rate > self._set.floor or len(self._recent) < self._set.window
        return not held and statistics.median(self._recent) > self.target

    def _begin_probe(self) -> None:
        if self._baseline is None:
            self._rate = float(self._set.floor)
        self._probed, self._silent = [], 0

    def _probe(self, probed: list[float], sample: Sample) -> None:
        """Add a sample of a probe; the first ones may be from before the rate reached the floor."""
        window = self._set.window
        if sample.ops > 0:
            probed.append(sample.latency)
            self._silent = 0
        else:
            self._silent += 1
        if len(probed) >= 3 * window:
            self._relearn(statistics.median(probed[window:]))
            self._learnt = sample.at
        elif self._silent < window:
            return
        self._probed, self._changed = None, sample.at
        self._recent.clear()
        self._used.clear()

    def _relearn(self, median: float) -> None:
        """Move the baseline half way to a probe's median, or all the way if it is clearly lower."""
        old = self._baseline
        if old is None or median < CLEARLY_LOWER * old:
            self._baseline = median
        else:
            self._baseline = (old + median) / 2

    def _regulate(self, now: float) -> None:
        if len(self._recent) < self._set.window or now - self._changed < self._set.interval:
            return
        median, baseline = statistics.median(self._recent), self._baseline or 0.0
        if median > baseline * self._set.factor:
            self._decrease(now)
        elif max(self._used) >= IN_USE * self._rate:
            aim = baseline * (1 + AIM * (self._set.factor - 1))
            headroom = (aim - median) / (aim - baseline) if median else 1.0
            self._increase(now, min(1.0, headroom))

    def _decrease(self, now: float) -> None:
        if self._rate <= self._set.floor:
            return
        self._limit = max(self._set.floor, min(self._rate, max(self._used)))
        self._rate = max(self._set.floor, self._limit * self._set.cut)
        self._changed, self._calm = now, 0
        self._recent.clear()

    def _increase(self, now: float, headroom: float) -> None:
        """Raise the rate. ``headroom``: 1 at the baseline or below it, 0 at the target."""
        if headroom <= 0:
            return
        if self._limit is None:
            step = FIRST_GROWTH * self._rate
        else:
            step = self._set.step * max(self._limit, self._rate) * (1 + self._calm // CALM)
        self._rate = min(self._set.ceiling, self._rate + step * headroom)
        self._changed = now
        self._calm += 1
