"""Counts what happens, and keeps it in RADOS, so that it goes on with the next manager.

What outlives the manager is shown as it was last stored. So a counter never falls: what a killed
manager had not stored yet was never shown. A counter that falls would count for Prometheus as one
that began again at 0.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Optional

import rados

from ...cluster.store import Store
from ...control.metrics.counting import Sample
from ...control.metrics.totals import Totals
from ...model.errors import PoolMissing, RecordError
from ...model.stored_metrics import StoredMetrics, decode_metrics, encode_metrics

log = logging.getLogger(__name__)

_EVERY = 15.0  # seconds between two writes, if something was counted
_PATIENCE = 60.0  # seconds for which pools that do not answer are waited for


class MetricsRecorder:
    """Counters and histograms. Thread-safe; ``keep`` is for one thread.

    ``store``: that of a pool's id. ``pools``: the ids of pools with records; ``complete``: whether
    all of them have answered.
    """

    def __init__(
        self,
        *,
        store: Callable[[int], Store],
        pools: Callable[[], Iterable[int]],
        complete: Callable[[], bool],
    ) -> None:
        self._store = store
        self._pools = pools
        self._complete = complete
        self._lock = threading.Lock()
        self._now = Totals()  # everything, since the start or the beginning
        self._stored = StoredMetrics()  # what the store has of it
        self._changed = False
        self._home: Optional[int] = None  # the id of the pool that keeps it
        self._loaded = False
        self._begun = time.monotonic()
        self._due = 0.0

    def add(self, *samples: Sample) -> None:
        """Count samples."""
        if samples:
            with self._lock:
                self._now.add(samples)
                self._changed = True

    def ready(self) -> bool:
        """Whether it is known what former managers counted; before that all would seem to be 0."""
        return self._loaded

    def exposition(self) -> str:
        """Return the text for Prometheus."""
        with self._lock:
            shown = Totals(self._stored)
            shown.merge(self._now.stored(lasting=False))
        return shown.exposition()

    def keep(self) -> None:
        """Store what was counted, if it is time. Raises StoreFenced.

        A pool that does not answer is asked again the next time.
        """
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY
        try:
            if not self._loaded:
                self._load()
            if self._loaded and self._changed:
                self._write()
        except PoolMissing:
            self._home = None  # gone; another pool keeps it from now on
        except rados.Error as error:
            log.warning("the counters cannot be stored: %s", error)

    def _load(self) -> None:
        """Read what former managers counted: the newest of all pools."""
        if not self._complete() and time.monotonic() - self._begun < _PATIENCE:
            return
        newest: Optional[StoredMetrics] = None
        for pool_id in self._pools():
            found = self._read(pool_id)
            if found is not None and (newest is None or found.number > newest.number):
                newest, self._home = found, pool_id
        with self._lock:
            if newest is not None:
                self._now.merge(newest)
                self._stored = newest
            self._loaded = True

    def _read(self, pool_id: int) -> Optional[StoredMetrics]:
        try:
            raw = self._store(pool_id).read_metrics()
            return None if raw is None else decode_metrics(raw)
        except RecordError as error:
            log.warning("pool %s: its counters cannot be read: %s", pool_id, error)
        except (rados.Error, PoolMissing) as error:
            log.warning("pool %s: its counters are not known: %s", pool_id, error)
        return None

    def _write(self) -> None:
        home = self._home if self._home is not None else self._any_pool()
        if home is None:
            return
        with self._lock:
            self._now.number += 1
            metrics, self._changed = self._now.stored(), False
        try:
            self._store(home).write_metrics(encode_metrics(metrics))
        except BaseException:
            self._changed = True
            raise
        with self._lock:
            self._stored, self._home = metrics, home

    def _any_pool(self) -> Optional[int]:
        for pool_id in self._pools():
            if self._store(pool_id).exists():
                return pool_id
        return None
