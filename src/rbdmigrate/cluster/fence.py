"""Fencing: blocklist a worker's RADOS clients, so that none of its requests can still take effect.

After a SIGKILL the worker's last requests may still be in flight, and its watches and its
exclusive lock would stay for half a minute. ``osd blocklist add`` ends all that at once.

A worker that is not known to be dead may only be frozen, with its host or by a signal, and goes on
when it wakes. It never learns that somebody else completed its act. So it stays blocklisted for a
day, like a failed manager in Ceph (``mon_mgr_blocklist_interval``), unless its process is proven
to be gone earlier.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from typing import Callable

import rados

from .client import mon_command
from .osdmap import wait_for_latest_osdmap

DEAD = 60.0  # seconds that an entry stays for a process that is gone, if nobody removes it
UNKNOWN = 86400.0  # seconds that an entry stays for a process that may be frozen
_IN_FLIGHT = 5.0  # seconds after which no request of a reaped process is still in flight
_LOOK = 30.0  # seconds between two checks whether processes are gone
_REMEMBERED = 60.0  # seconds for which an OSD may still list the watch of a fenced client


def fence(client: rados.Rados, addresses: Iterable[str], expire: float) -> None:
    """Blocklist ``addresses`` for ``expire`` seconds and wait until our own requests enforce it.

    Our next requests carry the new OSD map's epoch; an OSD that has not seen it fetches it before
    it serves us, and then refuses the fenced clients. Raises MigrationError.
    """
    for address in addresses:
        mon_command(
            client,
            prefix="osd blocklist",
            blocklistop="add",
            addr=address,
            expire=expire,
        )
    wait_for_latest_osdmap(client)


def listed(client: rados.Rados) -> set[str]:
    """Return the blocklisted addresses. Raises MigrationError."""
    text = mon_command(client, prefix="osd blocklist ls", format="json")
    # Release 16 answers with two JSON values, one after the other.
    entries, _ = json.JSONDecoder().raw_decode(text.lstrip())
    return {entry["addr"] for entry in entries}


class Blocklist:
    """The blocklist entries of this module; those of workers known to be gone are removed when
    safe.

    Thread-safe: slots and observers fence, the loop cleans.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # not held during a monitor command
        self._entries: list[tuple[float, str]] = []
        self._fenced: dict[str, float] = {}
        self._unknown: dict[tuple[str, ...], tuple[float, Callable[[], bool]]] = {}
        self._look_at = 0.0

    def fence(self, client: rados.Rados, addresses: Iterable[str]) -> None:
        """Fence a process that is gone, and remember that for a while. Raises MigrationError."""
        addresses = tuple(addresses)
        self._fence(client, addresses, DEAD)
        self._add(addresses)

    def fence_unknown(
        self, client: rados.Rados, addresses: Iterable[str], gone: Callable[[], bool]
    ) -> None:
        """Fence a process that may be alive; the entries stay until ``gone()``, a day at most.

        Raises MigrationError.
        """
        addresses = tuple(addresses)
        self._fence(client, addresses, UNKNOWN)
        with self._lock:
            self._unknown[addresses] = (time.monotonic() + UNKNOWN, gone)

    def _fence(self, client: rados.Rados, addresses: tuple[str, ...], expire: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._fenced = {a: at for a, at in self._fenced.items() if at > now - _REMEMBERED}
            self._fenced.update(dict.fromkeys(addresses, now))
        fence(client, addresses, expire)

    def fenced(self) -> tuple[str, ...]:
        """Recently fenced addresses: an OSD may still list the watch of such a client."""
        with self._lock:
            return tuple(self._fenced)

    def _add(self, addresses: Iterable[str]) -> None:
        """Note entries of a process that has just gone."""
        now = time.monotonic()
        with self._lock:
            self._entries.extend((now + _IN_FLIGHT, address) for address in addresses)

    def _look(self, now: float) -> None:
        """Note the entries of processes that ended since they were fenced."""
        with self._lock:
            if now < self._look_at:
                return
            self._look_at = now + _LOOK
            unknown = list(self._unknown.items())
        for addresses, (expires, gone) in unknown:
            ended = gone()
            if ended or now > expires:
                with self._lock:
                    self._unknown.pop(addresses, None)
            if ended:
                self._add(addresses)

    def clean(self, client: rados.Rados) -> None:
        """Remove the entries that are no longer needed. Raises MigrationError."""
        now = time.monotonic()
        self._look(now)
        with self._lock:
            due = [address for at, address in self._entries if at <= now]
            self._entries = [(at, a) for at, a in self._entries if a not in due]
        if not due:
            return
        present = listed(client)
        for address in due:
            if address in present:
                mon_command(client, prefix="osd blocklist", blocklistop="rm", addr=address)
