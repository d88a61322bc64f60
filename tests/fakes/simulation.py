"""Threads, processes and time under a test's control.

One thread runs at a time, on a virtual clock. They are real threads, which switch where they
would wait, and at operations of the fake cluster, in an order that depends on the seed alone: a
test that fails fails again with the same seed. The clock does not move while a thread can run, and
then jumps to the next timeout, so waiting costs nothing.
"""

from __future__ import annotations

import _thread
import contextlib
import random
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Optional

EPOCH = 1_700_000_000.0  # what time.time() says at the start
_SWITCH = 0.15  # how often an operation of the cluster lets another thread run, when one can
_MAX_STEPS = 400_000  # more than any test needs: something runs forever


class Killed(BaseException):
    """Raised in each thread of a process that was killed, at the next point where it may stop."""


class Stuck(AssertionError):
    """Nobody can run and nobody waits for a time, or it goes on forever."""


class Process:
    """What is killed together. A child ends with its parent, as a worker does with its manager."""

    def __init__(self, name: str, pid: int, parent: Optional[Process] = None) -> None:
        self.name = name
        self.pid = pid
        self.alive = True
        self.frozen = False
        self.stopped_at: Optional[float] = None  # when it was killed or frozen
        self.children: list[Process] = []
        if parent is not None:
            parent.children.append(self)

    @property
    def running(self) -> bool:
        """Neither killed nor frozen."""
        return self.alive and not self.frozen


class _Pool:
    """Real threads, which are used again: starting one costs more than most tasks."""

    def __init__(self) -> None:
        self._idle: list[tuple[Any, list[Callable[[], None]]]] = []

    def start(self, body: Callable[[], None]) -> None:
        """Run ``body`` in a thread of its own."""
        if self._idle:
            wake, todo = self._idle.pop()
        else:
            wake, todo = _thread.allocate_lock(), []
            wake.acquire()
            threading.Thread(target=self._run, args=(wake, todo), daemon=True).start()
        todo.append(body)
        wake.release()

    def _run(self, wake: Any, todo: list[Callable[[], None]]) -> None:
        while True:
            wake.acquire()
            todo.pop()()
            self._idle.append((wake, todo))


_pool = _Pool()


class _Task:
    """A thread; it runs while it holds ``turn``. ``ready``: what it waits for, None: nothing."""

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.name = name
        self.turn = _thread.allocate_lock()
        self.turn.acquire()
        self.ready: Optional[Callable[[], bool]] = None
        self.deadline: Optional[float] = None
        self.done = False


