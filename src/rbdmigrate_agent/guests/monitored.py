"""Guests that are reached by QMP, whoever carries it: what all such connections have in common."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Optional, Protocol

from . import command_line, exchanging, planning, steps
from .drive_conf import DriveConfs
from .errors import GuestError, GuestGone
from .leaf_options import Reopening
from .model import (
    DiskExchange,
    Guest,
    GuestDisk,
    ImageLocation,
    Options,
    Position,
    Process,
    Side,
    Where,
)
from .qmp import Monitor


class GuestMonitor(Monitor, Protocol):
    """A monitor whose owner has its own way to pause the guest, and to let it go on."""

    def pause(self) -> None:
        """Pause the guest. Raises GuestError."""

    def go_on(self) -> None:
        """Let the guest go on. Raises GuestError."""


class MonitoredGuests(ABC):
    """Most of :class:`.connection.GuestConnection`, by way of :meth:`_connected`."""

    def __init__(self, *, proc: Path, confs: Optional[Path] = None) -> None:
        """``confs``: a folder for Ceph configuration files that disks need."""
        self._proc = proc
        self._confs = DriveConfs(confs)

    @abstractmethod
    def _connected(self, process: Process) -> AbstractContextManager[GuestMonitor]:
        """Connect to just this QEMU. Raises GuestGone only when its process has ended."""

    def obstacles(self, guest: Guest, disks: Sequence[GuestDisk]) -> list[str]:
        """Return what is in the way of exchanging these disks, a sentence each."""
        with self._connected(guest.process) as monitor:
            return planning.obstacles(monitor, guest, disks)

    def plan(self, guest: Guest, disk: GuestDisk, target: ImageLocation) -> DiskExchange:
        """Return what has to be stored before the guest is paused."""
        with self._connected(guest.process) as monitor:
            line = command_line.read(guest.pid, self._proc)
            configured = partial(self._configured, guest, disk)
            return planning.plan(monitor, line, guest, disk, target, configured)

    def prepare(self, exchanges: Sequence[DiskExchange]) -> None:
        """Add the placeholders."""
        with self._of_exchanges(exchanges) as monitor:
            for each in exchanges:
                exchanging.prepare(monitor, each)

    def try_open(self, exchange: DiskExchange, location: ImageLocation) -> None:
        """Open an image to read, with the options of the disk, and close it again."""
        with self._of_exchanges([exchange]) as monitor:
            planning.try_open(monitor, exchange, location)

    def pause(self, guest: Guest) -> str:
        """Pause a running guest; return its status before."""
        with self._connected(guest.process) as monitor:
            return steps.pause(monitor, guest.name, monitor.pause)

    def close(self, exchanges: Sequence[DiskExchange]) -> None:
        """Close the images of disks of one paused guest."""
        with self._of_exchanges(exchanges) as monitor:
            for each in exchanges:
                exchanging.close(monitor, each)

    def open(
        self, exchange: DiskExchange, side: Side, location: Optional[ImageLocation] = None
    ) -> None:
        """Open an image for a disk and give it to the paused guest."""
        place = location or exchange.location(side)
        with self._of_exchanges([exchange]) as monitor:
            exchanging.open_image(monitor, exchange, side, place)

    def resume(self, exchanges: Sequence[DiskExchange]) -> bool:
        """Continue the guest of these exchanges, if it ran before; return whether it runs."""
        with self._of_exchanges(exchanges) as monitor:
            return steps.resume(monitor, exchanges, monitor.go_on)

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
                self._confs.remove(_disk(each.uuid, each.device))

    def _configured(self, guest: Guest, disk: GuestDisk, found: Reopening) -> str:
        """The options of a leaf, with a configuration file that has its settings of Ceph."""
        options: Options = json.loads(found.leaf)
        try:
            owner = (self._proc / str(guest.pid)).stat().st_uid
        except FileNotFoundError as error:
            raise GuestGone(f"The process {guest.pid} of {guest.called} has ended.") from error
        conf, user = str(options.get("conf", "")), str(options.get("user", ""))
        key = _disk(guest.uuid, disk.device)
        path = self._confs.written(key, conf, user, found.settings, owner)
        return json.dumps({**options, "conf": path})

    def _of_exchanges(
        self, exchanges: Sequence[DiskExchange]
    ) -> AbstractContextManager[GuestMonitor]:
        """Connect to the one guest of these exchanges."""
        processes = {each.process for each in exchanges}
        if len(processes) != 1:
            raise GuestError("These exchanges are not of one guest.")
        return self._connected(processes.pop())

    def _must_live(self, process: Process) -> None:
        if command_line.started(process.pid, self._proc) != process.started:
            raise GuestGone(f"The process {process.pid} of guest {process.name} has ended.")


def _disk(uuid: str, device: str) -> str:
    return f"{uuid} {device}"
