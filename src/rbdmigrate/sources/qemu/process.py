"""A qemu-nbd of our own: it reads a disk of any format, and serves it to us over a Unix socket.

It gets the files as open descriptors, runs in a sandbox (:mod:`.sandbox`), and listens at a socket
whose only clients are connected before it is started.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from errno import EIO, ENOENT, ETIMEDOUT
from pathlib import Path
from typing import Optional

from ..errors import SourceError
from ..qcow_header import printable

PROGRAM = "qemu-nbd"
PACKAGE = "qemu-utils"
MEMORY = 2 << 30  # bytes of addresses; a disk with the largest tables needs some 300 MiB
_OUTPUT = 4096  # bytes of its messages that are kept
_NEXT_SENTENCE = re.compile(r"[.!?]\s+([A-Z])")
_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin")


def program() -> str:
    """The path of qemu-nbd. Raises SourceError where it is not installed."""
    found = shutil.which(PROGRAM, path=os.pathsep.join(_FOLDERS))
    if found is None:
        raise SourceError(
            "QEMU_MISSING",
            ENOENT,
            f"The host of the active manager does not have {PROGRAM}, which reads this format; "
            f"install {PACKAGE} (qemu-img in some distributions) on every host with a manager.",
            remedy=f"apt install {PACKAGE}",
        )
    return found


class QemuProcess:
    """qemu-nbd, started. ``sockets`` are connected to it; nothing was negotiated yet.

    ``disk`` describes the disk as ``blockdev-add`` takes it. The program gets ``files`` and
    ``others`` (sockets, passphrases) as descriptors of the same numbers; they are still the
    caller's. ``secrets`` maps ids to descriptors that hold passphrases. ``snapshot`` is the id of
    an internal snapshot. ``seconds``: time of the processor, 0 for no limit.
    """

    def __init__(
        self,
        *,
        label: str,
        disk: object,
        files: Sequence[int],
        others: Sequence[int] = (),
        secrets: Optional[dict[str, int]] = None,
        snapshot: Optional[str] = None,
        connections: int = 1,
        seconds: int = 0,
    ) -> None:
        self._label = label
        command = [program(), "--read-only", "--shared", str(connections)]
        for ident, file in (secrets or {}).items():
            command += ["--object", f"secret,id={ident},file=/proc/self/fd/{file}"]
        if snapshot is not None:
            command += ["--load-snapshot", f"snapshot.id={snapshot.replace(',', ',,')}"]
        command.append("json:" + json.dumps(disk))
        settings = {
            "parent": os.getpid(),
            "memory": MEMORY,
            "seconds": seconds,
            "files": list(files),
        }
        self.sockets: list[socket.socket] = []
        self._output = b""
        listener = self._connected(connections)
        try:
            self._process = _start(command, settings, listener, [*files, *others])
        except BaseException:
            self._disconnect()
            raise
        finally:
            listener.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _connected(self, connections: int) -> socket.socket:
        """The socket at which the program listens, with our connections in its queue.

        Its name is gone before the program runs, so that nobody else can connect.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = tempfile.mkdtemp(prefix="rbd-migration-")
        path = os.path.join(folder, "nbd")
        try:
            listener.bind(path)
            listener.listen(connections)
            for _ in range(connections):
                client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.sockets.append(client)
                client.connect(path)
        except BaseException:
            listener.close()
            self._disconnect()
            raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            os.rmdir(folder)
        return listener

    def _read(self) -> None:
        assert self._process.stderr is not None
        while True:
            data = os.read(self._process.stderr.fileno(), _OUTPUT)
            if not data:
                return
            self._output = (self._output + data)[:_OUTPUT]

    def ended(self) -> SourceError:
        """The error for a program that answers no more: it ended, or it is ended now."""
        late = False
        try:
            code = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            late, code = True, 0
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)
        if late:
            return SourceError(
                "QEMU_SLOW",
                ETIMEDOUT,
                f"QEMU did not answer when it read {self._label}, so it was stopped; look at the "
                "file with `qemu-img check`.",
            )
        if code < 0 or not self._output:
            how = f"by signal {-code}" if code < 0 else f"with code {code}"
            return SourceError(
                "QEMU_CRASHED",
                EIO,
                f"QEMU ended {how} when it read {self._label}; look at the file with "
                "`qemu-img check`.",
            )
        return SourceError("QEMU_REFUSED", EIO, f"QEMU cannot read {self._label}: {self._said()}.")

    def complained(self, text: str) -> bool:
        """Whether a text is in what it said."""
        return text.encode() in self._output

    def _said(self) -> str:
        """The last line of its messages, as a part of a sentence, without its name and our
        description of the disk.
        """
        lines = [line for line in self._output.splitlines() if line.strip()]
        line = lines[-1] if lines else b""
        begin, _, rest = line.partition(b": ")
        line = rest if begin.endswith(PROGRAM.encode()) else line
        if b"json:" in line:  # Failed to blk_new_open 'json:{...}': why
            line = line.rpartition(b"}': ")[2]
        text = printable(line).rstrip(". ") or "it did not say why"
        return _NEXT_SENTENCE.sub(lambda match: f"; {match[1].lower()}", text)

    def close(self) -> None:
        """End it."""
        self._disconnect()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _disconnect(self) -> None:
        for client in self.sockets:
            client.close()


def _start(
    command: list[str], settings: dict[str, object], listener: socket.socket, given: list[int]
) -> subprocess.Popen[bytes]:
    """Start the command in the sandbox, which makes the listener its descriptor 3."""
    script = str(Path(__file__).with_name("sandbox.py"))
    settings = {**settings, "listen": listener.fileno()}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", script, json.dumps(settings), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[listener.fileno(), *given],
        close_fds=True,
        env={"LC_ALL": "C"},
    )
