"""Adds samples of metrics up; their stored form, and their text for Prometheus. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Optional

from ...model.stored_metrics import Counter, Histogram, StoredMetrics
from . import text
from .counting import Sample
from .families import BY_NAME, FAMILIES, Family

_Key = tuple[str, tuple[str, ...]]


class Totals:
    """Counters and histograms by family and labels. Samples of unknown series are left out."""

    def __init__(self, metrics: StoredMetrics = StoredMetrics()) -> None:  # noqa: B008 - frozen
        self.number = metrics.number
        self._counters: dict[_Key, float] = {(c.name, c.labels): c.value for c in metrics.counters}
        self._histograms: dict[_Key, Histogram] = {
            (s.name, s.labels): s for s in metrics.histograms
        }

    def add(self, samples: Iterable[Sample]) -> None:
        """Count samples."""
        for sample in samples:
            family = BY_NAME.get(sample.name)
            if family is None or not family.knows(sample.labels) or not sample.value >= 0:
                continue
            key = (sample.name, sample.labels)
            if family.buckets:
                self._histograms[key] = _with(
                    self._histogram(family, sample.labels), family, sample
                )
            else:
                self._counters[key] = self._counters.get(key, 0.0) + sample.value

    def merge(self, metrics: StoredMetrics) -> None:
        """Add what former managers or another one counted."""
        self.number = max(self.number, metrics.number)
        for one in metrics.counters:
            key = (one.name, one.labels)
            self._counters[key] = self._counters.get(key, 0.0) + one.value
        for histogram in metrics.histograms:
            mine = self._histograms.get((histogram.name, histogram.labels))
            self._histograms[histogram.name, histogram.labels] = _sum(histogram, mine)

    def stored(self, *, lasting: bool = True) -> StoredMetrics:
        """Return the stored form: of what outlives the manager, or of the rest."""

        def wanted(name: str) -> bool:
            family = BY_NAME.get(name)
            return family is None or family.lasting is lasting

        return StoredMetrics(
            self.number,
            tuple(
                Counter(name, labels, value)
                for (name, labels), value in sorted(self._counters.items())
                if wanted(name)
            ),
            tuple(
                histogram for key, histogram in sorted(self._histograms.items()) if wanted(key[0])
            ),
        )

    def exposition(self) -> str:
        """Return the text of every family, with 0 for series without a sample."""
        return "".join(self._text(family) for family in FAMILIES)

    def _text(self, family: Family) -> str:
        names = [name for name, _ in family.labels]
        if family.buckets:
            histograms = [self._histogram(family, labels) for labels in family.series()]
            return text.histogram(
                family,
                (
                    text.Distribution(s.counts, s.total, dict(zip(names, s.labels)))
                    for s in histograms
                ),
            )
        values = (
            text.Value(self._counters.get((family.name, labels), 0.0), dict(zip(names, labels)))
            for labels in family.series()
        )
        return text.counter(family, values)

    def _histogram(self, family: Family, labels: tuple[str, ...]) -> Histogram:
        found = self._histograms.get((family.name, labels))
        if found is None or len(found.counts) != len(family.buckets) + 1:
            return Histogram(family.name, labels, (0,) * (len(family.buckets) + 1), 0.0)
        return found


def _sum(histogram: Histogram, other: Optional[Histogram]) -> Histogram:
    """Return both together; where their buckets differ, the first alone."""
    if other is None or len(other.counts) != len(histogram.counts):
        return histogram
    counts = tuple(a + b for a, b in zip(histogram.counts, other.counts))
    return Histogram(histogram.name, histogram.labels, counts, histogram.total + other.total)


def _with(histogram: Histogram, family: Family, sample: Sample) -> Histogram:
    """Return the histogram with one more value."""
    at = bisect_left(family.buckets, sample.value)
    counts = tuple(count + (n == at) for n, count in enumerate(histogram.counts))
    return Histogram(histogram.name, histogram.labels, counts, histogram.total + sample.value)
