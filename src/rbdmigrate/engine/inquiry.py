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


@dataclass(eq=False)
class _Question:
    op: str
    args: dict[str, Any]
    answer: Future[dict[str, Any]]
    given_up: bool = False


class Inquiry:
    """A thread with a worker of its own for questions; one at a time, each with a time limit."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._questions: queue.Queue[Optional[_Question]] = queue.Queue()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()  # for the question that the worker is at
        self._at: Optional[_Question] = None
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
            self._give_up(question)
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

    def _give_up(self, question: _Question) -> None:
        """Nobody waits for the answer any more. Others may wait for those of the same worker."""
        question.answer.cancel()  # unless it is being answered
        with self._lock:
            question.given_up = True
            if self._at is question and self._worker is not None:
                self._worker.kill()

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
            if not question.answer.set_running_or_notify_cancel():
                continue  # it was given up
            try:
                answer = self._answer(question)
            except Exception as error:  # handed to whoever asked
                question.answer.set_exception(error)
            else:
                question.answer.set_result(answer)
        self._discard()

    def _answer(self, question: _Question) -> dict[str, Any]:
        if self._worker is not None and not self._worker.alive:
            self._discard()
        if self._worker is None:
            self._worker = WorkerProcess(self._identity)
        job = {"job": next(self._numbers), "op": question.op, "args": question.args}
        with self._lock:
            if question.given_up:
                raise WorkerLost("nobody waits for the answer any more")
            self._at = question
        try:
            return self._worker.run(job, lambda event: None)
        finally:
            with self._lock:
                self._at = None

    def _discard(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.reap()
