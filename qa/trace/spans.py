"""Reads the spans that processes wrote, and sums them; between them a migration waits."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# The outermost spans of a migration, with what it waits for before each.
OUTER = {"begin": "", "look": "wait for a look", "step": "wait for a place"}


@dataclass(frozen=True)
class Span:
    """What one thread did from ``begin`` to ``end`` (monotonic seconds), with its CPU seconds."""

    what: str
    ident: str
    act: str
    begin: float
    end: float
    used: float = 0.0

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Sum:
    """All spans of the same kind."""

    what: str
    act: str
    count: int
    seconds: float
    used: float
    longest: float


def read(folder: Path) -> "list[Span]":
    """All spans in the files of a folder. A line that a killed process left in part is skipped."""
    found = []
    for path in sorted(folder.glob("*.trace")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(Span(*json.loads(line)))
            except ValueError:
                continue
    return found


def waits(spans: "Iterable[Span]") -> "Iterator[Span]":
    """The time that each migration spends between two outermost spans."""
    by_migration: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.what in OUTER and span.ident:
            by_migration[span.ident].append(span)
    for ident, own in by_migration.items():
        own.sort(key=lambda span: span.begin)
        for before, after in zip(own, own[1:]):
            if OUTER[after.what] and after.begin > before.end:
                yield Span(OUTER[after.what], ident, after.act, before.end, after.begin)


def summed(spans: "Iterable[Span]") -> "list[Sum]":
    """A sum for each kind of span and act, in the order in which they first begin."""
    kinds: dict[tuple[str, str], list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.begin):
        kinds.setdefault((span.what, span.act), []).append(span)
    return [
        Sum(
            what,
            act,
            len(group),
            sum(span.seconds for span in group),
            sum(span.used for span in group),
            max(span.seconds for span in group),
        )
        for (what, act), group in kinds.items()
    ]
