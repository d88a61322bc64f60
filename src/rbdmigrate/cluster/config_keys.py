"""The monitors' config-key store, for secrets of sources.

Values are sent to the monitors as data, never in the command: commands are written to the audit
log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from errno import ENOENT

import rados

from ..model.errors import MigrationError
from .client import mon_command

PREFIX = "rbd/migration/"


def put(client: rados.Rados, key: str, value: str) -> None:
    """Store a value. Raises MigrationError."""
    mon_command(client, data=value.encode(), prefix="config-key set", key=key)


def get(client: rados.Rados, key: str) -> str:
    """Return a value. Raises MigrationError(ENOENT) when there is none."""
    try:
        return mon_command(client, prefix="config-key get", key=key)
    except MigrationError as error:
        if error.errno != ENOENT:
            raise
        raise MigrationError(
            ENOENT,
            f"The config-key {key} does not exist; store it with `ceph config-key set {key} -i "
            "FILE`.",
        ) from None


def remove(client: rados.Rados, key: str) -> None:
    """Remove a value, if it exists. Raises MigrationError."""
    mon_command(client, prefix="config-key rm", key=key)


def names(client: rados.Rados, prefix: str = PREFIX) -> list[str]:
    """Return the keys that begin with ``prefix``; as a rule those that hold secrets of sources.

    Raises MigrationError.
    """
    return [key for key in _every(client) if key.startswith(prefix)]


def missing(client: rados.Rados, keys: Iterable[str]) -> frozenset[str]:
    """Return those of ``keys`` that do not exist. Raises MigrationError."""
    return frozenset(keys).difference(_every(client))


def _every(client: rados.Rados) -> list[str]:
    found = json.loads(mon_command(client, prefix="config-key ls", format="json"))
    return [str(key) for key in found]
