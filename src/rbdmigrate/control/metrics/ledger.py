"""A ledger: adds samples up, and makes the stored form and the text of what it holds. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Optional

from ...model.tally import Counted, Spread, Tally
from . import text
from .counting import Sample
from .families import BY_NAME, FAMILIES, Family

_Key = tuple[str, tuple[str, ...]]


class Ledger:
    """Counters and histograms by family and labels. Samples of unknown series are left out."""

    def __init__(self, tally: Tally = Tally()) -> None:  # noqa: B008 - frozen
        self.number = tally.number
        self._counted: dict[_Key, float] = {(c.name, c.labels): c.value for c in tally.counted}
        self._spreads: dict[_Key, Spread] = {(s.name, s.labels): s for s in tally.spreads}

    def add(self, samples: Iterable[Sample]) -> None:
        """Count samples."""
        for sample in samples:
            family = BY_NAME.get(sample.name)
            if family is None or not family.knows(sample.labels) or not sample.value >= 0:
                continue
            key = (sample.name, sample.labels)
            if family.buckets:
                self._spreads[key] = _with(self._spread(family, sample.labels), family, sample)
            else:
                self._counted[key] = self._counted.get(key, 0.0) + sample.value

    def merge(self, tally: Tally) -> None:
        """Add what another one counted."""
        self.number = max(self.number, tally.number)
        for one in tally.counted:
            key = (one.name, one.labels)
            self._counted[key] = self._counted.get(key, 0.0) + one.value
        for spread in tally.spreads:
            mine = self._spreads.get((spread.name, spread.labels))
            self._spreads[spread.name, spread.labels] = _sum(spread, mine)

    def tally(self, *, lasting: bool = True) -> Tally:
        """Return the stored form: of what outlives the manager, or of the rest."""

        def wanted(name: str) -> bool:
            family = BY_NAME.get(name)
            return family is None or family.lasting is lasting

        return Tally(
            self.number,
            tuple(
                Counted(name, labels, value)
                for (name, labels), value in sorted(self._counted.items())
                if wanted(name)
            ),
            tuple(spread for key, spread in sorted(self._spreads.items()) if wanted(key[0])),
        )

    def exposition(self) -> str:
        """Return the text of every family, with 0 for series without a sample."""
        return "".join(self._text(family) for family in FAMILIES)

    def _text(self, family: Family) -> str:
        names = [name for name, _ in family.labels]
        if family.buckets:
            spreads = [self._spread(family, labels) for labels in family.series()]
            return text.histogram(
                family,
                (text.Distribution(s.counts, s.total, dict(zip(names, s.labels))) for s in spreads),
            )
        values = (
            text.Value(self._counted.get((family.name, labels), 0.0), dict(zip(names, labels)))
            for labels in family.series()
        )
        return text.counter(family, values)

    def _spread(self, family: Family, labels: tuple[str, ...]) -> Spread:
        found = self._spreads.get((family.name, labels))
        if found is None or len(found.counts) != len(family.buckets) + 1:
            return Spread(family.name, labels, (0,) * (len(family.buckets) + 1), 0.0)
        return found


def _sum(spread: Spread, other: Optional[Spread]) -> Spread:
    """Return both together; where their buckets differ, the first alone."""
    if other is None or len(other.counts) != len(spread.counts):
        return spread
    counts = tuple(a + b for a, b in zip(spread.counts, other.counts))
    return Spread(spread.name, spread.labels, counts, spread.total + other.total)


def _with(spread: Spread, family: Family, sample: Sample) -> Spread:
    """Return the histogram with one more value."""
    at = bisect_left(family.buckets, sample.value)
    counts = tuple(count + (n == at) for n, count in enumerate(spread.counts))
    return Spread(spread.name, spread.labels, counts, spread.total + sample.value)
