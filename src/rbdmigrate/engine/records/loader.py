"""Loading: reading the stores of all pools at the start, and later those that did not answer.

Pools are read side by side and nobody waits for one that is down: it holds back its own
migrations only. What is asked about a pool that was not read yet is refused, never guessed.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import defaultdict
from collections.abc import Callable
from errno import EAGAIN
from typing import Optional

import rados

from ...cluster.pools import namespaces, rbd_pools
from ...model.errors import MigrationError, PoolMissing, errno_text
from .registry import Registry, StoreFenced

log = logging.getLogger(__name__)

_READERS = 4
_LOOK = -1  # among the pools to read: look which pools there are


class Loader:
    """Reads stores into the registry. Thread-safe."""

    def __init__(
        self, client: rados.Rados, registry: Registry, on_fenced: Callable[[str], None]
    ) -> None:
        self._client = client
        self._registry = registry
        self._on_fenced = on_fenced
        self._todo: queue.Queue[Optional[int]] = queue.Queue()
        self._queued: set[int] = set()  # each pool once, however long one that is down takes
        self._read: set[int] = set()
        self._troubled: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        self._threads = [
            threading.Thread(target=self._run, name=f"rbdmigrate-loader-{n}", daemon=True)
            for n in range(_READERS)
        ]

    def start(self, patience: float) -> None:
        """Begin to read; waits up to ``patience`` seconds for all pools to be read."""
        self.look()
        for thread in self._threads:
            thread.start()
        with self._registry.changed:
            self._registry.changed.wait_for(self._all_known, patience)

    def look_soon(self) -> None:
        """Have a thread :meth:`look`, and return at once. Call it now and then."""
        with self._registry.changed:
            if _LOOK in self._queued:
                return
            self._queued.add(_LOOK)
        self._todo.put(_LOOK)

    def look(self) -> None:
        """Read pools that are new or did not answer before.

        Raises ``rados.Error`` and MigrationError when the monitors do not answer.
        """
        names = rbd_pools(self._client)
        unsure = self._registry.writer.unsure_pools()
        self._registry.forget_pools(set(names))
        with self._registry.changed:
            self._names = names
            for gone in self._troubled.keys() - names.keys():
                del self._troubled[gone]
            again = (unsure | self._troubled.keys()) & names.keys()
            for pool_id in ((names.keys() - self._read) | again) - self._queued:
                self._queued.add(pool_id)
                self._todo.put(pool_id)

    def stop(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._todo.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the threads' end; False when one is still there."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def require(self, pool_id: int) -> None:
        """Make sure that the pool's records are known. MigrationError(EAGAIN) when they are not."""
        if pool_id in self._read:
            return
        trouble = self._troubled.get(pool_id) or self._load(pool_id)
        if trouble:
            name = self._names.get(pool_id, str(pool_id))
            raise MigrationError(
                EAGAIN,
                f"The records of the pool {name!r} cannot be read yet ({trouble}); look at "
                "`ceph health` and try again.",
            )

    def complete(self) -> bool:
        """Whether the records of all pools are known: none is still being read, or silent."""
        return all(pool_id in self._read for pool_id in self._names)

    def unread(self) -> list[str]:
        """The pools that could not be read yet, by name."""
        with self._registry.changed:
            return sorted(self._names.get(pool_id, str(pool_id)) for pool_id in self._troubled)

    def pools(self) -> list[int]:
        """The pools that were read and still exist."""
        with self._registry.changed:
            read = sorted(self._read)
        return [pool_id for pool_id in read if self._client.pool_reverse_lookup(pool_id)]

    def _all_known(self) -> bool:
        return all(p in self._read or p in self._troubled for p in self._names)

    def _run(self) -> None:
        while True:
            pool_id = self._todo.get()
            if pool_id is None:
                return
            if pool_id == _LOOK:
                self._look()
            else:
                self._load(pool_id)
            with self._registry.changed:
                self._queued.discard(pool_id)

    def _look(self) -> None:
        try:
            self.look()
        except (rados.Error, MigrationError) as error:
            log.warning("the pools cannot be listed: %s", error)
        except Exception:  # never lose a loader
            log.exception("the pools cannot be listed")

    def _load(self, pool_id: int) -> str:
        """Read one pool; returns what is in the way, or an empty text."""
        trouble = ""
        with self._locks[pool_id]:
            try:
                if pool_id in self._read:
                    self._registry.writer.resolve_pool(pool_id)
                    return ""
                for namespace in namespaces(self._client, pool_id):
                    self._registry.read(pool_id, namespace)
                with self._registry.changed:
                    self._read.add(pool_id)
            except PoolMissing:
                trouble = ""
            except StoreFenced as error:
                self._on_fenced(str(error))
                trouble = "another manager took over"
            except rados.Error as error:
                trouble = errno_text(abs(error.errno or 5))
                log.warning("pool %s: its records cannot be read yet: %s", pool_id, error)
            except Exception as error:  # never lose a loader: say it and try again
                trouble = f"{type(error).__name__}: {error}"
                log.exception("pool %s: its records cannot be read yet", pool_id)
        with self._registry.changed:
            self._troubled.pop(pool_id, None)
            if trouble:
                self._troubled[pool_id] = trouble
            self._registry.changed.notify_all()
        return trouble
