"""The manager's end of a worker: start it, give it jobs, read its events, kill it."""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from errno import E2BIG, EIO
from typing import IO, Optional, cast

from .. import __version__, trace
from ..model.errors import MigrationError, RecordError, errno_text
from ..model.jobs.protocol import (
    MAX_LINE,
    DoJob,
    Done,
    Ending,
    Failed,
    FromJob,
    GaveUp,
    Hello,
    Job,
    Message,
    SetRate,
    Start,
    Tell,
    decode_line,
    encode_line,
)
from ..model.migration import ProcessIdentity
from .client import Identity
from .processes import identity_of

START_TIMEOUT = 40.0  # seconds until the hello message: two connections of up to 20 s each
# Fault injection for tests; OpenSSL's variables for the certificate authorities of a host.
_PASSED_ON = ("RBD_MIGRATION_FAULT_DIR", trace.FOLDER, "SSL_CERT_FILE", "SSL_CERT_DIR")

_BOOT = "import sys; sys.path.append(sys.argv[1]); from rbdmigrate.worker.main import main; main()"


class WorkerLost(Exception):
    """The worker ended before it answered. ``signal`` is the signal's number, 0 if it exited.
    ``gave_up``: it exited by its own decision, and the message is for the user.
    """

    def __init__(self, message: str, number: int = 0, *, gave_up: bool = False) -> None:
        super().__init__(message)
        self.signal = number
        self.gave_up = gave_up


class JobTooLong(MigrationError):
    """A job that is too long for a worker to read; nothing of it was sent."""


def interpreter() -> str:
    """The path of this process's Python; ``sys.executable`` is empty inside ceph-mgr."""
    if sys.executable and os.access(sys.executable, os.X_OK):
        return sys.executable
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    inside = os.path.join(sys.base_prefix, "bin", name)
    found = inside if os.access(inside, os.X_OK) else shutil.which(name)
    if found is None:
        raise WorkerLost(f"no {name} on this host to start a worker with")
    return found


class WorkerProcess:
    """A worker. Started and used by one thread, which must outlive it: the kernel ends the worker
    with the thread that started it. ``kill`` may be called by any thread.
    """

    def __init__(self, identity: Identity) -> None:
        library = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        for name in _PASSED_ON:
            if os.environ.get(name):
                environment[name] = os.environ[name]
        self._errors, self._process = _start(library, environment)
        self.pid = self._process.pid
        self.process_identity = identity_of(self.pid) or ProcessIdentity()  # to identify it later
        self._out = cast(IO[bytes], self._process.stdout).fileno()
        self._buffer = b""
        self._numbers = itertools.count(1)
        self._writing = threading.Lock()
        self._rate: Optional[int] = None  # what the worker was told last, with a job or since
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self.addresses: tuple[str, ...] = ()
        self.clients: tuple[int, ...] = ()
        try:
            self._greet(identity)
        except BaseException:
            self.kill()
            self.reap()
            raise

    def _greet(self, identity: Identity) -> None:
        self._send(Start(identity.name, identity.conf, identity.keyring, os.getpid()))
        hello = self._receive(time.monotonic() + START_TIMEOUT)
        if not isinstance(hello, Hello):
            raise WorkerLost("a worker did not start in time")
        if hello.version != __version__:
            raise WorkerLost(
                f"the module's files are of version {hello.version}, the manager runs "
                f"{__version__}; restart the manager"
            )
        self.addresses, self.clients = hello.addresses, hello.clients

    @property
    def alive(self) -> bool:
        """False once it has ended, for any reason."""
        return self._process.poll() is None

    def run(self, job: Job, tell: Tell) -> Ending:
        """Run one job; return how it ended, and pass its progress to ``tell``.

        No timeout: a copy may take days, and RADOS calls wait for OSDs to come back. To stop a
        job, kill the worker. Raises WorkerLost and JobTooLong.
        """
        number = next(self._numbers)
        do_job = DoJob(number, job)
        with self._writing:
            self._rate = do_job.rate
            self._send(do_job)
        for message in self._messages():
            if not isinstance(message, FromJob) or message.number != number:
                continue
            event = message.event
            if isinstance(event, (Done, Failed)):
                return event
            if isinstance(event, GaveUp):
                self.kill()
                raise WorkerLost(event.message, gave_up=True)
            tell(event)
        raise AssertionError("unreachable")

    def memory(self) -> int:
        """Bytes of memory in use (resident); 0 once it ended."""
        try:
            with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    def kill(self) -> None:
        """Send SIGKILL, which ends the worker at any point of its job."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)

    def reap(self) -> int:
        """Wait until it has ended, free its resources and return its exit code."""
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # unsent bytes for a process that is gone
        self._selector.close()
        return code

    def set_rate(self, rate: Optional[int]) -> None:
        """Change the rate of the running copy, in bytes per second. May be called by any thread.

        Does nothing for a worker that has that rate, or has ended; the thread in ``run`` notices
        the latter.
        """
        with self._writing, contextlib.suppress(OSError, ValueError):
            if rate != self._rate:
                self._write(SetRate(rate))
                self._rate = rate

    def _send(self, message: Message) -> None:
        try:
            self._write(message)
        except OSError as error:
            raise self._lost() from error

    def _write(self, message: Message) -> None:
        line = encode_line(message)
        if len(line) > MAX_LINE:
            raise JobTooLong(
                E2BIG,
                f"The job for a worker has {len(line)} bytes, but a worker reads only {MAX_LINE}.",
            )
        pipe = cast(IO[bytes], self._process.stdin)
        pipe.write(line)
        pipe.flush()

    def _messages(self) -> Iterator[Message]:
        while True:
            message = self._receive(None)
            if message is not None:
                yield message

    def _receive(self, deadline: Optional[float]) -> Optional[Message]:
        """Wait for the next message; None at the deadline. Raises WorkerLost."""
        while b"\n" not in self._buffer:
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._selector.select(wait):
                return None
            piece = os.read(self._out, 1 << 16)
            if not piece or len(self._buffer) > MAX_LINE:
                raise self._lost()
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            return decode_line(line)
        except RecordError as error:
            self.kill()
            raise WorkerLost(f"what the worker said cannot be understood: {error}") from error

    def _lost(self) -> WorkerLost:
        self.kill()
        code = self._process.wait()
        if code < 0:
            return WorkerLost(f"the worker was ended by {signal.Signals(-code).name}", -code)
        self._errors.seek(0)
        tail = self._errors.read()[-300:].decode(errors="replace").strip()
        return WorkerLost(f"the worker ended with exit code {code}: {tail}")


def _bytecode() -> list[str]:
    """Options of Python: where compiled modules are kept, if this process has a folder for them."""
    prefix = sys.pycache_prefix
    return ["-X", f"pycache_prefix={prefix}"] if prefix else ["-B"]


def _start(
    library: str, environment: Mapping[str, str]
) -> tuple[IO[bytes], subprocess.Popen[bytes]]:
    """Start a worker; return the file for its stderr, and its process. Raises WorkerLost."""
    program = interpreter()
    errors: Optional[IO[bytes]] = None
    try:
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in reap
        process = subprocess.Popen(
            [program, "-I", *_bytecode(), "-c", _BOOT, library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            close_fds=True,
            cwd="/",
        )
    except OSError as error:  # no space in /tmp, no more processes or memory
        if errors is not None:
            errors.close()
        raise WorkerLost(errno_text(error.errno or EIO)) from error
    return errors, process
