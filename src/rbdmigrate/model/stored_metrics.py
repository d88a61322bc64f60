"""Counters and histograms that outlive the manager, as they are stored in RADOS."""

from __future__ import annotations

from dataclasses import dataclass, field

from .codec import dumped, from_plain, loaded, stored_as, to_plain

SCHEMA = 1


@dataclass(frozen=True)
class Counter:
    """A counter: the name of its family, the values of its labels, and how much was counted."""

    name: str
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class Histogram:
    """A histogram. ``counts``: observations by bucket, the last one without a bound.

    ``total``: the sum of all observed values.
    """

    name: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True)
class StoredMetrics:
    """Everything that was counted. ``number`` grows with every write: the largest is the newest."""

    number: int = 0
    counters: tuple[Counter, ...] = field(default=(), metadata=stored_as("counted"))
    histograms: tuple[Histogram, ...] = field(default=(), metadata=stored_as("spreads"))


def encode_metrics(metrics: StoredMetrics) -> bytes:
    """Return the stored form: JSON with its schema version."""
    return dumped(to_plain(metrics), SCHEMA)


def decode_metrics(raw: bytes) -> StoredMetrics:
    """Return stored metrics. RecordError if this version cannot read it."""
    return from_plain(StoredMetrics, loaded(raw, SCHEMA))
