"""Looking ahead: threads look at the next images of a plan while the former ones are dealt with.

A look changes nothing, so that one too many does no harm. Its outcome is used in the order of the
images, by the thread that asked.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Optional, TypeVar

Thing = TypeVar("Thing")
Outcome = TypeVar("Outcome")

THREADS = 4  # fewer than the questions of a kind that may wait for a worker
_AHEAD = 2 * THREADS


class Lookahead:
    """Threads that look. They start with the first look. Thread-safe."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: queue.Queue[Optional[Callable[[], None]]] = queue.Queue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def in_order(
        self, look: Callable[[Thing], Outcome], things: Iterable[Thing]
    ) -> Generator[tuple[Thing, Future[Outcome]], None, None]:
        """Each of ``things`` with its look, which may still run; a few looks ahead.

        Close the iterator where not all are wanted. A look that :meth:`stop` prevented is
        cancelled. ``look`` runs for the same caller as the calling thread.
        """
        coming = iter(things)
        begun: deque[tuple[Thing, Future[Outcome]]] = deque()
        try:
            while True:
                for thing in coming:
                    begun.append((thing, self._begin(look, thing)))
                    if len(begun) >= _AHEAD:
                        break
                if not begun:
                    return
                yield begun.popleft()
        finally:
            for _, future in begun:
                future.cancel()

    def stop(self) -> None:
        """End the threads after the looks that run; :meth:`join` waits for them."""
        with self._lock:
            self._stopping = True
            for _ in self._threads:
                self._tasks.put(None)

    def join(self, timeout: float) -> bool:
        """Wait for the threads' end; False when one is still there. ``timeout`` in seconds."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _begin(self, look: Callable[[Thing], Outcome], thing: Thing) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        context = copy_context()  # for each look: one context is not entered twice at once

        def task() -> None:
            if self._stopping:
                future.cancel()
            if not future.set_running_or_notify_cancel():
                return
            try:
                outcome = context.run(look, thing)
            except BaseException as error:  # raised where the outcome is used
                future.set_exception(error)
            else:
                future.set_result(outcome)

        with self._lock:
            if self._stopping:
                future.cancel()
                return future
            if not self._threads:
                self._start()
            self._tasks.put(task)
        return future

    def _start(self) -> None:
        self._threads = [
            threading.Thread(target=self._run, name=f"rbdmigrate-{self._name}-{n}", daemon=True)
            for n in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
