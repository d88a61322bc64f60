"""Finds workers that somebody else blocklisted.

librbd mostly fails with ESHUTDOWN then. Sometimes it waits for an answer that does not come, and
the act would wait until somebody stops it.
"""

from __future__ import annotations

import threading
import time

import rados

from ...cluster.fence import listed
from ..records.registry import TrackedMigration

_STILL = 10.0  # seconds without progress after which a worker is looked for in the blocklist
_KEPT = 10.0  # seconds for which the answer of the monitors counts, for all workers


class ShutOutWorkers:
    """Looks for them. Thread-safe: called by the observers."""

    def __init__(self, client: rados.Rados) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._until = 0.0
        self._listed: frozenset[str] = frozenset()

    def look(self, tracked: TrackedMigration) -> None:
        """Note in ``tracked`` that its worker is blocklisted. Raises MigrationError."""
        intent, now = tracked.migration.intent, time.monotonic()
        if intent is None or now - tracked.progressed_at < _STILL:
            return
        with self._lock:
            known = now < self._until
        if not known:
            found = frozenset(listed(self._client))
            with self._lock:
                self._listed, self._until = found, now + _KEPT
        if not self._listed.isdisjoint(intent.actor.addresses):
            tracked.shut_out = intent.actor.addresses
