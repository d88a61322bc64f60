"""Secrets of external sources: kept in the monitors' config-key store for as long as they are used.

They are stored before the record that names them, for that may be acted on at once, and removed
before it goes. A secret that is left without a record, because the manager was cut off or the
record went with its pool, is swept away at the next start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import rados

from ...cluster import config_keys
from ...faults import fault_point
from ...model.migration import Migration
from ...model.source_spec import SourceSpec

log = logging.getLogger(__name__)


class Secrets:
    """Puts secrets into the config-key store and takes them out. Thread-safe."""

    def __init__(self, client: rados.Rados) -> None:
        self._client = client
        self._swept = False
        self._lock = threading.Lock()  # no sweep between a secret and the record that names it

    @contextmanager
    def stored(self, m: Migration, spec: SourceSpec) -> Iterator[None]:
        """Store the secrets of ``spec`` for ``m``; they stay unless its record is not written."""
        with self._lock:
            self.renew(m, spec)
            try:
                yield
            except BaseException:
                self.forget(m)
                raise

    def renew(self, m: Migration, spec: SourceSpec) -> None:
        """Store the secrets of ``spec`` for ``m``, whose record is there. Raises MigrationError."""
        _, values = spec.with_secrets_at(prefix_of(m.id))
        for key, value in values.items():
            fault_point("secrets.before", "put")
            config_keys.put(self._client, key, value)
            fault_point("secrets.after", "put")

    def forget(self, m: Migration) -> None:
        """Remove the secrets of a migration. May be repeated. Raises MigrationError."""
        for key in m.imported.secrets if m.imported is not None else ():
            fault_point("secrets.before", "forget")
            config_keys.remove(self._client, key)
            fault_point("secrets.after", "forget")

    def sweep(self, known: Callable[[], Iterable[str]]) -> None:
        """Once: remove secrets of migrations that are not among ``known()``, which are all.

        Call it when all records have been read. Raises MigrationError.
        """
        if self._swept:
            return
        with self._lock:
            idents = set(known())
            for key in config_keys.names(self._client):
                ident = key[len(config_keys.PREFIX) :].partition("/")[0]
                if ident not in idents:
                    log.warning("removing the secret %s, whose migration is gone", key)
                    config_keys.remove(self._client, key)
            self._swept = True


def prefix_of(ident: str) -> str:
    """Where the secrets of the migration ``ident`` are kept."""
    return config_keys.PREFIX + ident
