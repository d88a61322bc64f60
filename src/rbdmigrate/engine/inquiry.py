"""Questions that only librbd can answer, asked of a worker while a command waits."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from errno import EAGAIN, EIO
from typing import Any, Optional

from ..cluster.client import Identity
from ..cluster.worker_process import WorkerLost, WorkerProcess
from ..model.errors import MigrationError, errno_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Question:
    op: str
    args: dict[str, Any]
    answer: Future[dict[str, Any]]


class Inquiry:
    """A thread with a worker of its own for questions; one at a time, each with a time limit."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._questions: queue.Queue[Optional[_Question]] = queue.Queue()
        self._numbers = itertools.count(1)
        self._worker: Optional[WorkerProcess] = None
        self._thread = threading.Thread(target=self._run, name="rbdmigrate-inquiry", daemon=True)
        self._thread.start()

    def ask(self, op: str, args: dict[str, Any], timeout: float) -> dict[str, Any]:
        """The worker's answer. MigrationError when librbd refuses or does not answer in time."""
        question = _Question(op, args, Future())
        self._questions.put(question)
        try:
            event = question.answer.result(timeout)
        except futures.TimeoutError:  # the builtin one only from Python 3.11 on
            event = None
        except WorkerLost as error:
            raise MigrationError(EAGAIN, f"A worker was lost ({error}); try again.") from error
        if event is None:
            worker = self._worker
            if worker is not None:
                worker.kill()
            raise MigrationError(
                EAGAIN, "The cluster did not answer in time; look at `ceph health`, try again."
            )
        if event["event"] == "failed" and event["cause"] == "bug":
            log.error("the worker failed at %s:\n%s", op, event["message"])
            raise MigrationError(EIO, "An error in the module; the manager's log has the details.")
        if event["event"] == "failed":
            text = event["message"] if event["cause"] == "refused" else ""
            number = int(event["errno"])
            raise MigrationError(number, text or f"librbd could not tell: {errno_text(number)}.")
        return dict(event["result"])

    def stop(self) -> None:
        """End the thread and its worker."""
        self._questions.put(None)
        worker = self._worker
        if worker is not None:
            worker.kill()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False when it is still there."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            question = self._questions.get()
            if question is None:
                break
            try:
                question.answer.set_result(self._answer(question))
            except Exception as error:  # handed to whoever asked
                question.answer.set_exception(error)
        self._discard()

    def _answer(self, question: _Question) -> dict[str, Any]:
        if self._worker is not None and not self._worker.alive:
            self._discard()
        if self._worker is None:
            self._worker = WorkerProcess(self._identity)
        job = {"job": next(self._numbers), "op": question.op, "args": question.args}
        return self._worker.run(job, lambda event: None)

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.reap()
