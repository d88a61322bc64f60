"""A worker of the module that is killed at chosen points, fenced, and replaced by another one."""

import os
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Optional

import rados

from qa.workload.held_process import HeldProcess, held_at
from rbdmigrate.cluster import headers, surgery
from rbdmigrate.cluster.client import Identity
from rbdmigrate.cluster.fence import DEAD, fence
from rbdmigrate.cluster.lock_out import lock_out
from rbdmigrate.cluster.worker_process import WorkerLost, WorkerProcess
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.jobs.answers import Answer
from rbdmigrate.model.jobs.protocol import Ending, Failed
from rbdmigrate.model.migration import Place

_ENVIRONMENT = "RBD_MIGRATION_FAULT_DIR"
_FENCED = (acts.Execute, acts.Arm, acts.ReverseRound, acts.CutOver, acts.Abort)
_TIMEOUT = 300.0  # seconds for an act with all its tries


class ActFailed(Exception):
    """The worker answered that an act failed. ``errno`` is positive."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(f"errno {failed.errno}: {failed.message}")
        self.errno = failed.errno


class KilledWorker:
    """Runs acts one after another; each is tried again, by a new worker, until it ends.

    A worker has to be started and used by the same thread, so all of that is done by one.
    """

    def __init__(self, client: rados.Rados, conf: Path, faults: Path) -> None:
        self._client = client
        self._identity = Identity("client.admin", str(conf), "")
        self._faults = faults
        self._thread = ThreadPoolExecutor(1)
        self._worker: Optional[WorkerProcess] = None
        self._fenced: tuple[str, ...] = ()
        self.kills = 0

    def arm(self, chance: random.Random, points: "tuple[str, ...]", probability: float) -> None:
        """Have the worker die at one of ``points``, or at none; what was armed before is not."""
        for left in self._faults.iterdir():
            with suppress(FileNotFoundError):
                left.unlink()
        if chance.random() < probability:
            name, _, when = chance.choice(points).partition(" ")
            (self._faults / name).write_text(when, encoding="ascii")

    def held_at(self, name: str, detail: str) -> "AbstractContextManager[HeldProcess]":
        """Have the worker wait at a point until the block ends."""
        return held_at(self._faults, name, detail)

    @property
    def pid(self) -> int:
        """The process id of the worker that did the last act."""
        assert self._worker is not None
        return self._worker.pid

    def begin(self, ends: acts.WarmEnds, act: acts.Act) -> "Future[Ending]":
        """Begin an act."""
        return self._thread.submit(self._run, ends, act)

    def run(self, ends: acts.WarmEnds, act: acts.Act) -> Answer:
        """Do an act. Raises ActFailed."""
        return answer_of(self.begin(ends, act))

    def close(self) -> None:
        """End the worker."""
        self._thread.submit(self._end).result(_TIMEOUT)
        self._thread.shutdown()

    def _run(self, ends: acts.WarmEnds, act: acts.Act) -> Ending:
        while True:
            if self._worker is None:
                self._worker = WorkerProcess(self._identity)
            if isinstance(act, _FENCED):
                act = replace(act, fenced=self._fenced)
            try:
                return self._worker.run(acts.ActOn(ends, act), lambda report: None)
            except WorkerLost:
                self._replace(ends)
                if isinstance(act, acts.ReverseRound) and ends.elsewhere is None:
                    self._lock_out_of(ends.source)

    def _replace(self, ends: acts.WarmEnds) -> None:
        """Shut the dead worker out, as the manager does."""
        assert self._worker is not None
        addresses = self._worker.addresses
        self._end()
        self.kills += 1
        fence(self._client, addresses, DEAD)
        self._fenced += addresses
        for place in (ends.target,) if ends.elsewhere else (ends.source, ends.target):
            if not place.image_id:
                continue
            with self._client.open_ioctx2(place.pool_id) as ioctx:
                ioctx.set_namespace(place.namespace)
                holder = headers.lock_holder(ioctx, place.image_id)
                if holder is not None and holder.address in addresses:
                    surgery.break_lock(ioctx, place.image_id, holder)

    def _lock_out_of(self, source: Place) -> None:
        """Lock clients out of the kept source again, as the manager does."""
        with self._client.open_ioctx2(source.pool_id) as ioctx:
            ioctx.set_namespace(source.namespace)
            lock_out(ioctx, source.image_id)

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.reap()
            self._worker = None


def answer_of(future: "Future[Ending]") -> Answer:
    """The answer to an act that was begun. Raises ActFailed."""
    ending = future.result(_TIMEOUT)
    if isinstance(ending, Failed):
        raise ActFailed(ending)
    return ending.answer


@contextmanager
def killed_worker(client: rados.Rados, conf: Path) -> Iterator[KilledWorker]:
    """A worker that is ended after the block."""
    with tempfile.TemporaryDirectory(prefix="rbd-migration-faults-") as faults:
        before = os.environ.get(_ENVIRONMENT)
        os.environ[_ENVIRONMENT] = faults
        worker = KilledWorker(client, conf, Path(faults))
        try:
            yield worker
        finally:
            worker.close()
            os.environ.pop(_ENVIRONMENT)
            if before is not None:
                os.environ[_ENVIRONMENT] = before
