"""Questions that only librbd, or a look at an external source, can answer, while a command waits.

Each kind of question has threads and workers of its own: two for images, so that a plan of many
images begins quickly, of which the second starts when the first is busy; one for the others. So a
source that accepts connections and says nothing delays no question about an image, and checks,
which change nothing and can be asked for again and again, delay no abort, commit or prepare. Nor
does the watch for images that clients close, which asks several times a second.
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
from ...model.jobs.questions import (
    FindClosed,
    FindClosedSources,
    InspectSource,
    Question,
    ReadList,
)

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
            (source, order): _Line(identity, f"{what}-{why}", workers)
            for source, what, workers in ((False, "images", 2), (True, "sources", 1))
            for order, why in ((True, "orders"), (False, "checks"))
        }
        self._watches = {
            FindClosed: _Line(identity, "images-watch", 1),
            FindClosedSources: _Line(identity, "sources-watch", 1),
        }

    def ask(self, question: Question, answer: type[R], timeout: float, *, order: bool = True) -> R:
        """A worker's answer, at most ``timeout`` seconds after it began with the question.

        ``answer`` is the class of the answer to such a question. ``order``: for a request that
        changes something, as opposed to a mere check. Raises MigrationError when librbd refuses,
        when no answer comes in time, or when too many questions wait already.
        """
        if isinstance(question, (FindClosed, FindClosedSources)):
            line = self._watches[type(question)]
        else:
            line = self._lines[isinstance(question, (InspectSource, ReadList)), order]
        ending = line.ask(question, timeout)
        if isinstance(ending, Failed):
            raise _refusal(question, ending)
        assert isinstance(ending.answer, answer)
        return ending.answer

    def stop(self) -> None:
        """End the threads and their workers. Whoever still waits gets MigrationError."""
        for line in (*self._lines.values(), *self._watches.values()):
            line.stop()

    def join(self, timeout: float) -> bool:
        """Wait for the threads' end; False when one is still there."""
        ended = [line.join(timeout) for line in (*self._lines.values(), *self._watches.values())]
        return all(ended)


@dataclass(eq=False)
class _Answerer:
    """One who answers: a thread with its worker, and the question that it has."""

    at: Optional[_Asked] = None
    worker: Optional[WorkerProcess] = None


class _Line:
    """The questions of one kind, in the order in which they came, and those who answer them."""

    def __init__(self, identity: Identity, name: str, workers: int) -> None:
        self._identity = identity
        self._changed = threading.Condition()
        self._waiting: deque[_Asked] = deque()
        self._answerers = [_Answerer() for _ in range(workers)]
        self._stopping = False
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(answerer,),
                name=f"rbdmigrate-inquiry-{name}-{number}",
                daemon=True,
            )
            for number, answerer in enumerate(self._answerers)
        ]
        for thread in self._threads:
            thread.start()

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
        """End the threads and their workers."""
        with self._changed:
            self._stopping = True
            left = list(self._waiting)
            self._waiting.clear()
            workers = [one.worker for one in self._answerers if one.worker is not None]
            self._changed.notify_all()
        _refuse(left)
        for worker in workers:
            worker.kill()

    def join(self, timeout: float) -> bool:
        """Wait for the threads' end; False when one is still there."""
        for thread in self._threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

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
            for one in self._answerers:
                if one.at is asked and one.worker is not None:
                    one.worker.kill()

    # -- the threads -------------------------------------------------------------------------

    def _run(self, me: _Answerer) -> None:
        while (asked := self._next(me)) is not None:
            try:
                ending = self._answer(me, asked)
            except Exception as error:  # handed to whoever asked
                asked.ending.set_exception(error)
            else:
                asked.ending.set_result(ending)
        self._discard(me)

    def _next(self, me: _Answerer) -> Optional[_Asked]:
        """The next question; None when the thread is to end."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or self._is_mine(me),
                    _IDLE if me.worker is not None else None,
                )
                if self._stopping:
                    return None
                if self._is_mine(me):
                    me.at = asked = self._waiting.popleft()
                    asked.begun.set()
                    self._changed.notify_all()  # what waits behind it is the next one's now
                    return asked
            self._discard(me)  # nobody asked for a while

    def _is_mine(self, me: _Answerer) -> bool:
        """Whether the first question is for this one: all before it have something to do."""
        first = next((one for one in self._answerers if one.at is None), None)
        return bool(self._waiting) and first is me

    def _answer(self, me: _Answerer, asked: _Asked) -> Ending:
        try:
            if me.worker is not None and not me.worker.alive:
                self._discard(me)
            worker = me.worker or WorkerProcess(self._identity)
            with self._changed:
                me.worker = worker
                if asked.given_up or self._stopping:
                    raise WorkerLost("nobody waits for the answer any more")
            return worker.run(asked.question, lambda report: None)
        finally:
            with self._changed:
                me.at = None

    def _discard(self, me: _Answerer) -> None:
        with self._changed:
            worker, me.worker = me.worker, None
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
