"""The agent's loop: report the guests of the host, and carry out what the manager asks for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from rbdmigrate import __version__
from rbdmigrate.model import agent_messages as messages
from rbdmigrate.model.spec import ImageSpec

from .guests.connection import GuestConnection
from .guests.model import Guest, GuestDisk
from .journal import Journal
from .manager import Manager, Unanswered
from .moving import Moving

log = logging.getLogger(__name__)

_ASK = 15.0  # seconds
_AGAIN = 5.0  # seconds until a manager is asked again that did not answer


class Agent:
    """``connections``: the ways to the guests of this host, by name. ``renames``: those by which
    a guest's definition can be changed. ``pools``: the pools whose images may be exchanged; empty:
    all of them.
    """

    def __init__(
        self,
        *,
        manager: Manager,
        journal: Journal,
        connections: Mapping[str, GuestConnection],
        renames: frozenset[str] = frozenset(),
        pools: frozenset[str] = frozenset(),
    ) -> None:
        self._manager = manager
        self._journal = journal
        self._connections = dict(connections)
        self._renames = renames
        self._pools = pools
        self._stop = threading.Event()
        self._moving = Moving(manager=manager, journal=journal, stopping=self._stop.is_set)

    def stop(self) -> None:
        """Have :meth:`run` end; a paused guest is left to the next agent."""
        self._stop.set()

    def run(self) -> None:
        """Bring pauses to their end that an agent before us began; then report until stopped."""
        self.recover()
        while not self._stop.is_set():
            self._stop.wait(self.round())

    def recover(self) -> None:
        """Bring pauses to their end that an agent before us began."""
        pauses, problems = self._journal.read()
        for problem in problems:
            log.error("%s", problem)
        for pause in pauses:
            connection = self._connections.get(pause.reached)
            if connection is None:
                log.error(
                    "the guest %s was paused over %s, which is not configured any more; add it",
                    pause.guest,
                    pause.reached,
                )
                continue
            self._moving.recover(connection, pause)

    def round(self) -> float:
        """Report once and do what is asked for; return the seconds until the next report."""
        found: dict[str, tuple[str, Guest]] = {}
        problems: list[str] = []
        for name, connection in self._connections.items():
            inventory = connection.guests()
            found.update({guest.uuid: (name, guest) for guest in inventory.guests})
            problems += [
                f"{failure.connection}: {failure.reason}" for failure in inventory.failures
            ]
        guests = tuple(self._seen(name, guest) for name, guest in found.values())
        try:
            orders = self._manager.ask(
                messages.Inventory(__version__, guests, tuple(problems)), _ASK
            )
        except Unanswered as error:
            log.warning("%s", error)
            return _AGAIN
        if not isinstance(orders, messages.Orders):
            log.error("the manager answered with something else than orders")
            return _AGAIN
        for move in orders.moves:
            known = found.get(move.guest)
            if known is not None and not self._stop.is_set():
                self._moving.move(known[0], self._connections[known[0]], known[1], move)
        return 1.0 if orders.moves else orders.interval

    def _seen(self, connection: str, guest: Guest) -> messages.OpenGuest:
        disks = tuple(self._disk(disk) for disk in guest.disks)
        renames = connection in self._renames and not guest.defined_by
        return messages.OpenGuest(guest.name, guest.uuid, guest.status, disks, renames)

    def _disk(self, disk: GuestDisk) -> messages.OpenDisk:
        place = disk.location
        reason = disk.fixed
        if self._pools and place.pool not in self._pools:
            reason = f"The agent may not touch images of the pool {place.pool}."
        return messages.OpenDisk(
            ImageSpec(place.pool, place.namespace, place.image), disk.device, reason
        )
