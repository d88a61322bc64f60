"""Daemons as child processes that outlive this one, and killing exactly them.

A pid can be re-used by a foreign process, so a process is identified by its pid and its start time.
Every process of a cluster, also one that a daemon started, has the cluster's folder in its
environment. `carrying` finds them all by that.
"""

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

MARK = "RBD_DEVCLUSTER"

# Children of this process, kept so that they are reaped when they end.
_children: "dict[int, subprocess.Popen[bytes]]" = {}


@dataclass(frozen=True)
class Process:
    """One process, identified so that a later one with the same pid is not mistaken for it."""

    pid: int
    started: int  # in clock ticks since boot


def start_time(pid: int) -> Optional[int]:
    """Return when the process started, or None when there is none (or only a zombie)."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        _children.pop(pid, None)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


def alive(process: Process) -> bool:
    return start_time(process.pid) == process.started


def spawn(command: Sequence[str], env: Mapping[str, str], output: Path) -> Process:
    """Start a daemon in a session of its own."""
    with open(output, "ab") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd="/",
            start_new_session=True,
        )
    _children[child.pid] = child
    return Process(child.pid, start_time(child.pid) or 0)


def send_signal(process: Process, sig: int) -> bool:
    """Send a signal; False when the process is gone."""
    with _handle(process) as handle:
        if handle is None:
            return False
        try:
            signal.pidfd_send_signal(handle, sig)
        except ProcessLookupError:
            return False
        return True


def wait_gone(process: Process, timeout: float) -> bool:
    """Wait until the process has ended; False when it has not within `timeout` seconds."""
    with _handle(process) as handle:
        if handle is None:
            return True
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        ended = bool(poll.poll(timeout * 1000))
    if ended:
        start_time(process.pid)  # reaps it when it is our child
    return ended


def stop(process: Process, grace: float) -> None:
    """End the process: SIGTERM first (unless `grace` is 0), SIGKILL if it still runs after that."""
    if grace and send_signal(process, signal.SIGTERM) and wait_gone(process, grace):
        return
    send_signal(process, signal.SIGKILL)
    wait_gone(process, 10)


def carrying(mark: str) -> list[Process]:
    """Return all processes that were started with MARK=`mark` in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        started = start_time(int(entry))
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes()
        except OSError:
            continue
        if started is not None and wanted in environment.split(b"\0"):
            found.append(Process(int(entry), started))
    return found


@contextlib.contextmanager
def _handle(process: Process) -> Iterator[Optional[int]]:
    """Return a file descriptor of exactly this process, or None when it has ended."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        yield None
        return
    try:
        # The start time is read after the handle was opened: it is the handle's process.
        yield handle if alive(process) else None
    finally:
        os.close(handle)
