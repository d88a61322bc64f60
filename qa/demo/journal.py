"""The client's journal: what it was about to write, and what was acknowledged.

A text file with a line before and a line after each write::

    write NUMBER OFFSET TIME
    acked NUMBER TIME

The times are those of the machine's monotonic clock, which all its processes share.
"""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional


@dataclass(frozen=True)
class Write:
    """One write; `acked` is None when no answer to it was seen."""

    number: int
    offset: int
    begun: float
    acked: Optional[float] = None

    @property
    def latency(self) -> float:
        return 0.0 if self.acked is None else self.acked - self.begun


class JournalWriter:
    """The client's side. A line is with the kernel before the write it tells of begins."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def write(self, number: int, offset: int, now: float) -> None:
        os.write(self._file, f"write {number} {offset} {now:.6f}\n".encode())

    def acked(self, number: int, now: float) -> None:
        os.write(self._file, f"acked {number} {now:.6f}\n".encode())


@dataclass
class Journal:
    """What a journal says: the acknowledged writes in order, and the one that may be on its way."""

    writes: list[Write] = field(default_factory=list)
    pending: Optional[Write] = None

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """Read a journal; a line that was cut off when the client was killed does not count."""
        journal = cls()
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                journal._add(line.split())
        return journal

    def _add(self, words: list[str]) -> None:
        number = int(words[1])
        if words[0] == "write":
            self.pending = Write(number, int(words[2]), float(words[3]))
            return
        begun = self.pending
        if words[0] != "acked" or begun is None or begun.number != number:
            raise ValueError(f"The journal has an answer to a write that it does not have: {words}")
        self.writes.append(Write(number, begun.offset, begun.begun, float(words[2])))
        self.pending = None

    def last_writes(self) -> dict[int, int]:
        """The number of the last acknowledged write at each offset."""
        return {write.offset: write.number for write in self.writes}

    def unsure(self) -> dict[int, int]:
        """The write without an answer: it may have been done or not."""
        return {} if self.pending is None else {self.pending.offset: self.pending.number}


@dataclass(frozen=True)
class Latencies:
    """How the client fared, in seconds."""

    writes: int
    median: float
    worst: float
    worst_begun: float  # when that write began, on the monotonic clock


def latencies(writes: Sequence[Write]) -> Latencies:
    """Median and worst of some writes; of none: all 0."""
    if not writes:
        return Latencies(0, 0.0, 0.0, 0.0)
    worst = max(writes, key=lambda write: write.latency)
    median = statistics.median(write.latency for write in writes)
    return Latencies(len(writes), median, worst.latency, worst.begun)
