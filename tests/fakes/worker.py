"""Worker processes: the real acts, in a simulated process that can be killed at any operation."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable
from typing import Any, Optional, get_args

from rbdmigrate.model.jobs.acts import CompleteObjects, Ends, WarmEnds
from rbdmigrate.model.jobs.answers import ObjectsCompleted
from rbdmigrate.model.jobs.protocol import (
    DoJob,
    Done,
    Ending,
    Failed,
    FromJob,
    Job,
    Message,
    Tell,
    decode_line,
    encode_line,
)
from rbdmigrate.model.migration import ProcessIdentity

from . import errors, librbd, rados_module, warm
from .images import Spot
from .simulation import active

_modules: dict[str, Any] = {}


def bind(process: Any, capi: Any, main: Any, perform: Any, session: Any, objects: Any) -> None:
    """Put the stand-ins into the modules under test."""
    process.WorkerProcess = WorkerProcess
    session.CClient = CClient
    objects.DataObjects = ImageObjects
    for kind in get_args(Ends):
        if CompleteObjects in perform.functions_of(kind):
            perform.functions_of(kind)[CompleteObjects] = _complete_objects
    perform.functions_of(WarmEnds).update(warm.ACTS)
    _modules.update(process=process, capi=capi, main=main, perform=perform, session=session)


def _complete_objects(session: Any, ends: Any, act: Any, tell: Any) -> ObjectsCompleted:
    """The fake copies an object with all its views at once: none is there in part."""
    return ObjectsCompleted(0, whole=True)


class ImageObjects:
    """cluster.data_objects.DataObjects, as far as a check for missing objects needs it."""

    def __init__(
        self, cluster: Any, pool_id: int, namespace: str, prefix: str, *more: Any, **_: Any
    ) -> None:
        ioctx = cluster.open_ioctx2(pool_id)
        ioctx.set_namespace(namespace)
        self._spot = Spot.of(ioctx)
        self._ident = prefix.rpartition(".")[2]

    def existing(self, numbers: Iterable[int]) -> list[int]:
        """An object that was discarded is there, and is empty."""
        return [number for number in numbers if number in self._spot.header(self._ident).here]

    def close(self) -> None:
        """Nothing is open."""


class CClient:
    """cluster.capi.CClient"""

    def __init__(self, identity: Any) -> None:
        self._rados = rados_module.Rados(name=identity.name)
        self._rados.connect()

    @property
    def instance_id(self) -> int:
        return self._rados.get_instance_id()

    def addresses(self) -> str:
        return self._rados.get_addrs()

    def prepare(self, source: Any, target: Any, layout: Any, features: Optional[int]) -> None:
        try:
            librbd.prepare(self._at(source), source.image, self._at(target), target.image, features)
        except (errors.Error, errors.RbdError) as error:
            number = abs(error.errno or 5)
            raise _modules["capi"].CApiError("rbd_migration_prepare", number) from error

    def _at(self, place: Any) -> Spot:
        ioctx = self._rados.open_ioctx2(place.pool_id)
        ioctx.set_namespace(place.namespace)
        return Spot.of(ioctx)


class WorkerProcess:
    """cluster.worker_process.WorkerProcess"""

    process_identity = ProcessIdentity()  # no manager knows the processes of another one's host

    def __init__(self, identity: Any) -> None:
        simulation = active()
        simulation.step(0.1)
        manager = simulation.current()
        count = len(simulation.processes)
        self.process = simulation.process(f"worker-{count}", manager)
        self.pid = self.process.pid
        with simulation.acting_as(self.process):
            self._session = _modules["session"].Session(identity)
        self.addresses = tuple(self._session.addresses)
        self.clients = tuple(self._session.clients)
        self._events: deque[Message] = deque()
        self._number = 0

    @property
    def alive(self) -> bool:
        return self.process.alive

    def send(self, message: Message) -> None:
        """The worker's end of the pipe."""
        self._events.append(decode_line(encode_line(message)))

    def run(self, job: Job, tell: Tell) -> Ending:
        self._number += 1
        message = decode_line(encode_line(DoJob(self._number, job)))
        if self.alive:
            self._session.pace.set(message.rate)
            active().spawn(
                f"{self.process.name} {job.name}",
                lambda: _modules["main"]._run(self._session, self, message),
                self.process,
            )
        while True:
            active().block(lambda: bool(self._events) or not self.alive)
            if not self._events:
                raise _modules["process"].WorkerLost(
                    "the worker was ended by SIGKILL", int(signal.SIGKILL)
                )
            told = self._events.popleft()
            if not isinstance(told, FromJob) or told.number != self._number:
                continue
            if isinstance(told.event, (Done, Failed)):
                return told.event
            tell(told.event)

    def memory(self) -> int:
        return 0

    def kill(self) -> None:
        active().kill(self.process)

    def reap(self) -> int:
        active().block(lambda: not self.alive)
        return -int(signal.SIGKILL)

    def set_rate(self, rate: Optional[int]) -> None:
        if self.alive:
            self._session.pace.set(rate)
