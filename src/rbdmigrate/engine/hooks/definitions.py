"""The hooks that are registered, in memory and in the monitors' config-key store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from errno import EEXIST, ENOENT
from typing import Optional

import rados

from ...cluster import config_keys
from ...control.hooks.events import takers
from ...faults import fault_point
from ...model.errors import MigrationError, RecordError
from ...model.hooks import DEFINITIONS, OWN_SECRETS, Hook, HookEvent, decode, encode

log = logging.getLogger(__name__)


class HookRegistry:
    """All hooks. Thread-safe. The active manager alone changes them."""

    def __init__(self, client: rados.Rados) -> None:
        self._client = client
        self._lock = threading.Lock()  # one change at a time
        self._hooks: dict[str, Hook] = {}
        self._unreadable: list[str] = []

    def load(self) -> None:
        """Read all hooks. Raises MigrationError, and ``rados.Error``, when monitors are silent."""
        found: dict[str, Hook] = {}
        unreadable = []
        for key in config_keys.names(self._client, DEFINITIONS):
            try:
                hook = decode(Hook, config_keys.get(self._client, key).encode())
            except RecordError as error:
                unreadable.append(f"The hook in the config-key {key} cannot be read: {error}.")
                continue
            found[hook.name] = hook
        self._hooks, self._unreadable = found, unreadable
        if not unreadable:  # what cannot be read may name a secret
            self._sweep()

    def _sweep(self) -> None:
        """Remove secrets whose hook is gone: a command was cut off between the two."""
        kept = {hook.secret for hook in self._hooks.values()}
        for key in config_keys.names(self._client, OWN_SECRETS):
            if key not in kept:
                log.warning("removing the secret %s, whose hook is gone", key)
                config_keys.remove(self._client, key)

    def problems(self) -> list[str]:
        """Hooks that cannot be read, a sentence each."""
        return list(self._unreadable)

    def all(self) -> list[Hook]:
        """All hooks, by name."""
        return [hook for _, hook in sorted(self._hooks.items())]

    def get(self, name: str) -> Optional[Hook]:
        """The hook ``name``, if there is one."""
        return self._hooks.get(name)

    def require(self, name: str) -> Hook:
        """The hook ``name``. Raises MigrationError(ENOENT)."""
        hook = self.get(name)
        if hook is None:
            raise MigrationError(
                ENOENT,
                f"There is no hook {name[:80]!r}; `ceph rbd migration hook ls` lists them.",
            )
        return hook

    def takers(self, event: HookEvent, pools: Iterable[str]) -> list[Hook]:
        """The hooks that take an event about images of these pools, by name."""
        return takers(self._hooks.values(), event, pools)

    def add(self, hook: Hook, secret: Optional[str]) -> None:
        """Store a new hook, and its secret where that is given. Raises MigrationError, EEXIST."""
        with self._lock:
            if hook.name in self._hooks:
                raise MigrationError(
                    EEXIST,
                    f"There is a hook {hook.name} already; remove it with `ceph rbd migration "
                    f"hook rm {hook.name}`, or choose another name.",
                )
            if hook.pool and not self._client.pool_exists(hook.pool):
                raise MigrationError(
                    ENOENT,
                    f"The pool {hook.pool!r} does not exist; `ceph osd lspools` lists those that "
                    "do.",
                )
            if secret is None:
                config_keys.get(self._client, hook.secret)  # it has to be there
            else:
                config_keys.put(self._client, hook.secret, secret)
            fault_point("hooks.add", hook.name)
            config_keys.put(self._client, DEFINITIONS + hook.name, encode(hook).decode())
            self._hooks = {**self._hooks, hook.name: hook}

    def remove(self, name: str) -> Hook:
        """Remove a hook, then the secret that was stored with it. Raises MigrationError, ENOENT."""
        with self._lock:
            hook = self.require(name)
            config_keys.remove(self._client, DEFINITIONS + name)
            self._hooks = {n: h for n, h in self._hooks.items() if n != name}
            fault_point("hooks.remove", name)
            if hook.own_secret:
                config_keys.remove(self._client, hook.secret)
            return hook

    def secret(self, hook: Hook) -> str:
        """The text that signs the messages to a hook. Raises MigrationError."""
        return config_keys.get(self._client, hook.secret).strip()
