"""The worker process: connects, says hello, does one job after another, ends with its parent."""

from __future__ import annotations

import ctypes
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from contextlib import suppress
from errno import EIO
from typing import BinaryIO, Optional

from .. import __version__
from ..cluster.client import Identity
from ..faults import fault_point
from ..model.errors import InUse, MigrationError, RecordError
from ..model.jobs.protocol import (
    MAX_LINE,
    Cause,
    DoJob,
    Done,
    Event,
    Failed,
    FromJob,
    GaveUp,
    Hello,
    Message,
    SetRate,
    Start,
    decode_line,
    encode_line,
)
from ..trace import span
from .copy.throttle import CopyThrottle
from .perform import perform
from .session import KEPT_OPEN, Session

_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8  # malloc.h
_PR_SET_DUMPABLE = 4
_IDLE = 2.0  # seconds without a job
_UNREADABLE = 2  # exit code: the parent said what this version cannot read


class Channel:
    """The worker's end of the pipes. Sending is thread-safe."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Write one message; without a reader on the other side the worker has no purpose."""
        with self._lock:
            try:
                self._writer.write(encode_line(message))
                self._writer.flush()
            except OSError:
                os._exit(0)

    def receive(self) -> Optional[Message]:
        """The next message; None at the end of the input. Raises RecordError."""
        line = self._reader.readline(MAX_LINE)
        return decode_line(line) if line else None


def keep_memory_private() -> None:
    """Leave no core dump, and let no other process of the same user read this one's memory.

    It holds the manager's key and the keys of sources, and a bad source can crash librbd.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def share_freed_memory() -> None:
    """Let all threads use memory that one of them freed; malloc keeps it by thread else."""
    options = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
    if options is not None:
        options(_M_ARENA_MAX, 2)


def give_back_memory() -> None:
    """Return freed memory to the system: a copy has 64 MiB in flight, which malloc would keep."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)


def die_with_parent(parent: int) -> None:
    """End by SIGKILL when the thread that started us ends, and now if it ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _read_jobs(channel: Channel, jobs: queue.Queue[DoJob], pace: CopyThrottle) -> None:
    """Pass on what the parent says. When it says no more, or nothing readable, the process ends.

    A call in librbd would never notice, and a worker that hears nothing would wait forever.
    """
    code = _UNREADABLE
    try:
        while True:
            message = channel.receive()
            if message is None:
                code = 0
                return
            if isinstance(message, SetRate):
                pace.set(message.rate)
            elif isinstance(message, DoJob):
                pace.set(message.rate)  # here, so that it never replaces a newer rate
                jobs.put(message)
            else:
                raise RecordError("a message that is not for a worker at work")
    finally:
        os._exit(code)


def _run(session: Session, channel: Channel, message: DoJob) -> None:
    job = message.job

    def send(event: Event) -> None:
        channel.send(FromJob(message.number, event))

    def give_up(reason: str) -> None:
        """End although librbd is at work, which nothing else stops."""
        send(GaveUp(reason))
        os.kill(os.getpid(), signal.SIGKILL)

    session.give_up = give_up
    try:
        fault_point("worker.before", job.name)
        with span("job", act=job.name, all_threads=True):
            answer = perform(session, job, send)
        fault_point("worker.after", job.name)
    except InUse as error:
        send(Failed(error.errno, Cause.IN_USE, str(error)))
    except MigrationError as error:
        send(Failed(error.errno, Cause.REFUSED, str(error)))
    except session.librbd_errors as error:
        send(Failed(session.errno_of(error), Cause.LIBRBD))
    except Exception:
        text = traceback.format_exc(chain=False)  # librbd's errors repeat source-specs
        send(Failed(EIO, Cause.BUG, text))
    else:
        send(Done(answer))


def main() -> None:
    """Entry point; what is said on standard error before the hello is the parent's to read."""
    keep_memory_private()
    share_freed_memory()
    channel = Channel(sys.stdin.buffer, sys.stdout.buffer)
    start = channel.receive()
    if not isinstance(start, Start):
        return
    die_with_parent(start.parent)
    session = Session(Identity(start.client, start.conf, start.keyring))
    channel.send(Hello(__version__, os.getpid(), session.addresses, session.clients))
    # From here on librbd may print; it repeats secrets and nobody reads it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    jobs: queue.Queue[DoJob] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(channel, jobs, session.pace), daemon=True).start()
    while True:
        _run(session, channel, _next_job(session, jobs))


def _next_job(session: Session, jobs: queue.Queue[DoJob]) -> DoJob:
    """Wait for a job; what the last one left for it is not kept when none comes soon."""
    with suppress(queue.Empty):
        return jobs.get(timeout=_IDLE)
    give_back_memory()
    with suppress(queue.Empty):
        return jobs.get(timeout=KEPT_OPEN - _IDLE)
    session.rest()
    give_back_memory()
    return jobs.get()
