"""RADOS clients of the module: their identity, configuration and addresses for fencing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import rados

from ..model.errors import MigrationError, errno_text

# The manager's own logs, admin socket and perf dumps are not ours to write to.
QUIET = {
    "admin_socket": "",
    "log_file": "",
    "log_to_stderr": "false",
    "err_to_stderr": "false",
    "log_to_syslog": "false",
    "log_to_file": "false",
    "client_mount_timeout": "20",
    # Without a log, nobody reads the lines that Ceph keeps in memory for it.
    **{
        f"debug_{part}": "0/0"
        for part in ("rbd", "rados", "objecter", "objectcacher", "ms", "monc", "auth", "finisher")
    },
}
# Never a nonce of 0: blocklisting that would shut out every client of the host.
_ADDRESS = re.compile(r"(?:v1:|v2:|any:)?(\[[0-9a-fA-F:]+\]|[0-9.]+):(\d+)/([1-9]\d*)")


@dataclass(frozen=True)
class Identity:
    """The identity of a client: its full name (``mgr.x``), its conf file and its keyring."""

    name: str
    conf: str
    keyring: str


def connect(identity: Identity, options: Optional[Mapping[str, str]] = None) -> rados.Rados:
    """Connect a client. ``options``: further Ceph options. Raises MigrationError."""
    conf = {**QUIET, **(options or {})}
    if identity.keyring:
        conf["keyring"] = identity.keyring
    client = rados.Rados(name=identity.name, conffile=identity.conf, conf=conf)
    try:
        client.connect(timeout=20)
    except rados.Error as error:
        client.shutdown()
        number = error_number(error)
        raise MigrationError(
            number, f"Could not connect to the cluster as {identity.name}: {errno_text(number)}."
        ) from error
    return client


def error_number(error: BaseException) -> int:
    """The positive errno of a rados or rbd exception (5, EIO, where it has none)."""
    return abs(int(getattr(error, "errno", 0) or 0)) or 5


def fencing_addresses(client: rados.Rados) -> tuple[str, ...]:
    """The client's addresses as ``osd blocklist add`` takes them: ``ip:port/nonce``, each once."""
    return parse_addresses(client.get_addrs())


def parse_addresses(text: str) -> tuple[str, ...]:
    """The ``ip:port/nonce`` of every address in Ceph's notation (``[v2:...,v1:...]``)."""
    found = [f"{ip}:{port}/{nonce}" for ip, port, nonce in _ADDRESS.findall(text)]
    return tuple(dict.fromkeys(found))


def mon_command(client: rados.Rados, timeout: int = 20, data: bytes = b"", **command: Any) -> str:
    """Return the output of a monitor command. Raises MigrationError with the monitor's message.

    ``data`` is sent with the command but, unlike the command, is not logged.
    """
    code, out, text = client.mon_command(json.dumps(command), data, timeout=timeout)
    if code:
        raise MigrationError(abs(code), f"The monitor refused {command['prefix']!r}: {text}")
    return out.decode() if isinstance(out, bytes) else str(out)
