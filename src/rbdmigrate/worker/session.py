"""The RADOS clients of a worker, which every act uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EPERM
from typing import Optional, Protocol

import rados
import rbd

from ..cluster.capi import CApiError, CClient
from ..cluster.client import (
    Identity,
    connect,
    error_number,
    fencing_addresses,
    parse_addresses,
)
from ..model.errors import MigrationError
from ..model.migration import Place
from .copy.throttle import CopyThrottle
from .snapshot_numbers import SnapshotNumbers


def _nobody_listens(message: str) -> None:
    raise MigrationError(EPERM, message)


# librbd copies 10 objects at once, and the progress callback that paces a copy stops the thread of
# each. One more has to be there for notifications: from clients that want the exclusive lock.
_THREADS = "16"

KEPT_OPEN = 60.0  # seconds for which a job may leave something open for the next one


class Closable(Protocol):
    """What a job leaves open for the next one."""

    def close(self) -> None:
        """Close it."""


class Session:
    """The worker's RADOS clients: the Python binding's, and the C interface's for prepare.

    ``give_up`` ends the worker in the middle of a call of librbd, and tells the manager why.
    """

    librbd_errors = (rados.Error, rbd.Error, CApiError)

    def __init__(self, identity: Identity) -> None:
        self.rados = connect(identity, {"librados_thread_count": _THREADS})
        self.c_client = CClient(identity)
        self.rbd = rbd.RBD()
        self.pace = CopyThrottle()
        self.give_up: Callable[[str], None] = _nobody_listens
        self.kept_open: Optional[Closable] = None
        self._other: Optional[rados.Rados] = None
        self._numbers = SnapshotNumbers(self.rados, ahead=True)
        own = (*fencing_addresses(self.rados), *parse_addresses(self.c_client.addresses()))
        self.addresses = tuple(dict.fromkeys(own))
        self.clients = (int(self.rados.get_instance_id()), self.c_client.instance_id)

    def keep_open(self, kept: Closable) -> None:
        """Leave something open for the next job."""
        self.kept_open = kept

    def close_kept(self) -> None:
        """Close what the last job left open, if anything."""
        kept, self.kept_open = self.kept_open, None
        if kept is not None:
            kept.close()

    def rest(self) -> None:
        """Keep nothing any more that a next job might need."""
        self.close_kept()
        self._numbers.give_all_back()

    @staticmethod
    def errno_of(error: BaseException) -> int:
        """The positive errno of one of ``librbd_errors``."""
        return error_number(error)

    @contextmanager
    def joined(self, other: rados.Rados) -> Iterator[None]:
        """Within it images of another cluster can be opened; ``other`` is a client of that."""
        self._other = other
        try:
            yield
        finally:
            self._other = None

    def client_of(self, place: Place) -> rados.Rados:
        """The client of the image's cluster; the other one has to be joined."""
        if not place.cluster:
            return self.rados
        assert self._other is not None
        return self._other

    def clients_of(self, place: Place) -> tuple[int, ...]:
        """The numbers of our clients in the image's cluster."""
        if not place.cluster:
            return self.clients
        return (int(self.client_of(place).get_instance_id()),)

    def numbers_of(self, place: Place) -> SnapshotNumbers:
        """Numbers for snapshots of the image. None are kept for the next job in another cluster."""
        if not place.cluster:
            return self._numbers
        return SnapshotNumbers(self.client_of(place), ahead=False)

    def open(self, place: Place, *, frees_space: bool = False) -> rados.Ioctx:
        """An ioctx on the latest map, so that whoever was fenced before is shut out already.

        ``frees_space``: writes are carried out where the quota of the pool is used up, as long as
        they add nothing. Other writes wait there until the quota is raised.
        """
        client = self.client_of(place)
        client.wait_for_latest_osdmap()
        ioctx = client.open_ioctx2(place.pool_id)
        ioctx.set_namespace(place.namespace)
        if frees_space:
            ioctx.set_osdmap_full_try()  # named after the map, it is about the pool
        return ioctx

    def has_pool(self, place: Place) -> bool:
        """Whether the latest map of the image's cluster has its pool."""
        client = self.client_of(place)
        client.wait_for_latest_osdmap()
        return bool(client.pool_reverse_lookup(place.pool_id))

    @contextmanager
    def without_cache(self) -> Iterator[None]:
        """Images that are opened within it have no cache: for what reads or writes all once."""
        before = self.rados.conf_get("rbd_cache")
        self.rados.conf_set("rbd_cache", "false")
        try:
            yield
        finally:
            self.rados.conf_set("rbd_cache", before)
