"""Watches workers: too much memory, nothing from an external source, a client that is shut out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from errno import ESHUTDOWN

from ...control.lifecycle.failures import explain, memory_exceeded, source_stalled
from ...control.lifecycle.schedule import READING_ACTS
from ..settings import Settings
from .worker_slot import Slot


class SourceWatchdog:
    """Kills them; what they were at fails. Used by the loop alone."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings

    def look(self, slots: Iterable[Slot]) -> None:
        """Call it once a second."""
        settings, now = self._settings(), time.monotonic()
        for slot in slots:
            job = slot.job
            if job is None:
                continue
            m = job.tracked.migration
            if m.intent is None:
                continue  # it is about to begin
            imported = m.imported is not None
            if job.tracked.shut_out == m.intent.actor.addresses:
                problem = explain(job.act, ESHUTDOWN, m.target.spec)
                slot.interrupt(job, problem.message, problem)
                continue
            # A client of another cluster gives up each operation by itself.
            reads = imported and job.act in READING_ACTS and not m.from_another_cluster
            if reads and now - job.tracked.progressed_at > settings.source_timeout:
                problem = source_stalled(
                    job.act, settings.source_timeout, m.source.spec, m.target.spec
                )
                slot.interrupt(job, problem.message, problem)
            elif slot.memory() > settings.worker_memory:
                problem = memory_exceeded(job.act, m.source.spec, m.target.spec, imported=imported)
                slot.interrupt(job, problem.message, problem)
