"""Writes of records whose outcome is not known: RADOS did not answer in time.

Such a write may have been done, or may still be done as long as an OSD has it in its queue. The
memory of this process counts: what it holds is written again before anything else is done with
the store, and a record that it does not hold is removed. Writes of one client to one object are
done in their order, so whatever the OSD still has in its queue comes before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from errno import EAGAIN
from typing import Optional

from ...cluster.store import Store
from ...model.errors import MigrationError, PoolMissing
from ...model.migration import Migration

log = logging.getLogger(__name__)

_PATIENCE = 1.0  # seconds to wait for another thread that waits for the same pool

WithRecord = Callable[[str, bool, Callable[[Migration], None], Callable[[], None]], bool]


class UncertainWrites:
    """The ids of records whose last write may or may not have been done. Thread-safe.

    ``with_record(ident, own, write, remove)`` calls ``write`` with the record that is in memory,
    which nobody changes meanwhile, or ``remove`` where there is none; False when somebody changes
    it. ``own``: that is the caller.
    """

    def __init__(self, with_record: WithRecord) -> None:
        self._with_record = with_record
        self._lock = threading.Lock()
        self._idents: dict[Store, set[str]] = {}
        self._asking: dict[Store, threading.Lock] = {}

    def add(self, store: Store, ident: str) -> None:
        """The outcome of a write of the record ``ident`` is not known."""
        with self._lock:
            self._idents.setdefault(store, set()).add(ident)
            self._asking.setdefault(store, threading.Lock())
        log.warning("%s: %s may or may not have been written", store.label, ident)

    def known(self, store: Store, ident: str) -> None:
        """The record ``ident`` was written, or removed, since."""
        with self._lock:
            if store in self._idents:
                self._idents[store].discard(ident)

    def stores(self) -> list[Store]:
        """The stores that have such records."""
        with self._lock:
            return [store for store, idents in self._idents.items() if idents]

    def resolve(self, store: Store, own: Optional[str] = None) -> None:
        """Write what is in memory, or remove what is not, for all such records of ``store``.

        Where there are none, which is nearly always, it does nothing. ``own``: the id of the record
        that the caller may change. Raises what the store
        raises, and MigrationError(EAGAIN) when another thread waits for the pool already.
        """
        with self._lock:
            if not self._idents.get(store):
                return
            asking = self._asking[store]
        if not asking.acquire(timeout=_PATIENCE):
            raise MigrationError(
                EAGAIN,
                f"The pool of {store.label} does not answer; look at `ceph health` and try again.",
            )
        try:
            with self._lock:
                idents = sorted(self._idents[store])
            for ident in idents:
                self._resolve_one(store, ident, own == ident)
        finally:
            asking.release()

    def _resolve_one(self, store: Store, ident: str, own: bool) -> None:
        try:
            done = self._with_record(ident, own, store.write, lambda: store.remove(ident))
        except PoolMissing:
            done = True  # and the record with it
        if done:
            self.known(store, ident)
            log.info("%s: %s is written as it is known here", store.label, ident)
