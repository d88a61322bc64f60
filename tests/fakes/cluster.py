"""The state of a Ceph cluster: pools of objects, clients, the monitors' maps. Plain Python data.

Every operation of a client comes through :meth:`Cluster.operate`, where other threads may run,
processes may be killed and faults happen.
"""

from __future__ import annotations

import copy
import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Optional, TypeVar

from . import errors
from .omap import Omap
from .simulation import Process, Simulation

BLOCK = 4096  # bytes of an object of every image
WATCH_TIMEOUT = 30.0  # seconds for which the watch of a client that is gone stays
_LATENCY = 0.0002  # seconds that an operation takes

_T = TypeVar("_T")


@dataclass
class Snapshot:
    """A snapshot of an image. ``blocks``: what of its content is stored with it."""

    name: str
    size: int
    blocks: dict[int, bytes]
    in_trash: bool = False
    protected: bool = False


@dataclass
class Header:
    """An image's header object. ``blocks``: the content that is stored for the head.

    ``link`` is its migration header. ``here``: of a target, the objects that need the source no
    more. ``lock``: the client that holds the exclusive lock; ``locked_out``: nobody gets it until
    a worker of ours allows clients again.
    """

    name: str
    size: int
    features: int
    blocks: dict[int, bytes] = field(default_factory=dict)
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    link: Any = None
    here: set[int] = field(default_factory=set)
    lock: Optional[int] = None
    locked_out: bool = False


@dataclass
class Object:
    """A RADOS object. ``header`` is set for the header object of an image."""

    data: bytes = b""
    omap: Omap = field(default_factory=Omap)
    version: int = 0
    header: Optional[Header] = None
    watchers: dict[int, int] = field(default_factory=dict)  # client number: how often

    def to_change(self) -> Object:
        """A copy that shares nothing with it that can change but the omap, which can undo that."""
        header = copy.deepcopy(self.header)
        return replace(self, header=header, watchers=dict(self.watchers))


@dataclass
class Pool:
    """A pool. Objects by namespace and name."""

    name: str
    ident: int
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)


class Client:
    """A RADOS client of a process, with the address by which it can be fenced."""

    def __init__(self, cluster: Cluster, process: Process) -> None:
        self.number = cluster.number()
        self.address = f"10.0.0.{process.pid % 200 + 1}:0/{self.number}"
        self.process = process
        self.closed = False
        cluster.clients[self.number] = self


@dataclass
class Fault:
    """What goes wrong with operations that ``matches`` the client, the pool, the object and
    whether it is a write.

    ``times``: how often. ``after``: it is done and the answer is lost. ``delay``: seconds that it
    takes longer; with ``error`` None that is all.
    """

    matches: Callable[[Client, Pool, str, bool], bool]
    error: Optional[Callable[[], Exception]] = errors.timed_out
    times: int = 1
    after: bool = False
    delay: float = 0.0


