"""Guests whose QMP sockets are in folders of the host: QEMU without libvirt, Proxmox VE ..."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, Union

from . import command_line
from .errors import GuestError, GuestGone
from .inventory import take_down
from .model import DiskExchange, Failure, Guest, ImageLocation, Inventory, Process
from .monitored import MonitoredGuests
from .qmp import QmpSocket

_AT_ONCE = 8
_PLAIN = "*qmp*"


class PlainGuests(MonitoredGuests):
    """See :class:`.connection.GuestConnection`."""

    def __init__(
        self,
        *,
        folders: Sequence[str],
        timeout: float = 5.0,
        proc: Path = Path("/proc"),
        confs: Optional[Path] = None,
    ) -> None:
        """``folders`` have the sockets: those with ``qmp`` in their names, or which a pattern such
        as ``/run/guests/*.monitor`` names. ``timeout`` (seconds) is for each command of QMP.
        ``confs`` is a folder for Ceph configuration files that disks need.
        """
        super().__init__(proc=proc, confs=confs)
        self._folders, self._timeout = tuple(folders), timeout

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
    def _connected(self, process: Process) -> Iterator[QmpSocket]:
        self._must_live(process)
        name, socket = process.name, process.connection
        try:
            with QmpSocket(Path(socket), timeout=self._timeout) as monitor:
                if monitor.pid != process.pid:
                    raise GuestError(f"Another process than guest {name} listens at {socket}.")
                yield monitor
        except GuestGone as error:
            self._must_live(process)
            raise GuestError(f"Guest {name} runs, but cannot be reached. {error}") from error
