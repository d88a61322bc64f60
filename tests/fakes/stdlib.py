"""What stands in for ``threading``, ``time``, ``queue`` and others in the code under test.

Only what the engine and the worker use is there; anything else raises AttributeError at once.
"""

from __future__ import annotations

import os as real_os
import queue as real_queue
import random as real_random
import re
import socket as real_socket
from collections import deque
from collections.abc import Callable
from concurrent import futures as real_futures
from types import SimpleNamespace
from typing import Any, Optional

from .simulation import EPOCH, active


class Lock:
    """threading.Lock"""

    def __init__(self) -> None:
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not blocking and self._held:
            return False
        if not active().block(lambda: not self._held, None if timeout < 0 else timeout):
            return False
        self._held = True
        return True

    def release(self) -> None:
        self._held = False

    def locked(self) -> bool:
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


class RLock(Lock):
    """threading.RLock"""

    def __init__(self) -> None:
        super().__init__()
        self._owner: Any = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        task = active()._current
        if self._owner is not task and not super().acquire(blocking, timeout):
            return False
        self._owner = task
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if self._depth <= 0:
            self._owner, self._depth = None, 0
            super().release()


class Condition(RLock):
    """threading.Condition"""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[list[bool]] = []

    def wait(self, timeout: Optional[float] = None) -> bool:
        told = [False]
        self._waiting.append(told)
        depth, self._depth = self._depth, 1
        self.release()
        try:
            return active().block(lambda: told[0], timeout)
        finally:
            if told in self._waiting:
                self._waiting.remove(told)
            self.acquire()
            self._depth = depth

    def wait_for(self, done: Callable[[], Any], timeout: Optional[float] = None) -> Any:
        end = None if timeout is None else active().now + timeout
        while not done():
            left = None if end is None else end - active().now
            if left is not None and left <= 0:
                break
            self.wait(left)
        return done()

    def notify(self, n: int = 1) -> None:
        for told in self._waiting[:n]:
            told[0] = True
        del self._waiting[:n]

    def notify_all(self) -> None:
        self.notify(len(self._waiting))


class Event:
    """threading.Event"""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: Optional[float] = None) -> bool:
        return active().block(lambda: self._set, timeout)


class Thread:
    """threading.Thread"""

    def __init__(
        self,
        group: None = None,
        target: Optional[Callable[..., Any]] = None,
        name: str = "thread",
        args: tuple[Any, ...] = (),
        kwargs: Optional[dict[str, Any]] = None,
        *,
        daemon: bool = False,
    ) -> None:
        self.name = name
        self.daemon = daemon
        self.ident: Optional[int] = None
        self._call = lambda: target(*args, **(kwargs or {})) if target else None
        self._task: Any = None

    def start(self) -> None:
        self._task = active().spawn(self.name, self._call)
        self.ident = id(self)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done

    def join(self, timeout: Optional[float] = None) -> None:
        active().block(lambda: not self.is_alive(), timeout)


class Timer:
    """threading.Timer"""

    def __init__(self, interval: float, function: Callable[[], Any]) -> None:
        self._interval = interval
        self._function = function
        self._over = False

    def start(self) -> None:
        active().spawn("timer", self._run)

    def cancel(self) -> None:
        self._over = True

    def _run(self) -> None:
        if not active().block(lambda: self._over, self._interval):
            self._function()


class Queue:
    """queue.Queue"""

    def __init__(self, maxsize: int = 0) -> None:
        self._items: deque[Any] = deque()

    def __class_getitem__(cls, item: Any) -> type[Queue]:
        return cls

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        if not active().block(lambda: bool(self._items), timeout if block else 0.0):
            raise real_queue.Empty
        return self._items.popleft()

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def qsize(self) -> int:
        return len(self._items)

    def empty(self) -> bool:
        return not self._items


class Future:
    """concurrent.futures.Future"""

    def __init__(self) -> None:
        self._state = "pending"
        self._result: Any = None
        self._error: Optional[BaseException] = None

    def __class_getitem__(cls, item: Any) -> type[Future]:
        return cls

    def set_running_or_notify_cancel(self) -> bool:
        if self._state == "cancelled":
            return False
        self._state = "running"
        return True

    def cancel(self) -> bool:
        if self._state == "pending":
            self._state = "cancelled"
        return self._state == "cancelled"

    def cancelled(self) -> bool:
        return self._state == "cancelled"

    def done(self) -> bool:
        return self._state in ("done", "cancelled")

    def set_result(self, result: Any) -> None:
        self._state, self._result = "done", result

    def set_exception(self, error: BaseException) -> None:
        self._state, self._error = "done", error

    def _wait(self, timeout: Optional[float]) -> None:
        if not active().block(self.done, timeout):
            raise real_futures.TimeoutError
        if self._state == "cancelled":
            raise real_futures.CancelledError

    def exception(self, timeout: Optional[float] = None) -> Optional[BaseException]:
        self._wait(timeout)
        return self._error

    def result(self, timeout: Optional[float] = None) -> Any:
        self._wait(timeout)
        if self._error is not None:
            raise self._error
        return self._result


class ThreadPoolExecutor:
    """concurrent.futures.ThreadPoolExecutor; what is submitted is done at once"""

    def __init__(self, max_workers: Optional[int] = None, **_: Any) -> None:
        pass

    def submit(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        future = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, **_: Any) -> None:
        pass

    def __enter__(self) -> ThreadPoolExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _Beside:
    """A real module with some names replaced."""

    def __init__(self, module: Any, **replaced: Any) -> None:
        self._module = module
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


_PROC = re.compile(r"/proc/(\d+)")


def _exists(path: Any) -> bool:
    found = _PROC.fullmatch(str(path))
    process = active().processes.get(int(found.group(1))) if found else None
    return process.alive if process is not None else real_os.path.exists(path)


def _token_hex(size: int = 32) -> str:
    return f"{active().random.getrandbits(8 * size):0{2 * size}x}"


def _randbits(bits: int) -> int:
    return active().random.getrandbits(bits)


threading = SimpleNamespace(
    Lock=Lock, RLock=RLock, Condition=Condition, Event=Event, Thread=Thread, Timer=Timer
)
time = SimpleNamespace(
    time=lambda: EPOCH + active().now,
    monotonic=lambda: 1000.0 + active().now,
    sleep=lambda seconds: active().sleep(seconds),
)
queue = SimpleNamespace(Queue=Queue, SimpleQueue=Queue, Empty=real_queue.Empty)
futures = SimpleNamespace(
    Future=Future,
    ThreadPoolExecutor=ThreadPoolExecutor,
    TimeoutError=real_futures.TimeoutError,
    CancelledError=real_futures.CancelledError,
)
secrets = SimpleNamespace(token_hex=_token_hex, randbits=_randbits)
random = _Beside(real_random, Random=lambda: real_random.Random(active().random.getrandbits(32)))
socket = _Beside(real_socket, gethostname=lambda: f"host-{active().current().name}")
os = _Beside(
    real_os, path=_Beside(real_os.path, exists=_exists), getpid=lambda: active().current().pid
)
