"""The tally: counters and histograms that outlive the manager, as stored in RADOS."""

from __future__ import annotations

from dataclasses import dataclass

from .codec import dumped, from_plain, loaded, to_plain

SCHEMA = 1


@dataclass(frozen=True)
class Counted:
    """A counter: the name of its family, the values of its labels, and how much was counted."""

    name: str
    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class Spread:
    """A histogram. ``counts``: observations by bucket, the last one without a bound.

    ``total``: the sum of all observed values.
    """

    name: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True)
class Tally:
    """Everything that was counted. ``number`` grows with every write: the largest is the newest."""

    number: int = 0
    counted: tuple[Counted, ...] = ()
    spreads: tuple[Spread, ...] = ()


def encode_tally(tally: Tally) -> bytes:
    """Return the stored form: JSON with its schema version."""
    return dumped(to_plain(tally), SCHEMA)


def decode_tally(raw: bytes) -> Tally:
    """Return a stored tally. RecordError if this version cannot read it."""
    return from_plain(Tally, loaded(raw, SCHEMA))
