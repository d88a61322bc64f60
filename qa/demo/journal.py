"""The client's journal: the writes that it began, and those that were acknowledged.

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
    """Writes the journal. Each line reaches the kernel before the write that it announces."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def write(self, number: int, offset: int, now: float) -> None:
        os.write(self._file, f"write {number} {offset} {now:.6f}\n".encode())

    def acked(self, number: int, now: float) -> None:
        os.write(self._file, f"acked {number} {now:.6f}\n".encode())


@dataclass
class Journal:
    """The content of a journal: the acknowledged writes in order, and the one without an answer."""

    writes: list[Write] = field(default_factory=list)
    pending: Optional[Write] = None

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """Read a journal. An incomplete last line, of a client that was killed, does not count."""
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
        """Return the number of the last acknowledged write at each offset."""
        return {write.offset: write.number for write in self.writes}

    def unsure(self) -> dict[int, int]:
        """The write without an answer, which may or may not have been done."""
        return {} if self.pending is None else {self.pending.offset: self.pending.number}


@dataclass(frozen=True)
class Latencies:
    """The latencies of the client's writes, in seconds."""

    writes: int
    median: float
    worst: float
    worst_begun: float  # when the slowest write began, on the monotonic clock


def latencies(writes: Sequence[Write]) -> Latencies:
    """Return median and maximum of some writes; all 0 without writes."""
    if not writes:
        return Latencies(0, 0.0, 0.0, 0.0)
    worst = max(writes, key=lambda write: write.latency)
    median = statistics.median(write.latency for write in writes)
    return Latencies(len(writes), median, worst.latency, worst.begun)
