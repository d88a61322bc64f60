"""Images of another cluster: a RADOS client of it, for one job.

Nothing of the client comes from files of the manager's host. An import only reads with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import rados

from ...cluster.client import QUIET, error_number
from ...model.import_policy import ImportPolicy
from ...model.migration import Place
from ...model.source import CONFIG
from ...model.source_spec import SourceSpec
from ...sources.monitors import not_connected, resolved_monitors

_CONNECT = 10  # seconds
_USER = "client.admin"
_OPTIONS = {
    **QUIET,
    "keyring": "",
    "auth_client_required": "cephx",  # so that the cluster proves to know the key too
    "client_mount_timeout": str(_CONNECT),
    # A cluster that goes down would block a copy without a limit.
    "rados_mon_op_timeout": "30",
    "rados_osd_op_timeout": "60",
    "rbd_cache": "false",
}


class SourceCluster(Protocol):
    """The cluster of a source: this one, or another one. ``rados`` is a client of it."""

    rados: rados.Rados

    def open(self, place: Place) -> rados.Ioctx:
        """An ioctx on the latest map."""


class OtherCluster:
    """A client of another cluster."""

    def __init__(self, client: rados.Rados) -> None:
        self.rados = client

    def open(self, place: Place) -> rados.Ioctx:
        """An ioctx on the latest map."""
        self.rados.wait_for_latest_osdmap()
        ioctx = self.rados.open_ioctx2(place.pool_id)
        ioctx.set_namespace(place.namespace)
        return ioctx


@contextmanager
def connected(
    spec: SourceSpec, policy: ImportPolicy, resolve_key: Callable[[str, str], str]
) -> Iterator[OtherCluster]:
    """The cluster that ``spec`` names by ``mon_host``.

    Raises SourceError, and MigrationError for a config-key that cannot be read.
    """
    mon_host, user = spec.mon_host or "", spec.client_name or _USER
    monitors = ",".join(resolved_monitors(mon_host, policy))
    key = _key(spec, resolve_key)
    options = {**_OPTIONS, "mon_host": monitors, "key": key}
    client = rados.Rados(name=user, conf=options)
    try:
        try:
            client.connect(timeout=_CONNECT)
        except rados.Error as error:
            raise not_connected(mon_host, user, key, error_number(error)) from None
        yield OtherCluster(client)
    finally:
        client.shutdown()


def _key(spec: SourceSpec, resolve_key: Callable[[str, str], str]) -> str:
    if not spec.key.startswith(CONFIG):
        return spec.key
    return resolve_key(spec.key[len(CONFIG) :], "").strip()
