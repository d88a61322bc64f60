"""A client of QEMU's monitor protocol (QMP): JSON lines over a Unix socket.

Debian 12 has no package of ``qemu.qmp``, and the agent has to install from Debian's packages alone;
so this is a small synchronous one. A QMP socket serves one client at a time: connect, act,
disconnect. Events are skipped.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Protocol

from .errors import GuestError, GuestGone, NoAnswer, Refused

_LONGEST_ANSWER = 64 << 20  # bytes; a graph of many nodes has some hundred KiB
_PIECE = 65536


class Monitor(Protocol):
    """What carries out commands of QMP, however it reaches QEMU."""

    def execute(self, command: str, arguments: Optional[dict[str, Any]] = None) -> Any:
        """Run a command; return its answer.

        Raises Refused for an error of QEMU, NoAnswer, GuestGone, GuestError.
        """


class QmpSocket:
    """One connection; a context manager."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        """Connect and negotiate; ``timeout`` (seconds) is for this and for each command.

        Raises GuestGone when nobody listens, NoAnswer, GuestError.
        """
        self._path, self._timeout = path, timeout
        self._buffer = b""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._connect()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> QmpSocket:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._socket.close()

    @property
    def pid(self) -> int:
        """The process that listens at the socket."""
        raw = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", raw)[0])

    def pause(self) -> None:
        """Pause the guest."""
        self.execute("stop")

    def go_on(self) -> None:
        """Let the guest go on."""
        self.execute("cont")

    def execute(self, command: str, arguments: Optional[dict[str, Any]] = None) -> Any:
        """See :class:`Monitor`."""
        deadline = time.monotonic() + self._timeout
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._send(json.dumps(request).encode() + b"\n", deadline)
        while True:
            answer = self._receive(deadline)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Refused(said(command, answer["error"]))

    def _connect(self) -> None:
        deadline = time.monotonic() + self._timeout
        self._socket.settimeout(self._timeout)
        try:
            self._socket.connect(os.fspath(self._path))
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise GuestGone(f"No QEMU listens at {self._path}.") from error
        except OSError as error:
            raise GuestError(f"The socket {self._path} cannot be opened: {error}.") from error
        try:
            greeting = self._receive(deadline)
        except NoAnswer as error:
            raise NoAnswer(
                f"QEMU at {self._path} does not greet: it hangs, or another client uses this "
                "socket, which serves one at a time. Give the agent a QMP socket of its own."
            ) from error
        if "QMP" not in greeting:
            raise GuestError(f"What listens at {self._path} does not speak QMP.")
        self.execute("qmp_capabilities")

    def _send(self, data: bytes, deadline: float) -> None:
        self._limit(deadline)
        try:
            self._socket.sendall(data)
        except socket.timeout as error:
            raise self._no_answer() from error
        except OSError as error:
            raise GuestGone(f"QEMU at {self._path} closed the connection: {error}.") from error

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            self._limit(deadline)
            try:
                piece = self._socket.recv(_PIECE)
            except socket.timeout as error:
                raise self._no_answer() from error
            except OSError as error:
                raise GuestGone(f"QEMU at {self._path} closed the connection: {error}.") from error
            if not piece:
                raise GuestGone(f"QEMU at {self._path} closed the connection.")
            self._buffer += piece
            if len(self._buffer) > _LONGEST_ANSWER:
                raise GuestError(f"What listens at {self._path} sends too much for QMP.")
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise GuestError(f"What listens at {self._path} does not speak QMP.") from error
        if not isinstance(answer, dict):
            raise GuestError(f"What listens at {self._path} does not speak QMP.")
        return answer

    def _limit(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise self._no_answer()
        self._socket.settimeout(left)

    def _no_answer(self) -> NoAnswer:
        return NoAnswer(f"QEMU at {self._path} did not answer within {self._timeout:g} s.")


def said(command: str, error: Any) -> str:
    """Return the sentence for an error of QEMU."""
    text = error.get("desc", "") if isinstance(error, dict) else str(error)
    return f"QEMU refused {command}: {str(text).rstrip('.')}."
