"""Numbers for snapshots, which the monitors reserve while the worker does something else.

The monitors have a second between two answers while there is more to do (paxos_propose_interval):
longer than the copy of a small image takes. So one number of each pool is asked for ahead. One that
no snapshot gets, as where the worker is killed, is a gap in the pool's numbers.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import rados

from ..cluster import headers, image_snapshots, reserved_snapshots

_AT_ONCE = 4  # questions to the monitors


class SnapshotNumbers:
    """Numbers that ``client`` reserves, by the id of the pool with an image's data. Thread-safe.

    ``ahead``: keep one more for each pool that one was reserved of.
    """

    def __init__(self, client: rados.Rados, *, ahead: bool) -> None:
        self._client = client
        self._ahead = ahead
        self._lock = threading.Lock()
        self._kept: dict[int, list[Future[int]]] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE)

    def expect(self, pool_id: int) -> None:
        """Begin to reserve a number, unless there is one."""
        if self._ahead:
            with self._lock:
                kept = self._kept.setdefault(pool_id, [])
                if not kept:
                    kept.append(self._threads.submit(self._ask, pool_id))

    def reserve_for(self, ioctx: rados.Ioctx, ident: str) -> ReservedNumber:
        """A number for the next snapshot of the image ``ident``. Raises as :meth:`reserve`."""
        pool_id = headers.data_pool_id(ioctx, ident)
        newest, _ = image_snapshots.snapshot_ids(ioctx, ident)
        return ReservedNumber(self, pool_id, self.reserve(pool_id, above=newest))

    def reserve(self, pool_id: int, *, above: int) -> int:
        """A number above that of all snapshots that the image ever had, ``above``.

        Raises ``rados.Error`` when the monitors refuse.
        """
        number = self._next(pool_id, above)
        self.expect(pool_id)
        return number

    def _next(self, pool_id: int, above: int) -> int:
        while True:
            with self._lock:
                kept = self._kept.get(pool_id)
                asked = kept.pop(0) if kept else None
            if asked is None:
                return self._ask(pool_id)
            if asked.exception() is not None:
                continue  # what is wrong is said when it is asked again
            if asked.result() > above:
                return asked.result()
            self._threads.submit(self._tell, pool_id, asked.result())

    def _ask(self, pool_id: int) -> int:
        with self._client.open_ioctx2(pool_id) as data:
            return reserved_snapshots.reserve(data)

    def give_back(self, pool_id: int, number: int) -> None:
        """Give back a number that no snapshot has got."""
        if not self._ahead:
            self._tell(pool_id, number)
            return
        unused: Future[int] = Future()
        unused.set_result(number)
        with self._lock:
            self._kept.setdefault(pool_id, []).append(unused)

    def _tell(self, pool_id: int, number: int) -> None:
        with self._client.open_ioctx2(pool_id) as data:
            reserved_snapshots.give_back(data, number)

    def give_all_back(self) -> None:
        """Begin to give back what is kept. What the monitors have not answered yet stays."""
        with self._lock:
            for pool_id, kept in self._kept.items():
                for asked in [asked for asked in kept if asked.done()]:
                    kept.remove(asked)
                    if asked.exception() is None:
                        self._threads.submit(self._tell, pool_id, asked.result())


class ReservedNumber(NamedTuple):
    """A number that no snapshot has, of the pool with an image's data."""

    numbers: SnapshotNumbers
    pool_id: int
    number: int

    def give_back(self) -> None:
        """Give it back: no snapshot has got it."""
        self.numbers.give_back(self.pool_id, self.number)
