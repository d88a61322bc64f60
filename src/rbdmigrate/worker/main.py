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
from typing import Any, BinaryIO, Optional

from .. import __version__
from ..cluster.client import Identity
from ..faults import fault_point
from ..model.errors import MigrationError
from .copy.throttle import CopyThrottle
from .ops import perform
from .protocol import MAX_LINE, decode_line, encode_line
from .session import Session

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_UNREADABLE = 2  # exit code: the parent said what this version cannot read


class Channel:
    """The worker's end of the pipes. Sending is thread-safe."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Write one message; without a reader on the other side the worker has no purpose."""
        with self._lock:
            try:
                self._writer.write(encode_line(message))
                self._writer.flush()
            except OSError:
                os._exit(0)

    def receive(self) -> Optional[dict[str, Any]]:
        """The next message; None at the end of the input."""
        line = self._reader.readline(MAX_LINE)
        return decode_line(line) if line else None


def keep_memory_private() -> None:
    """Leave no core dump, and let no other process of the same user read this one's memory.

    It holds the manager's key and the keys of sources, and a bad source can crash librbd.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """End by SIGKILL when the thread that started us ends, and now if it ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _read_jobs(channel: Channel, jobs: queue.Queue[dict[str, Any]], pace: CopyThrottle) -> None:
    """Pass on what the parent says. When it says no more, or nothing readable, the process ends.

    A call in librbd would never notice, and a worker that hears nothing would wait for ever.
    """
    code = _UNREADABLE
    try:
        while True:
            message = channel.receive()
            if message is None:
                code = 0
                return
            if "rate" in message:
                pace.set(message["rate"])
            else:
                jobs.put(message)
    finally:
        os._exit(code)


def _run(session: Session, channel: Channel, job: dict[str, Any]) -> None:
    number, op = job["job"], job["op"]

    def progress(done: int, total: int, copied: int, size: int, **more: Any) -> None:
        event = {"event": "progress", "job": number, "done": done, "total": total}
        channel.send({**event, "bytes": copied, "bytes_total": size, **more})

    def give_up(message: str) -> None:
        """End although librbd is at work, which nothing else stops."""
        channel.send({"event": "gave_up", "job": number, "message": message})
        os.kill(os.getpid(), signal.SIGKILL)

    session.give_up = give_up
    failed: dict[str, Any] = {"event": "failed", "job": number, "message": ""}
    try:
        fault_point("worker.before", op)
        result = perform(session, op, job["args"], progress)
        fault_point("worker.after", op)
    except MigrationError as error:
        channel.send({**failed, "errno": error.errno, "message": str(error), "cause": "refused"})
    except session.librbd_errors as error:
        channel.send({**failed, "errno": session.errno_of(error), "cause": "librbd"})
    except Exception:
        text = traceback.format_exc(chain=False)  # librbd's errors repeat source-specs
        channel.send({**failed, "errno": 5, "message": text, "cause": "bug"})
    else:
        channel.send({"event": "done", "job": number, "result": result})


def main() -> None:
    """Entry point; what is said on standard error before the hello is the parent's to read."""
    keep_memory_private()
    channel = Channel(sys.stdin.buffer, sys.stdout.buffer)
    first = channel.receive()
    if first is None:
        return
    die_with_parent(int(first["parent"]))
    session = Session(Identity(**first["identity"]))
    channel.send(
        {
            "event": "hello",
            "version": __version__,
            "pid": os.getpid(),
            "addresses": list(session.addresses),
            "clients": list(session.clients),
        }
    )
    # From here on librbd may print; it repeats secrets and nobody reads it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(channel, jobs, session.pace), daemon=True).start()
    while True:
        _run(session, channel, jobs.get())
