"""Guests whose QMP sockets are in folders of the host: QEMU without libvirt, Proxmox VE ..."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, Union

from . import command_line, exchanging, planning, steps
from .errors import GuestError, GuestGone
from .inventory import take_down
from .model import (
    DiskExchange,
    Failure,
    Guest,
    GuestDisk,
    ImageLocation,
    Inventory,
    Position,
    Side,
    Where,
)
from .qmp import QmpSocket

_AT_ONCE = 8
_PLAIN = "*qmp*"


class PlainGuests:
    """See :class:`.connection.GuestConnection`."""

    def __init__(
        self, *, folders: Sequence[str], timeout: float = 5.0, proc: Path = Path("/proc")
    ) -> None:
        """``folders`` have the sockets: those with ``qmp`` in their names, or which a pattern such
        as ``/run/guests/*.monitor`` names. ``timeout`` (seconds) is for each command of QMP.
        """
        self._folders, self._timeout, self._proc = tuple(folders), timeout, proc

    def guests(self) -> Inventory:
        """Take down all guests."""
        found: list[Guest] = []
        failures: list[Failure] = []
        sockets = [path for folder in self._folders for path in self._sockets(folder, failures)]
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            for each in pool.map(self._take_down, dict.fromkeys(sockets)):
                if isinstance(each, Guest):
                    found.append(each)
                else:
                    failures.append(each)
        return Inventory(tuple(found), tuple(failures))

    def obstacles(self, guest: Guest, disks: Sequence[GuestDisk]) -> list[str]:
        """Return what is in the way of exchanging these disks, a sentence each."""
        with self._of_guest(guest) as monitor:
            return planning.obstacles(monitor, guest, disks)

    def plan(self, guest: Guest, disk: GuestDisk, target: ImageLocation) -> DiskExchange:
        """Return what has to be stored before the guest is paused."""
        with self._of_guest(guest) as monitor:
            line = command_line.read(guest.pid, self._proc)
            return planning.plan(monitor, line, guest, disk, target)

    def prepare(self, exchanges: Sequence[DiskExchange]) -> None:
        """Add the placeholders."""
        with self._of_exchanges(exchanges) as monitor:
            for each in exchanges:
                exchanging.prepare(monitor, each)

    def pause(self, guest: Guest) -> str:
        """Let a running guest stand still; return its status before."""
        with self._of_guest(guest) as monitor:
            return steps.pause(monitor, guest.name, lambda: monitor.execute("stop"))

    def close(self, exchanges: Sequence[DiskExchange]) -> None:
        """Close the images of disks of one guest that stands still."""
        with self._of_exchanges(exchanges) as monitor:
            for each in exchanges:
                exchanging.close(monitor, each)

    def open(
        self, exchange: DiskExchange, side: Side, location: Optional[ImageLocation] = None
    ) -> None:
        """Open an image for a disk and give it to the guest that stands still."""
        place = location or exchange.location(side)
        with self._of_exchanges([exchange]) as monitor:
            exchanging.open_image(monitor, exchange, side, place)

    def resume(self, exchanges: Sequence[DiskExchange]) -> bool:
        """Continue the guest of these exchanges, if it ran before; return whether it runs."""
        with self._of_exchanges(exchanges) as monitor:
            return steps.resume(monitor, exchanges, lambda: monitor.execute("cont"))

    def where(self, exchange: DiskExchange) -> Position:
        """Return what the disk of the guest is now."""
        try:
            with self._of_exchanges([exchange]) as monitor:
                return exchanging.where(monitor, exchange)
        except GuestGone:
            return Position(Where.GONE)

    def tidy(self, exchanges: Sequence[DiskExchange]) -> None:
        """Delete what exchanges left in QEMU's memory."""
        with self._of_exchanges(exchanges) as monitor:
            for each in exchanges:
                exchanging.tidy(monitor, each)

    def redefine(self, exchange: DiskExchange, location: ImageLocation) -> str:
        """Return what is left to do: nobody but its owner knows how the guest is started."""
        if location == exchange.source:
            return ""
        return (
            f"Change {exchange.source} to {location} in whatever starts guest {exchange.guest}: "
            f"its next start opens {exchange.source}."
        )

    def _sockets(self, folder: str, failures: list[Failure]) -> list[Path]:
        """Return the sockets of a folder, or of a pattern."""
        path = Path(folder)
        try:
            if path.is_dir():
                found = path.glob(_PLAIN)
            else:
                if not path.parent.is_dir():
                    raise FileNotFoundError(f"there is no folder {path.parent}")
                found = path.parent.glob(path.name)
            return sorted(each for each in found if stat.S_ISSOCK(each.stat().st_mode))
        except (OSError, ValueError) as error:
            failures.append(Failure(folder, f"QMP sockets cannot be listed: {error}."))
            return []

    def _take_down(self, socket: Path) -> Union[Guest, Failure]:
        try:
            with QmpSocket(socket, timeout=self._timeout) as monitor:
                pid = monitor.pid
                since = command_line.started(pid, self._proc)
                line = command_line.read(pid, self._proc)
                return take_down(monitor, str(socket), pid, since, line)
        except GuestError as error:
            return Failure(str(socket), str(error))

    @contextmanager
    def _of_exchanges(self, exchanges: Sequence[DiskExchange]) -> Iterator[QmpSocket]:
        """Connect to the one guest of these exchanges."""
        guests = {(each.connection, each.pid, each.started, each.guest) for each in exchanges}
        if len(guests) != 1:
            raise GuestError("These exchanges are not of one guest.")
        with self._connected(*guests.pop()) as monitor:
            yield monitor

    @contextmanager
    def _of_guest(self, guest: Guest) -> Iterator[QmpSocket]:
        with self._connected(guest.connection, guest.pid, guest.started, guest.name) as monitor:
            yield monitor

    @contextmanager
    def _connected(self, connection: str, pid: int, started: int, name: str) -> Iterator[QmpSocket]:
        """Connect to just this QEMU. Raises GuestGone only when its process has ended."""
        self._must_live(pid, started, name)
        try:
            with QmpSocket(Path(connection), timeout=self._timeout) as monitor:
                if monitor.pid != pid:
                    raise GuestError(f"Another process than guest {name} listens at {connection}.")
                yield monitor
        except GuestGone as error:
            self._must_live(pid, started, name)
            raise GuestError(f"Guest {name} runs, but cannot be reached. {error}") from error

    def _must_live(self, pid: int, started: int, name: str) -> None:
        if command_line.started(pid, self._proc) != started:
            raise GuestGone(f"The process {pid} of guest {name} has ended.")
