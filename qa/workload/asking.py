"""Commands of the managers without the start-up time of the ``ceph`` tool."""

import json
import time
from collections.abc import Collection, Mapping
from errno import EAGAIN, ETIMEDOUT
from typing import Any, Optional

import rados

NOT_READY = (EAGAIN, ETIMEDOUT)


class Refused(Exception):
    """A command was refused; the text is what the manager said."""

    def __init__(self, prefix: str, errno: int, said: str) -> None:
        super().__init__(said or f"{prefix}: error {errno}")
        self.errno = errno


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
        try:
            code, out, said = client.mgr_command(request, data.encode(), timeout=timeout)
        except rados.Error as error:
            code, out, said = error.errno or EAGAIN, b"", str(error)
        if code == 0:
            return json.loads(out) if out.strip() else None
        passes = again is None or abs(code) in again
        if not passes or time.monotonic() > deadline:
            raise Refused(prefix, abs(code), said)
        time.sleep(0.1)
