"""Commands of the managers without the start-up time of the ``ceph`` tool."""

import json
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from errno import EAGAIN, ETIMEDOUT
from typing import Any, Optional

import rados

NOT_READY = (EAGAIN, ETIMEDOUT)


class Refused(Exception):
    """A command was refused; the text is what the manager said."""

    def __init__(self, prefix: str, errno: int, said: str) -> None:
        super().__init__(said or f"{prefix}: error {errno}")
        self.errno = errno


def send(
    client: rados.Rados, request: str, inbuf: bytes = b"", *, timeout: float
) -> "tuple[int, bytes, str]":
    """Send a command to the active manager; return its (negative) errno, output and text.

    ETIMEDOUT after ``timeout`` seconds. librados itself waits for as long as it takes, whatever
    timeout its binding is given: the thread that called it is left to that.
    """
    answer: Future[tuple[int, bytes, str]] = Future()

    def call() -> None:
        try:
            answer.set_result(client.mgr_command(request, inbuf))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=call, name="manager command", daemon=True).start()
    try:
        return answer.result(timeout)
    except rados.Error as error:
        return -abs(error.errno or EAGAIN), b"", str(error)
    except NotInTime:
        return -ETIMEDOUT, b"", f"No manager answered within {timeout:g} s."


def ask(client: rados.Rados, command: str, /, **args: Any) -> Any:
    """Return the JSON answer of ``ceph rbd migration COMMAND``. See :func:`ask_manager`."""
    return ask_manager(client, f"rbd migration {command}", args)


def ask_manager(
    client: rados.Rados,
    prefix: str,
    args: Mapping[str, Any],
    *,
    data: str = "",
    patience: float = 60.0,
    timeout: int = 60,
    again: Optional[Collection[int]] = NOT_READY,
) -> Any:
    """Return the JSON answer to any command of the managers. Raises Refused.

    ``data`` is the input of the command. After ``timeout`` seconds without an answer, and after an
    errno in ``again`` (None: after any), it is sent again, for ``patience`` seconds.
    """
    request = json.dumps({"prefix": prefix, "format": "json", **args})
    deadline = time.monotonic() + patience
    while True:
        code, out, said = send(client, request, data.encode(), timeout=timeout)
        if code == 0:
            return json.loads(out) if out.strip() else None
        passes = again is None or abs(code) in again
        if not passes or time.monotonic() > deadline:
            raise Refused(prefix, abs(code), said)
        time.sleep(0.1)
