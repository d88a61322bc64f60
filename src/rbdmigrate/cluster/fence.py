"""Fencing: shut a worker's RADOS clients out of the cluster, so that nothing of it can still land.

After a SIGKILL the worker's last requests may still be under way, and its watches and its
exclusive lock would stay for half a minute. ``osd blocklist add`` ends all that at once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable

import rados

from .client import mon_command
from .osdmap import wait_for_latest_osdmap

EXPIRE = 60.0  # seconds an entry stays if nobody removes it
_SETTLE = 5.0  # seconds after which no request of a reaped process is still on its way


def fence(client: rados.Rados, addresses: Iterable[str]) -> None:
    """Blocklist ``addresses`` and wait until every request of ours enforces it.

    Our next requests carry the new OSD map's epoch; an OSD that has not seen it fetches it before
    it serves us, and then refuses the fenced clients. Raises MigrationError.
    """
    for address in addresses:
        mon_command(
            client,
            prefix="osd blocklist",
            blocklistop="add",
            addr=address,
            expire=EXPIRE,
        )
    wait_for_latest_osdmap(client)


def listed(client: rados.Rados) -> set[str]:
    """The addresses that are blocklisted now. Raises MigrationError."""
    text = mon_command(client, prefix="osd blocklist ls", format="json")
    # Release 16 answers with two JSON values, one behind the other.
    entries, _ = json.JSONDecoder().raw_decode(text.lstrip())
    return {entry["addr"] for entry in entries}


class Blocklist:
    """The entries that we made; those of workers known to be gone are removed when it is safe.

    Thread-safe: slots and observers fence, the loop cleans.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # not held while a monitor is asked
        self._entries: list[tuple[float, str]] = []
        self._fenced: dict[str, float] = {}

    def fence(self, client: rados.Rados, addresses: Iterable[str]) -> None:
        """Fence ``addresses``, and remember that for a while. Raises MigrationError."""
        now = time.monotonic()
        addresses = list(addresses)
        with self._lock:
            self._fenced = {a: at for a, at in self._fenced.items() if at > now - EXPIRE}
            self._fenced.update(dict.fromkeys(addresses, now))
        fence(client, addresses)

    def fenced(self) -> list[str]:
        """Addresses fenced lately: an OSD may still list the watch of a client that is dead."""
        with self._lock:
            return list(self._fenced)

    def add(self, addresses: Iterable[str]) -> None:
        """Note entries of a process that was reaped just now."""
        now = time.monotonic()
        with self._lock:
            self._entries.extend((now + _SETTLE, address) for address in addresses)

    def clean(self, client: rados.Rados) -> None:
        """Remove the entries whose time has come. Raises MigrationError."""
        now = time.monotonic()
        with self._lock:
            due = [address for at, address in self._entries if at <= now]
            self._entries = [(at, a) for at, a in self._entries if a not in due]
        if not due:
            return
        present = listed(client)
        for address in due:
            if address in present:
                mon_command(client, prefix="osd blocklist", blocklistop="rm", addr=address)