class Cluster:
    """A cluster. ``log`` is called with each event that a test may want to judge."""

    def __init__(self, simulation: Simulation, *pools: str) -> None:
        self.simulation = simulation
        self.pools: dict[int, Pool] = {}
        self.clients: dict[int, Client] = {}
        self.blocklist: dict[str, float] = {}  # address: until when
        self.evicted: set[str] = set()  # watches that blocklisting ended do not come back
        self.config_keys: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.operations = 0
        self.before: list[Callable[[Client, str, bool], None]] = []
        self.log: list[Callable[..., None]] = []
        self._last = 4000
        for name in pools:
            self.create_pool(name)

    def number(self) -> int:
        """A number that was not used before."""
        self._last += 1
        return self._last

    def event(self, kind: str, **about: Any) -> None:
        """Tell whoever listens."""
        for listen in self.log:
            listen(kind, **about)

    # -- pools -------------------------------------------------------------------------------

    def create_pool(self, name: str) -> Pool:
        """A new pool for RBD."""
        ident = len(self.pools) + 1
        self.pools[ident] = Pool(name, ident)
        return self.pools[ident]

    def remove_pool(self, name: str) -> None:
        """The pool with all that is in it."""
        self.pools[self.pool_named(name).ident].name = ""
        self.pools = {n: pool for n, pool in self.pools.items() if pool.name}

    def pool_named(self, name: str) -> Pool:
        """The pool called ``name``."""
        for pool in self.pools.values():
            if pool.name == name:
                return pool
        raise errors.ObjectNotFound(f"no pool {name}", errno=errno.ENOENT)

    def pool(self, ident: int) -> Pool:
        """The pool with that number."""
        if ident not in self.pools:
            raise errors.ObjectNotFound(f"no pool {ident}", errno=errno.ENOENT)
        return self.pools[ident]

    # -- clients -----------------------------------------------------------------------------

    def blocklisted(self, client: Client) -> bool:
        """Whether the client is shut out now."""
        return self.blocklist.get(client.address, -1.0) > self.simulation.now

    def present(self, client: Client) -> bool:
        """Whether the OSDs still count on the client: its watches are alive."""
        if client.closed or client.address in self.evicted or self.blocklisted(client):
            return False
        stopped = client.process.stopped_at
        return stopped is None or stopped + WATCH_TIMEOUT > self.simulation.now

    def watchers(self, found: Object) -> list[Client]:
        """The clients that watch an object."""
        return [self.clients[n] for n in found.watchers if self.present(self.clients[n])]

    def watch(self, client: Client, pool_id: int, namespace: str, oid: str, change: int) -> None:
        """Add or end a watch of an object, which is no write: its version stays."""

        def act(pool: Pool, found: Optional[Object]) -> None:
            if found is None:
                raise errors.ObjectNotFound(f"no object {oid}", errno=errno.ENOENT)
            found.watchers[client.number] = found.watchers.get(client.number, 0) + change
            if found.watchers[client.number] <= 0:
                del found.watchers[client.number]

        self.operate(client, pool_id, namespace, oid, act, write=False)

    # -- operations --------------------------------------------------------------------------

    def operate(
        self,
        client: Client,
        pool_id: int,
        namespace: str,
        oid: str,
        act: Callable[[Pool, Optional[Object]], _T],
        *,
        write: bool,
    ) -> _T:
        """Do ``act`` on an object (None: it is not there), all of it or nothing.

        ``act`` of a write returns what :meth:`write` gives on.
        """
        for look in self.before:
            look(client, oid, write)
        self.operations += 1
        self.simulation.step(_LATENCY)
        if client.closed or self.blocklisted(client):
            raise errors.ConnectionShutdown("blocklisted", errno=errno.ESHUTDOWN)
        pool = self.pool(pool_id)
        fault = next((f for f in self.faults if f.matches(client, pool, oid, write)), None)
        if fault is not None:
            fault.times -= 1
            if not fault.times:
                self.faults.remove(fault)
            self.simulation.sleep(fault.delay)
            if self.blocklisted(client):
                raise errors.ConnectionShutdown("blocklisted", errno=errno.ESHUTDOWN)
            if fault.error is not None and not fault.after:
                raise fault.error()
        answer = act(self.pool(pool_id), pool.objects.get((namespace, oid)))
        if fault is not None and fault.error is not None:
            raise fault.error()
        return answer

    def write(
        self,
        client: Client,
        pool_id: int,
        namespace: str,
        oid: str,
        *changes: Callable[[Object, bool], Optional[bool]],
    ) -> int:
        """One atomic write: each change gets the object and whether it was there already.

        A change that answers False removes the object. Returns the version of the object by it.
        """

        def act(pool: Pool, found: Optional[Object]) -> int:
            made = Object() if found is None else found.to_change()
            keep = True
            with made.omap.all_or_nothing():
                for change in changes:
                    keep = change(made, found is not None) is not False and keep
            if not keep:
                pool.objects.pop((namespace, oid), None)
                return 0
            made.version = self.number()
            pool.objects[(namespace, oid)] = made
            return made.version

        return self.operate(client, pool_id, namespace, oid, act, write=True)

    def read(
        self,
        client: Client,
        pool_id: int,
        namespace: str,
        oid: str,
        look: Callable[[Object], _T],
    ) -> _T:
        """What ``look`` says of the object. Raises ObjectNotFound."""

        def act(pool: Pool, found: Optional[Object]) -> _T:
            if found is None:
                raise errors.ObjectNotFound(f"{pool.name}: no object {oid}", errno=errno.ENOENT)
            return look(found)

        return self.operate(client, pool_id, namespace, oid, act, write=False)

    # -- for tests ---------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """All that is stored, for comparing: without watches and locks, which come and go."""
        found: dict[str, Any] = {"config-key": dict(self.config_keys)}
        for pool in self.pools.values():
            for (namespace, oid), stored in pool.objects.items():
                if not oid.startswith("rbd_migration") or any(k != "owner" for k in stored.omap):
                    header = copy.deepcopy(stored.header)
                    if header is not None:
                        header.lock = None
                    omap = {k: v for k, v in stored.omap.items() if k != "owner"}
                    found[f"{pool.name}/{namespace}/{oid}"] = (stored.data, omap, header)
        return found

    def recent(self, count: int = 40) -> list[str]:
        """The last operations, when :meth:`trace` was called before."""
        return list(self._trace)[-count:]

    def trace(self) -> None:
        """Remember the operations from now on."""
        self._trace: deque[str] = deque(maxlen=2000)

        def note(client: Client, oid: str, write: bool) -> None:
            what = "writes" if write else "reads"
            self._trace.append(
                f"{self.simulation.now:9.4f} {client.process.name} client.{client.number} "
                f"{what} {oid}"
            )

        self.before.append(note)
