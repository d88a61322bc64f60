"""What the agents reported: in memory, for agents report again within a minute."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from ...model.agent_messages import Inventory, OpenGuest
from ...model.host_report import HostReport
from ...model.spec import ImageSpec


@dataclass(frozen=True)
class GuestOnHost:
    """A guest and the host on which it runs."""

    host: str
    guest: OpenGuest


class Inventories:
    """The last report of each host. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[str, HostReport] = {}

    def put(self, host: str, inventory: Inventory) -> None:
        """Take the report of a host."""
        with self._lock:
            self._hosts[host] = HostReport(host, time.time(), inventory)

    def heard(self, host: str) -> None:
        """The agent spoke of something else than its guests."""
        with self._lock:
            known = self._hosts.get(host)
            if known is not None:
                self._hosts[host] = HostReport(host, time.time(), known.inventory)

    def remove(self, host: str) -> bool:
        """Forget a host; False when it is not known."""
        with self._lock:
            return self._hosts.pop(host, None) is not None

    def all(self) -> list[HostReport]:
        """Every host, by name."""
        with self._lock:
            now = time.time()
            return [self._hosts[host].seen_from(now) for host in sorted(self._hosts)]

    def users(self, image: ImageSpec) -> list[GuestOnHost]:
        """The guests that have ``image`` open, as far as agents that are not lost know."""
        return [
            GuestOnHost(report.host, guest)
            for report in self.all()
            if not report.lost
            for guest in report.inventory.guests
            if any(disk.image == image for disk in guest.disks)
        ]

    def names(self, image: ImageSpec) -> tuple[str, ...]:
        """The same in words: ``guest web-17 on host pve3``."""
        return tuple(f"guest {on.guest.name} on host {on.host}" for on in self.users(image))
