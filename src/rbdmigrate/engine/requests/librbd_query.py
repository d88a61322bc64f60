"""Questions that only librbd, or a look at an external source, can answer, while a command waits.

Each kind of question has a thread and a worker of its own. So a source that accepts connections and
says nothing delays no question about an image, and checks, which change nothing and can be asked
for again and again, delay no abort, commit or prepare. Nor does the watch for images that clients
close, which asks several times a second.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from errno import EAGAIN, EIO
from typing import Optional, Protocol, TypeVar

from ...cluster.client import Identity
from ...cluster.worker_process import WorkerLost, WorkerProcess
from ...model.errors import MigrationError, errno_text
from ...model.jobs.protocol import Cause, Ending, Failed
from ...model.jobs.questions import FindClosed, InspectSource, Question, ReadList

log = logging.getLogger(__name__)

R = TypeVar("R")

_MOST = 8  # questions of a kind that wait for their turn
_TURN = 60.0  # seconds that one waits for its turn
_IDLE = 60.0  # seconds after which a worker that nobody asks is ended


class Ask(Protocol):
    """Puts a question to a worker, which may take ``least`` seconds or more."""

    def __call__(self, question: Question, answer: type[R], least: float, *, order: bool) -> R:
        """The answer, which is of the class ``answer``.

        ``order``: it is for a request that changes something. Raises MigrationError.
        """


@dataclass(eq=False)
class _Asked:
    question: Question
    ending: Future[Ending]
    begun: threading.Event
    given_up: bool = False


class LibrbdQueries:
    """Asks workers; may be called by many threads at once."""

    def __init__(self, identity: Identity) -> None:
        self._lines = {
            (source, order): _Line(identity, f"{what}-{why}")
            for source, what in ((False, "images"), (True, "sources"))
            for order, why in ((True, "orders"), (False, "checks"))
        }
        self._watch = _Line(identity, "images-watch")

    def ask(self, question: Question, answer: type[R], timeout: float, *, order: bool = True) -> R:
        """A worker's answer, at most ``timeout`` seconds after it began with the question.

        ``answer`` is the class of the answer to such a question. ``order``: for a request that
        changes something, as opposed to a mere check. Raises MigrationError when librbd refuses,
        when no answer comes in time, or when too many questions wait already.
        """
        if isinstance(question, FindClosed):
            line = self._watch
        else:
            line = self._lines[isinstance(question, (InspectSource, ReadList)), order]
        ending = line.ask(question, timeout)
        if isinstance(ending, Failed):
            raise _refusal(question, ending)
        assert isinstance(ending.answer, answer)
        return ending.answer

    def stop(self) -> None:
        """End the threads and their workers. Whoever still waits gets MigrationError."""
        for line in (*self._lines.values(), self._watch):
            line.stop()

    def join(self, timeout: float) -> bool:
        """Wait for the threads' end; False when one is still there."""
        ended = [line.join(timeout) for line in (*self._lines.values(), self._watch)]
        return all(ended)


class _Line:
    """The questions of one kind, in the order in which they came, and who answers them."""

    def __init__(self, identity: Identity, name: str) -> None:
        self._identity = identity
        self._changed = threading.Condition()
        self._waiting: deque[_Asked] = deque()
        self._at: Optional[_Asked] = None  # the one that the worker has
        self._worker: Optional[WorkerProcess] = None
        self._stopping = False
        self._thread = threading.Thread(
            target=self._run, name=f"rbdmigrate-inquiry-{name}", daemon=True
        )
        self._thread.start()

    def ask(self, question: Question, timeout: float) -> Ending:
        """How the question ended. MigrationError(EAGAIN) where it was not answered."""
        asked = _Asked(question, Future(), threading.Event())
        self._put(asked)
        ending = None
        try:
            if asked.begun.wait(_TURN):
                ending = asked.ending.result(timeout)
        except futures.TimeoutError:  # the builtin one only from Python 3.11 on
            log.warning("%s: no answer within %g s", question.name, timeout)
        except WorkerLost as error:
            raise MigrationError(EAGAIN, f"A worker was lost ({error}); try again.") from error
        if ending is None:
            self._give_up(asked)
            raise MigrationError(
                EAGAIN, "The cluster did not answer in time; look at `ceph health`, try again."
            )
        return ending

    def stop(self) -> None:
        """End the thread and its worker."""
        with self._changed:
            self._stopping = True
            left = list(self._waiting)
            self._waiting.clear()
            worker = self._worker
            self._changed.notify_all()
        _refuse(left)
        if worker is not None:
            worker.kill()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False when it is still there."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _put(self, asked: _Asked) -> None:
        with self._changed:
            if self._stopping:
                raise MigrationError(EAGAIN, "This manager is giving up its role; try again.")
            if len(self._waiting) >= _MOST:
                raise MigrationError(
                    EAGAIN,
                    f"{_MOST} requests of this kind wait for an answer already; try again in a "
                    "minute.",
                )
            self._waiting.append(asked)
            self._changed.notify_all()

    def _give_up(self, asked: _Asked) -> None:
        """Nobody waits for this answer any more; it must not keep the worker from the next."""
        with self._changed:
            asked.given_up = True
            if asked in self._waiting:
                self._waiting.remove(asked)
            if self._at is asked and self._worker is not None:
                self._worker.kill()

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while (asked := self._next()) is not None:
            try:
                ending = self._answer(asked)
            except Exception as error:  # handed to whoever asked
                asked.ending.set_exception(error)
            else:
                asked.ending.set_result(ending)
        self._discard()

    def _next(self) -> Optional[_Asked]:
        """The next question; None when the thread is to end."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._waiting or self._stopping,
                    _IDLE if self._worker is not None else None,
                )
                if self._stopping:
                    return None
                if self._waiting:
                    self._at = self._waiting.popleft()
                    self._at.begun.set()
                    return self._at
            self._discard()  # nobody asked for a while

    def _answer(self, asked: _Asked) -> Ending:
        try:
            if self._worker is not None and not self._worker.alive:
                self._discard()
            worker = self._worker or WorkerProcess(self._identity)
            with self._changed:
                self._worker = worker
                if asked.given_up or self._stopping:
                    raise WorkerLost("nobody waits for the answer any more")
            return worker.run(asked.question, lambda report: None)
        finally:
            with self._changed:
                self._at = None

    def _discard(self) -> None:
        with self._changed:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            worker.reap()


def _refuse(questions: Iterable[_Asked]) -> None:
    for asked in questions:
        asked.ending.set_exception(WorkerLost("the engine stops"))
        asked.begun.set()


def _refusal(question: Question, failed: Failed) -> MigrationError:
    if failed.cause is Cause.BUG:
        log.error("the worker failed at %s:\n%s", question.name, failed.message)
        return MigrationError(EIO, "An error in the module; the manager's log has the details.")
    text = failed.message if failed.cause is Cause.REFUSED else ""
    text = text or f"librbd could not tell: {errno_text(failed.errno)}."
    return MigrationError(failed.errno, text)
