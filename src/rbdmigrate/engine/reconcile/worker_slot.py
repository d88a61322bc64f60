"""Slots: the places where acts happen. A slot is a supervising thread with a worker process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

from ...cluster.client import Identity
from ...cluster.worker_process import WorkerLost, WorkerProcess
from ...control.lifecycle.failures import FailureReason
from ...model.states import ActKind
from ..records.registry import TrackedMigration

log = logging.getLogger(__name__)

_IDLE = 120.0  # seconds after which a worker without a job is ended; it keeps nothing open so long


@dataclass
class Job:
    """An act on a migration. ``stop_reason`` is set before its worker is killed on purpose;
    ``failure`` when that is a failure of the act."""

    tracked: TrackedMigration
    act: ActKind
    stop_reason: str = ""
    failure: Optional[FailureReason] = None


class Slot:
    """One thread and its worker. ``work`` is called in the thread, with the slot and the job.

    ``free`` is called after each job, ``started`` after the start of each worker.
    """

    def __init__(
        self,
        *,
        name: str,
        identity: Identity,
        work: Callable[[Slot, Job], None],
        free: Callable[[], None],
        started: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._identity = identity
        self._work = work
        self._free = free
        self._started = started
        self._wake = threading.Condition()
        self._job: Optional[Job] = None
        self._stopping = False
        self._worker: Optional[WorkerProcess] = None
        self.crashed = ""
        self.armed_until = 0.0  # monotonic: until then its worker may have images open
        self._thread = threading.Thread(target=self._run, name=f"rbdmigrate-{name}", daemon=True)
        self._thread.start()

    # -- called by the loop ------------------------------------------------------------------

    @property
    def job(self) -> Optional[Job]:
        """The job it is at."""
        return self._job

    @property
    def stopping(self) -> bool:
        """True once the slot is to end."""
        return self._stopping

    def assign(self, job: Job) -> bool:
        """Give it a job; False when it has one, or ends or ended."""
        with self._wake:
            if self._job is not None or self._stopping or self.crashed:
                return False
            self._job = job
            self._wake.notify()
        return True

    def follow(self, job: Job, following: Job) -> bool:
        """Go on with ``following`` right after ``job``; for the slot's thread.

        False when the slot is to end, or when the worker was killed to stop ``job``.
        """
        with self._wake:
            if self._stopping or job.stop_reason:
                return False
            self._job = following
        return True

    def interrupt(self, job: Job, reason: str, failure: Optional[FailureReason] = None) -> None:
        """Kill the worker if it is (still) at ``job``. What follows such a stop is left to end."""
        with self._wake:
            if self._job is job and not job.stop_reason:
                job.stop_reason, job.failure = reason, failure
                if self._worker is not None:
                    self._worker.kill()

    def memory(self) -> int:
        """Bytes of memory that the worker has in use; 0 without one."""
        with self._wake:
            return self._worker.memory() if self._worker is not None else 0

    def set_rate(self, rate: Optional[int]) -> None:
        """Tell the worker another rate for its copy, in bytes per second."""
        with self._wake:
            if self._worker is not None and self._job is not None:
                self._worker.set_rate(rate)

    def stop(self) -> None:
        """End the thread; a job under way is interrupted. Use :meth:`join` to wait for it."""
        with self._wake:
            self._stopping = True
            if self._job is not None:
                self._job.stop_reason = self._job.stop_reason or "the module is being stopped"
            if self._worker is not None:
                self._worker.kill()
            self._wake.notify()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False when it is still there."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # -- called in the slot's thread -----------------------------------------------------------

    def worker(self, job: Job) -> WorkerProcess:
        """A living worker, the last one if it lives. Raises WorkerLost or MigrationError."""
        if self._worker is not None and not self._worker.alive:
            self.discard_worker()
        if self._worker is None:
            self.fresh_worker()
        if job.stop_reason:
            raise WorkerLost(job.stop_reason)
        assert self._worker is not None
        return self._worker

    def discard_worker(self) -> None:
        """Make sure that the worker is gone; the next job starts another."""
        with self._wake:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.reap()

    def fresh_worker(self) -> WorkerProcess:
        """A worker for what remains to be done after the job's own was killed."""
        self.discard_worker()
        started = WorkerProcess(self._identity)
        self._started()
        with self._wake:
            self._worker = started
        return started

    def _run(self) -> None:
        try:
            while not self.crashed:
                with self._wake:
                    self._wake.wait_for(
                        lambda: self._job is not None or self._stopping,
                        _IDLE if self._worker is not None else None,
                    )
                    job = self._job
                    if job is None and self._stopping:
                        return
                if job is None:
                    self.discard_worker()  # it had nothing to do for a while: its memory is freed
                else:
                    self._do(job)
        finally:
            self.discard_worker()

    def _do(self, job: Job) -> None:
        """Do a job; an error beyond its own failures ends the slot, which then takes no other."""
        crashed = ""
        try:
            self._work(self, job)
        except BaseException as error:
            crashed = f"{type(error).__name__}: {error}"
            log.exception("slot %s ended", self.name)
        with self._wake:
            self._job = None
            self.crashed = crashed
        self._free()