class Simulation:
    """The scheduler and the clock. The thread that makes it is the test's own process."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 0.0  # seconds since the start
        self.random = random.Random(seed)
        self.errors: list[str] = []  # tracebacks of threads that ended with an exception
        self.test = Process("test", 1)
        self.processes = {1: self.test}
        self._steps = 0
        self.most_steps = _MAX_STEPS
        self._main = self._current = _Task(self.test, "test")
        self._tasks = [self._main]
        self._stuck = ""

    # -- processes and time ------------------------------------------------------------------

    def process(self, name: str, parent: Optional[Process] = None) -> Process:
        """A new process. Its number is above those of real processes."""
        made = Process(name, 10_000_000 + len(self.processes), parent)
        self.processes[made.pid] = made
        return made

    def current(self) -> Process:
        """The process that runs now."""
        return self._current.process

    def kill(self, process: Process) -> None:
        """SIGKILL: none of its threads does anything any more. Its children end with it."""
        if not process.alive:
            return
        process.alive = False
        process.stopped_at = self.now if process.stopped_at is None else process.stopped_at
        for child in process.children:
            self.kill(child)

    def freeze(self, process: Process) -> None:
        """SIGSTOP, or a paused virtual machine: with its children, until :meth:`thaw`."""
        process.frozen = True
        process.stopped_at = self.now
        for child in process.children:
            if child.alive:
                self.freeze(child)

    def thaw(self, process: Process) -> None:
        """SIGCONT."""
        process.frozen = False
        process.stopped_at = None if process.alive else process.stopped_at
        for child in process.children:
            if child.alive:
                self.thaw(child)

    def jump_ahead(self, seconds: float) -> None:
        """The clock jumps ahead; what became due meanwhile happens once, afterwards."""
        self.now += seconds

    @contextlib.contextmanager
    def acting_as(self, process: Process) -> Iterator[None]:
        """What the calling thread does within is done by ``process``."""
        task = self._current
        before, task.process = task.process, process
        try:
            yield
        finally:
            task.process = before

    # -- threads -----------------------------------------------------------------------------

    def spawn(self, name: str, target: Callable[[], Any], process: Optional[Process] = None) -> Any:
        """Start a thread of ``process`` (None: of the calling one); it is waited for by join."""
        task = _Task(process or self.current(), name)

        def body() -> None:
            task.turn.acquire()
            try:
                if task.process.alive:
                    target()
            except Killed:
                pass
            except BaseException:
                if task.process.alive:
                    self.errors.append(f"{name}: {traceback.format_exc()}")
            finally:
                task.done = True
                self._tasks.remove(task)
                self._next().turn.release()

        self._tasks.append(task)
        _pool.start(body)
        return task

    def step(self, seconds: float = 0.0) -> None:
        """A point where another thread may run, and where a killed process stops."""
        self.now += seconds
        self._steps += 1
        if self._steps > self.most_steps:
            raise Stuck(f"{self._current.name} does not come to an end")
        if self._current.process.running and self.random.random() >= _SWITCH:
            return
        self._switch(None, None)

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.block(lambda: False, seconds)

    def block(self, ready: Callable[[], bool], timeout: Optional[float] = None) -> bool:
        """Wait until ``ready()``; False when ``timeout`` seconds passed before."""
        if not ready() or not self._current.process.running:
            self._switch(ready, None if timeout is None else self.now + max(0.0, timeout))
        return ready()

    def _switch(self, ready: Optional[Callable[[], bool]], deadline: Optional[float]) -> None:
        me = self._current
        me.ready, me.deadline = ready, deadline
        chosen = self._next()
        if chosen is not me:
            chosen.turn.release()
            me.turn.acquire()
        me.ready = me.deadline = None
        if me is self._main and self._stuck:
            message, self._stuck = self._stuck, ""
            raise Stuck(message)
        if not me.process.alive:
            raise Killed

    def _next(self) -> _Task:
        """The thread that runs next, the current one from now on."""
        while True:
            able = [task for task in self._tasks if self._able(task)]
            if able:
                self._current = able[0] if len(able) == 1 else self.random.choice(able)
                return self._current
            times = [
                task.deadline
                for task in self._tasks
                if task.deadline is not None and not task.process.frozen
            ]
            if not times:
                waiting = ", ".join(task.name for task in self._tasks)
                self._stuck = f"nobody can run any more: {waiting}"
                self._current = self._main
                return self._main
            self.now = max(self.now, min(times))

    def _able(self, task: _Task) -> bool:
        if not task.process.alive:
            return True  # to end
        if task.process.frozen:
            return False
        if task.deadline is not None and task.deadline <= self.now:
            return True
        return task.ready is None or task.ready()

    def close(self) -> None:
        """End all threads. For the test's own thread."""
        for process in self.processes.values():
            if process is not self.test:
                self.thaw(process)
                self.kill(process)
        self.block(lambda: all(task.process is self.test for task in self._tasks))


_active: list[Simulation] = []


def active() -> Simulation:
    """The simulation that runs."""
    return _active[-1]


@contextlib.contextmanager
def running(simulation: Simulation) -> Iterator[Simulation]:
    """Make a simulation the active one, and end its threads afterwards."""
    _active.append(simulation)
    try:
        yield simulation
    finally:
        simulation.close()
        _active.pop()
