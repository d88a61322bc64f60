"""Metrics as text for Prometheus, format 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .families import PREFIX, Family

TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Value:
    """A value of a gauge or a counter, with its labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Distribution:
    """The observations of a histogram by bucket, not added up, and the sum of their values."""

    counts: Sequence[int]
    total: float
    labels: Mapping[str, str] = field(default_factory=dict)


def gauge(name: str, text: str, values: Iterable[Value]) -> str:
    """Return a family of gauges."""
    return _family(name, text, "gauge", (_line(name, one.labels, one.value) for one in values))


def counter(family: Family, values: Iterable[Value]) -> str:
    """Return a family of counters."""
    lines = (_line(family.name, one.labels, one.value) for one in values)
    return _family(family.name, family.text, "counter", lines)


def histogram(family: Family, values: Iterable[Distribution]) -> str:
    """Return a family of histograms."""
    lines = (line for one in values for line in _buckets(family, one))
    return _family(family.name, family.text, "histogram", lines)


def _buckets(family: Family, one: Distribution) -> Iterable[str]:
    so_far = 0
    for bound, count in zip((*family.buckets, math.inf), one.counts):
        so_far += count
        yield _line(f"{family.name}_bucket", {**one.labels, "le": number(bound)}, so_far)
    yield _line(f"{family.name}_sum", one.labels, one.total)
    yield _line(f"{family.name}_count", one.labels, so_far)


def _family(name: str, text: str, kind: str, lines: Iterable[str]) -> str:
    full = PREFIX + name
    return "\n".join((f"# HELP {full} {text}", f"# TYPE {full} {kind}", *lines)) + "\n"


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{PREFIX}{name}{f'{{{shown}}}' if shown else ''} {number(value)}"


def number(value: float) -> str:
    """Return a number as Prometheus reads it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
