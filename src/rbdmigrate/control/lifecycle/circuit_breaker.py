"""The circuit breaker: migrations of a source that does not answer retry one at a time.

Each migration backs off by itself, but five hundred that share a dead source would still connect
to it several times a second. After a few failures in a row all migrations of that source wait,
except for one at a time that tries it. Pure: the time is passed in.
"""

from __future__ import annotations

import errno as e
from dataclasses import dataclass

# Errnos for a source that did not answer, as opposed to a problem of one image.
UNREACHABLE = frozenset(
    {e.ETIMEDOUT, e.ECONNREFUSED, e.ECONNRESET, e.EHOSTUNREACH, e.ENETUNREACH, e.EIO}
)
THRESHOLD = 5  # failures in a row
FIRST_WAIT, LONGEST_WAIT = 15.0, 300.0  # seconds


@dataclass
class _Circuit:
    failures: int = 0
    until: float = 0.0


class CircuitBreaker:
    """Consecutive failures by source. Not thread-safe: the caller locks."""

    def __init__(self) -> None:
        self._circuits: dict[str, _Circuit] = {}

    def succeeded(self, source: str) -> None:
        """Record that an act on ``source`` succeeded: all its migrations may go on."""
        self._circuits.pop(source, None)

    def failed(self, source: str, errno: int, now: float) -> None:
        """Record that an act on ``source`` failed; only errnos of unreachable sources count."""
        if errno not in UNREACHABLE:
            return
        circuit = self._circuits.setdefault(source, _Circuit())
        circuit.failures += 1
        if circuit.failures >= THRESHOLD:
            doublings = min(circuit.failures - THRESHOLD, 16)
            circuit.until = now + min(LONGEST_WAIT, FIRST_WAIT * 2**doublings)

    def wait(self, source: str, now: float) -> float:
        """Seconds for which migrations of ``source`` have to wait; 0 when they may go."""
        circuit = self._circuits.get(source)
        return 0.0 if circuit is None else max(0.0, circuit.until - now)

    def open(self, source: str) -> bool:
        """True while ``source`` has failed so often that only one at a time may try."""
        circuit = self._circuits.get(source)
        return circuit is not None and circuit.failures >= THRESHOLD
