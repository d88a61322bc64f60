"""Spans: where the time of migrations goes (``./run qa trace``); without a trace folder, nothing.

The folder comes from the environment of the process that started the manager
(RBD_MIGRATION_TRACE_DIR). Each process appends to a file of its own there, one line of JSON for
each span: what was done, on which migration, for which act, from when until when (monotonic
seconds, which all processes of a host share), and the CPU seconds of the thread, or of the process.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import IO, Optional

FOLDER = "RBD_MIGRATION_TRACE_DIR"  # the name of the environment variable


class _Trace:
    """The file of this process, which is made with its first span."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: Optional[IO[str]] = None

    def append(self, line: str) -> None:
        with self._lock:
            if self._file is None:
                path = os.path.join(self._folder, f"{os.getpid()}.trace")
                self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
            self._file.write(line + "\n")


_trace = _Trace(os.environ[FOLDER]) if os.environ.get(FOLDER) else None
_OFF: AbstractContextManager[None] = nullcontext()


def span(
    what: str, ident: str = "", act: str = "", *, all_threads: bool = False
) -> AbstractContextManager[None]:
    """A span from the entry of this context to its exit. Does nothing unless a trace is wanted.

    ``ident``: the migration's id; empty where it is not known. ``act``: the act. ``all_threads``:
    the processor time is that of the process, with the threads of librbd, and not of this thread.
    """
    if _trace is None:
        return _OFF
    return _Span(_trace, (what, ident, act), time.process_time if all_threads else time.thread_time)


class _Span(AbstractContextManager[None]):
    def __init__(
        self, trace: _Trace, what: tuple[str, str, str], used: Callable[[], float]
    ) -> None:
        self._trace = trace
        self._what = what
        self._clock = used
        self._begin = self._used = 0.0

    def __enter__(self) -> None:
        self._begin, self._used = time.monotonic(), self._clock()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        used = self._clock() - self._used
        self._trace.append(json.dumps([*self._what, self._begin, time.monotonic(), used]))
