"""The result of a benchmark: rows of samples, and figures with their aims, as tables and JSON."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from qa.workload.tables import table

NO_AIM, MET, MISSED = "", "met", "MISSED"


@dataclass(frozen=True)
class Row:
    """The samples of one variant, one per repetition, in ``unit``."""

    what: str
    samples: "tuple[float, ...]"
    unit: str = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def to_plain(self) -> "dict[str, Any]":
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "samples": list(self.samples),
        }


@dataclass(frozen=True)
class Figure:
    """A result with its aim: ``least`` or ``most``."""

    what: str
    value: float
    unit: str = "times"
    least: Optional[float] = None
    most: Optional[float] = None

    @property
    def aim(self) -> str:
        if self.least is not None:
            return f">= {self.least:g}"
        return "" if self.most is None else f"<= {self.most:g}"

    @property
    def verdict(self) -> str:
        """Whether the aim is met; empty without one."""
        if self.least is None and self.most is None:
            return NO_AIM
        low = self.least is not None and self.value < self.least
        high = self.most is not None and self.value > self.most
        return MISSED if low or high else MET

    def to_plain(self) -> "dict[str, Any]":
        return {
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "aim": self.aim or None,
            "met": None if self.verdict == NO_AIM else self.verdict == MET,
        }


@dataclass
class Result:
    """The result of one benchmark. ``notes`` are sentences about the measurement."""

    title: str
    rows: "list[Row]" = field(default_factory=list)
    figures: "list[Figure]" = field(default_factory=list)
    notes: "list[str]" = field(default_factory=list)
    seconds: float = 0.0  # duration of the benchmark

    def add(
        self, samples: "Mapping[str, Sequence[float]]", unit: str = "s", before: str = ""
    ) -> "dict[str, float]":
        """Add a row for each variant (its name after ``before``) and return the medians."""
        rows = {name: Row(before + name, tuple(taken), unit) for name, taken in samples.items()}
        self.rows += rows.values()
        return {name: row.median for name, row in rows.items()}

    def to_plain(self) -> "dict[str, Any]":
        return {
            "title": self.title,
            "seconds": round(self.seconds, 1),
            "rows": [row.to_plain() for row in self.rows],
            "figures": [figure.to_plain() for figure in self.figures],
            "notes": self.notes,
        }

    def text(self, name: str) -> str:
        """Format the result for people."""
        parts = [f"{name}: {self.title} ({self.seconds:.0f} s)"]
        if self.rows:
            head = ["WHAT", "MEDIAN", "LOWEST", "HIGHEST", "UNIT"]
            parts.append(table(head, map(_row, self.rows), left=["UNIT"]))
        if self.figures:
            head = ["FIGURE", "VALUE", "UNIT", "AIM", ""]
            parts.append(table(head, map(_figure, self.figures), left=["UNIT", ""]))
        return "\n\n".join([*parts, *(["\n".join(self.notes)] if self.notes else [])])


def _row(row: Row) -> "list[str]":
    low, high = min(row.samples), max(row.samples)
    return [row.what, number(row.median), number(low), number(high), row.unit]


def _figure(figure: Figure) -> "list[str]":
    return [figure.what, number(figure.value), figure.unit, figure.aim, figure.verdict]


def number(value: float) -> str:
    """Format a number with three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
