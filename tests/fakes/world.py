"""A cluster with managers, administrators and clients, for a test.

with World(seed=7) as world:
    world.create_image("hdd/a", {0: b"first"})
    world.do("prepare", "hdd/a", "nvme/a")
    world.failover()
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from errno import EAGAIN, ECONNREFUSED
from typing import Any, Optional

from rbdmigrate.model.codec import to_plain
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration_codec import decode
from rbdmigrate.model.policy import Policy
from rbdmigrate.model.spec import ImageSpec, parse_image_spec
from rbdmigrate.model.states import Method

from . import rados_module, rbd_module
from .cluster import BLOCK, Cluster
from .images import Spot
from .loading import load
from .simulation import Killed, Process, Simulation, running

LONGEST_UNREST = 120  # seconds after which a cluster that does not come to rest is taken as it is


def block(text: bytes) -> bytes:
    """An object's content that begins with ``text``."""
    return text.ljust(BLOCK, b".")


class Manager:
    """A manager with its engine."""

    def __init__(self, world: World, name: str, generation: int) -> None:
        modules = load()
        self.world = world
        self.process = world.simulation.process(name)
        self.address = ""
        host = modules.host.Host(
            identity=modules.client.Identity(f"mgr.{name}", "/etc/ceph/ceph.conf", ""),
            manager=name,
            generation=generation,
            settings=lambda: world.settings,
            on_client=self._registered,
            send=self._send,
            audit=world.audit_log.append,
        )
        with self.acting():
            self.engine = modules.api.Engine(host)
            self.engine.start()

    def _send(self, request: Any) -> Any:
        return self.world.send(request)

    def _registered(self, addresses: str) -> None:
        self.address = addresses.rpartition("v1:")[2]

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """What is done within is done by this manager's process."""
        with self.world.simulation.acting_as(self.process):
            yield


class ManagerLost(Exception):
    """The manager was killed while it carried a command out."""


