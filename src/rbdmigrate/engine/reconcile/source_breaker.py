"""Leaves a source alone that does not answer: one circuit breaker for all slots."""

from __future__ import annotations

import threading
import time

from ...control.lifecycle.circuit_breaker import CircuitBreaker
from ...control.lifecycle.schedule import READING_ACTS
from ...model.migration import Migration
from ...model.states import ActKind


class SourceBreaker:
    """Counts failures by source. Thread-safe."""

    def __init__(self) -> None:
        self._breaker = CircuitBreaker()
        self._lock = threading.Lock()

    def succeeded(self, m: Migration) -> None:
        """An act on the source went well, or somebody says that it is well: try it at once."""
        with self._lock:
            self._breaker.succeeded(source_key(m))

    def failed(self, m: Migration, errno: int) -> None:
        """An act failed because of the source or the cluster."""
        with self._lock:
            self._breaker.failed(source_key(m), errno, time.monotonic())

    def rests(self, m: Migration, act: ActKind, trying: set[str]) -> bool:
        """Whether ``m`` has to wait because its source did not answer lately.

        ``trying`` are the sources at which somebody is at work, and is added to: a source that is
        being tried again is tried by one migration at a time.
        """
        if m.imported is not None and act not in READING_ACTS:
            return False  # going back, and cutting loose, need no source
        key = source_key(m)
        with self._lock:
            if self._breaker.wait(key, time.monotonic()):
                return True
            if not self._breaker.open(key):
                return False
        rests = key in trying
        trying.add(key)
        return rests


def source_key(m: Migration) -> str:
    """What migrations share when they share a source that may not answer: its pool, or its host."""
    if m.imported is not None and m.imported.outside:
        return f"host {m.imported.host}" if m.imported.host else f"source {m.source.image}"
    return f"pool {m.source.pool}"
