"""Guests that libvirt runs: its domains at one URI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Union

from . import command_line, libvirt_definition
from .errors import GuestError, GuestGone
from .inventory import take_down
from .libvirt_access import Domain, Libvirt, LibvirtMonitor
from .model import DiskExchange, Failure, Guest, ImageLocation, Inventory, Process
from .monitored import MonitoredGuests

_TRANSIENT = "whatever made it in libvirt"


class LibvirtGuests(MonitoredGuests):
    """See :class:`.connection.GuestConnection`."""

    def __init__(self, *, uri: str, timeout: float = 5.0, proc: Path = Path("/proc")) -> None:
        """``uri`` is libvirt's, of this host. ``timeout`` (seconds) is for each call.

        Raises GuestError when Python's libvirt library is missing.
        """
        super().__init__(proc=proc)
        self._libvirt = Libvirt(uri=uri, timeout=timeout)

    def guests(self) -> Inventory:
        """Take down all guests."""
        found: list[Guest] = []
        failures: list[Failure] = []
        try:
            with self._libvirt.connected() as connection:
                domains = self._libvirt.running(connection)
                processes = command_line.by_uuid(self._proc) if domains else {}
                for domain in domains:
                    each = self._take_down(domain, processes.get(domain.UUIDString().lower(), ()))
                    if isinstance(each, Guest):
                        found.append(each)
                    else:
                        failures.append(each)
        except GuestError as error:
            failures.append(Failure(self._libvirt.uri, str(error)))
        return Inventory(tuple(found), tuple(failures))

    def redefine(self, exchange: DiskExchange, location: ImageLocation) -> str:
        """Change the persistent definition; return what is left, which libvirt cannot do."""
        if location == exchange.source:
            return ""
        with self._libvirt.connected() as connection:
            try:
                domain = self._libvirt.lookup(connection, exchange.uuid)
            except GuestError:
                if self._lives(exchange.process):
                    raise
                return _left(exchange, location, _TRANSIENT)
            if not self._libvirt.call("look at a domain", domain.isPersistent):
                return _left(exchange, location, _TRANSIENT)
            xml = self._libvirt.definition(domain)
            changed = libvirt_definition.renamed(xml, str(exchange.source), str(location))
            if changed is not None:
                self._libvirt.call("define a domain", lambda: connection.defineXML(changed))
            self._must_be_defined(domain, changed or xml)
        owner = libvirt_definition.owner(xml)
        if owner:
            return _left(exchange, location, owner)
        return (
            f"The definition of guest {exchange.guest} has {location} now. While the guest runs, "
            f"libvirt still shows {exchange.source}: before a live migration to another host, "
            "restart it or give virsh migrate the new definition (--xml, --persistent-xml)."
        )

    def _must_be_defined(self, domain: Domain, xml: str) -> None:
        """Read the definition back: libvirt may have read something else in it than we."""
        wanted = [source.name for source in libvirt_definition.sources(xml)]
        stored = libvirt_definition.sources(self._libvirt.definition(domain))
        if [source.name for source in stored] != wanted:
            raise GuestError("libvirt stored another definition than it was given; look at it.")

    def _take_down(self, domain: Domain, pids: tuple[int, ...]) -> Union[Guest, Failure]:
        named = f"{self._libvirt.uri} {domain.name()}"
        try:
            if len(pids) != 1:
                count = "no process" if not pids else "more than one process"
                raise GuestError(f"There is {count} of QEMU with its UUID on this host.")
            since = command_line.started(pids[0], self._proc)
            line = command_line.read(pids[0], self._proc)
            monitor = self._libvirt.monitor(domain)
            guest = take_down(monitor, self._libvirt.uri, pids[0], since, line)
            return replace(guest, defined_by=self._defined_by(domain))
        except GuestError as error:
            return Failure(named, str(error))

    def _defined_by(self, domain: Domain) -> str:
        if not self._libvirt.call("look at a domain", domain.isPersistent):
            return _TRANSIENT
        return libvirt_definition.owner(self._libvirt.definition(domain))

    @contextmanager
    def _connected(self, process: Process) -> Iterator[LibvirtMonitor]:
        self._must_live(process)
        try:
            with self._libvirt.connected() as connection:
                yield self._libvirt.monitor(self._libvirt.lookup(connection, process.uuid))
        except GuestError:
            self._must_live(process)  # libvirt's own words say nothing of its end
            raise

    def _lives(self, process: Process) -> bool:
        try:
            self._must_live(process)
        except GuestGone:
            return False
        return True


def _left(exchange: DiskExchange, location: ImageLocation, owner: str) -> str:
    return (
        f"Change {exchange.source} to {location} in {owner} for guest {exchange.guest}: "
        f"otherwise its next start opens {exchange.source}."
    )