class World:
    """The cluster, its active manager, and everybody who uses it."""

    def __init__(self, seed: int = 0, pools: tuple[str, ...] = ("hdd", "nvme")) -> None:
        self.simulation = Simulation(seed)
        self.cluster = Cluster(self.simulation, *pools)
        rados_module.use(self.cluster)
        load().module("cluster.osdmap")._waits.clear()  # of processes killed in other worlds
        self.settings = load().settings.Settings(retry_first=1.0, retry_cap=5.0)
        self.managers: list[Manager] = []
        self.audit_log: list[str] = []
        self.send: Callable[[Any], Any] = _unreachable
        self._stack = contextlib.ExitStack()
        self._kills: dict[str, int] = {}
        self.cluster.before.append(self._kill_when_due)

    def __enter__(self) -> World:
        self._stack.enter_context(running(self.simulation))
        self.start_manager()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        assert not self.simulation.errors or error[0], "\n".join(self.simulation.errors)

    # -- managers ----------------------------------------------------------------------------

    @property
    def manager(self) -> Manager:
        """The active one."""
        return self.managers[-1]

    @property
    def engine(self) -> Any:
        """The active manager's engine."""
        return self.manager.engine

    def start_manager(self) -> Manager:
        """Another manager becomes the active one."""
        number = len(self.managers) + 1
        self.managers.append(Manager(self, f"m{number}", generation=number))
        return self.manager

    def failover(self, *, kill: bool = True) -> Manager:
        """The active manager is killed with kill -9 (or frozen), its client fenced; another one
        takes over."""
        former = self.manager
        if kill:
            self.simulation.kill(former.process)
        else:
            self.simulation.freeze(former.process)
        self.cluster.blocklist[former.address] = self.simulation.now + 86400.0
        return self.start_manager()

    def workers(self) -> list[Process]:
        """The living workers of the active manager."""
        return [child for child in self.manager.process.children if child.alive]

    def kill_worker_after(self, operations: int) -> None:
        """Kill the worker that makes the given number of operations from now on."""
        self._kills["worker"] = operations

    def kill_manager_after(self, operations: int) -> None:
        """Kill the manager once it has made the given number of operations itself."""
        self._kills["manager"] = operations

    def forget_kills(self) -> None:
        """Nobody is killed by itself any more."""
        self._kills.clear()

    def _kill_when_due(self, client: Any, oid: str, write: bool) -> None:
        process = client.process
        if not self.managers:
            return  # the first one begins
        if process not in (self.manager.process, *self.manager.process.children):
            return
        kind = "manager" if process is self.manager.process else "worker"
        if kind not in self._kills:
            return
        self._kills[kind] -= 1
        if self._kills[kind] < 0:
            del self._kills[kind]
            self.simulation.kill(process)

    # -- time --------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.simulation.sleep(seconds)

    def jump_ahead(self, seconds: float) -> None:
        """Let much time pass at once: nobody runs in between, everything due happens after it."""
        self.simulation.jump_ahead(seconds)
        self.run(3.0)

    def wait_until_quiet(self, quiet: float = 4.0) -> bool:
        """Let time pass until nothing changes any more; False when that did not come."""
        before: Any = None
        for _ in range(int(LONGEST_UNREST / quiet)):
            now = self.cluster.snapshot()
            if now == before and not self.workers_busy():
                return True
            before = now
            self.run(quiet)
        return False

    def workers_busy(self) -> bool:
        """Whether a worker has something to do now."""
        return any(task.process in self.workers() for task in self.simulation._tasks)

    def wait_state(self, target: str, *states: str, seconds: float = 60.0) -> dict[str, Any]:
        """The migration's report once it is in one of ``states``. Raises AssertionError."""
        for _ in range(int(seconds * 4)):
            report = self.do("get", target)
            if report["state"] in states:
                return report
            self.run(0.25)
        raise AssertionError(f"{target} is {report['state']}, not {states}: {report}")

    # -- administrators ----------------------------------------------------------------------

    def do(self, command: str, *specs: str, **options: Any) -> Any:
        """A command of an administrator to the active manager's engine."""
        return self.call(
            lambda: getattr(self.engine.migrations, command)(*map(spec, specs), **options)
        )

    def prepare(
        self,
        source: str,
        target: str,
        method: Optional[Method] = None,
        *,
        auto: bool = False,
        **policy: Any,
    ) -> Any:
        """`ceph rbd migration prepare`, and `run` with a goal in the policy."""
        ends, wanted = (spec(source), spec(target)), Policy(**policy)
        return self.call(
            lambda: self.engine.new_migrations.prepare(
                *ends, LayoutOptions(), wanted, method=method, auto=auto
            )
        )

    def call(self, request: Callable[[], Any]) -> Any:
        """What the active manager's command thread does. Raises ManagerLost when it is killed."""
        try:
            with self.manager.acting():
                return request()
        except Killed:
            raise ManagerLost from None

    def retry(self, request: Callable[[], Any]) -> Any:
        """What an administrator does who is told to try again."""
        for _ in range(5):
            try:
                return request()
            except MigrationError as error:
                if error.errno != EAGAIN:
                    raise
                self.run(5.0)
        raise AssertionError("it says again and again that it has to be tried again")

    def together(self, *requests: Callable[[], Any]) -> list[Any]:
        """Requests at the same time, as by several administrators; answers or exceptions."""
        answers: dict[int, Any] = {}

        def one(number: int) -> None:
            try:
                answers[number] = requests[number]()
            except Exception as error:
                answers[number] = error

        process = self.manager.process
        for number in range(len(requests)):
            self.simulation.spawn(f"request {number}", lambda n=number: one(n), process)
        self.simulation.block(lambda: len(answers) == len(requests) or not process.alive)
        return [answers.get(number, ManagerLost()) for number in range(len(requests))]

    def set(self, **settings: Any) -> None:
        """Change options of the module."""
        self.settings = replace(self.settings, **settings)

    def record(self, target: str) -> Any:
        """The migration to ``target`` as the active engine has it."""
        tracked = self.engine._registry.find(spec(target))
        return tracked.migration if tracked is not None else None

    def records(self, pool: str = "nvme") -> dict[str, Any]:
        """The stored records of a pool, complete: plain data by id."""
        stored = self.cluster.pool_named(pool).objects.get(("", "rbd_migration"))
        omap = stored.omap if stored is not None else {}
        return {k[10:]: to_plain(decode(raw)) for k, raw in omap.items() if k[:10] == "migration."}

    # -- clients -----------------------------------------------------------------------------

    def client(self, name: str = "guest") -> Guest:
        """Another client of the cluster, a process of its own."""
        return Guest(self, self.simulation.process(name))

    def create_image(
        self, image: str, content: Optional[dict[int, bytes]] = None, objects: int = 4
    ) -> None:
        """An image with the given objects."""
        guest = self.client("creator")
        rbd_module.RBD().create(guest.ioctx(image), spec(image).image, objects * BLOCK)
        if content:
            with guest.open(image) as opened:
                for number, text in content.items():
                    opened.write(block(text), number * BLOCK)

    def names(self, pool: str) -> list[str]:
        """The images of a pool."""
        stored = self.cluster.pool_named(pool).objects.get(("", "rbd_directory"))
        omap = stored.omap if stored is not None else {}
        return sorted(key[5:] for key in omap if key.startswith("name_"))

    def content(self, image: str) -> dict[str, dict[int, bytes]]:
        """What an image reads as: the head (empty name) and each snapshot, without our own."""
        guest = self.client("reader")
        ioctx = guest.ioctx(image)
        spot = Spot.of(ioctx)
        ident = spot.resolve(spec(image).image)
        found = {"": _texts(spot.content(ident))}
        for number, snapshot in spot.header(ident).snapshots.items():
            if not snapshot.name.startswith(".rbd_migration."):
                found[snapshot.name] = _texts(spot.content(ident, number))
        return found


class Guest:
    """A client: it opens images, and uses plain ``rbd``."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self.process = process
        with world.simulation.acting_as(process):
            self.rados = rados_module.Rados()
            self.rados.connect()

    def ioctx(self, image: str) -> Any:
        """An ioctx on the image's pool."""
        ioctx = self.rados.open_ioctx(spec(image).pool)
        ioctx.set_namespace(spec(image).namespace)
        return ioctx

    def open(self, image: str, **options: Any) -> Any:
        """The image, open for writing."""
        return rbd_module.Image(self.ioctx(image), spec(image).image, **options)

    def rbd(self, command: str, *images: str) -> None:
        """`rbd migration COMMAND`, `rbd mv`."""
        arguments: list[Any] = []
        for image in images:
            arguments += [self.ioctx(image), spec(image).image]
        if command == "mv":
            arguments = [arguments[0], arguments[1], arguments[3]]
            command = "rename"
        elif command != "rename":
            command = f"migration_{command}"
        getattr(rbd_module.RBD(), command)(*arguments)


def _texts(content: dict[int, bytes]) -> dict[int, bytes]:
    return {number: data.rstrip(b".") for number, data in content.items()}


def _unreachable(request: Any) -> Any:
    """A hook's server that is not there."""
    raise MigrationError(ECONNREFUSED, f"{request.url} refuses the connection.")


def spec(text: str) -> ImageSpec:
    """An image spec."""
    return parse_image_spec(text, "rbd", "image")
