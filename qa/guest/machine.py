"""Starts the test guest in QEMU, with RBD images as its disks, for a bounded time."""

import json
import shutil
import signal
import time
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Optional

from qa.devcluster import processes
from qa.guest import console
from qa.guest.build import build
from qa.guest.console import DiskReport
from qa.guest.errors import GuestError

_QEMU = "qemu-system-x86_64"
_LONGEST_SOCKET = 100  # bytes of the path of a Unix socket, which Linux limits
_POLL = 0.1  # seconds
BOOT_TIMEOUT = 120.0
_GRACE = 5.0

Json = dict[str, Any]
Reports = dict[str, DiskReport]


@dataclass(frozen=True)
class RbdDisk:
    """One disk of the guest."""

    pool: str
    image: str
    namespace: str = ""
    device: str = "virtio-blk"
    """``virtio-blk`` or ``virtio-scsi`` (a disk at a controller of its own)."""
    layer: str = ""
    """What is between device and RBD image: nothing; ``raw``, a node with a name; ``inline``, a
    node raw that has the image as a part without a name; ``drive``, the old option ``-drive``;
    ``proxmox``, the same with the keyring in the image's name, and no other way to it;
    ``nested``, three nodes with names in one option, the topmost of them ``throttle``."""
    iothread: bool = False


@dataclass(frozen=True)
class GuestOptions:
    """How the guest is made and what it does."""

    disks: tuple[RbdDisk, ...]
    name: str = "guest"
    writes: int = 100
    """Writes in a second for each disk; 0: as many as possible."""
    block: int = 4096
    """Bytes of a write: a multiple of 4096."""
    lanes: int = 2
    """Requests at once for each disk."""
    memory: int = 96
    """MiB."""
    lifetime: int = 280
    """Seconds after which QEMU is ended."""
    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))

    @property
    def kernel(self) -> str:
        """The kernel's command line."""
        return (
            f"console=ttyS0 quiet panic=-1 DISKS={len(self.disks)} WRITES={self.writes}"
            f" BLOCK={self.block} LANES={self.lanes}"
        )


class Machine:
    """A running guest. As a context manager it is stopped at the end."""

    def __init__(
        self, folder: Path, conf: Path, options: GuestOptions, *, env: Mapping[str, str], mark: str
    ) -> None:
        """Prepare it: its files go to ``folder``; ``conf`` is the cluster's configuration file.

        ``mark`` is the folder of the cluster, which ends the guest when it is taken down.
        """
        self.options = options
        self.folder = folder
        self.qmp = folder / f"{options.name}.qmp"
        self._conf = conf
        self._env = {**env, processes.MARK: mark}
        self._console = folder / f"{options.name}.console"
        self._output = folder / f"{options.name}.out"
        self._pid_file = folder / f"{options.name}.pid"
        self._process: Optional[processes.Process] = None
        if len(str(self.qmp)) > _LONGEST_SOCKET:
            raise GuestError(f"The path {self.qmp} is too long for a socket.")

    def __enter__(self) -> "Machine":
        self.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process of QEMU. Raises GuestError when it was not started."""
        try:
            return int(self._pid_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise GuestError(f"QEMU did not start: {self._said()}") from error

    @property
    def running(self) -> bool:
        """Whether QEMU runs (the guest itself may be paused)."""
        return self._process is not None and processes.alive(self._process)

    @property
    def text(self) -> str:
        """All that the guest printed."""
        try:
            return self._console.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def start(self) -> None:
        """Start it and wait until every disk is written to. Raises GuestError."""
        if shutil.which(_QEMU) is None:
            raise GuestError(f"{_QEMU} is missing; install the package qemu-system-x86.")
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in (self._console, self._pid_file, self.qmp):
            left.unlink(missing_ok=True)
        # SIGKILL of `timeout` would leave QEMU behind; it asks the kernel for its own death.
        limited = ["timeout", "-k", "5", str(self.options.lifetime)]
        command = [*limited, "setpriv", "--pdeathsig", "KILL", *self.command()]
        self._process = processes.spawn(command, self._env, self._output)
        self.wait(lambda found: len(found) == len(self.options.disks), BOOT_TIMEOUT)

    def stop(self) -> None:
        """End it at once, as a power failure does."""
        if self._process is not None:
            processes.stop(self._process, _GRACE)

    def kill(self) -> None:
        """SIGKILL to QEMU."""
        started = processes.start_time(self.pid)
        if started is not None:
            processes.send_signal(processes.Process(self.pid, started), signal.SIGKILL)
        if self._process is not None:
            processes.wait_gone(self._process, _GRACE)

    def reports(self) -> Reports:
        """The last report of each disk, by its path in the guest."""
        return console.reports(self.text)

    def complaints(self) -> "list[str]":
        """The guest's lines about wrong blocks and failed requests."""
        return console.complaints(self.text)

    def wait_writes(self, more: int = 50, timeout: float = 60) -> None:
        """Wait until each disk had that many more writes, as it says itself. Raises GuestError."""
        before = self.reports()
        self.wait(
            lambda now: all(now[d].writes >= before[d].writes + more for d in before), timeout
        )

    def wait(self, over: Callable[[Reports], bool], timeout: float) -> None:
        """Wait until ``over(reports)``. Raises GuestError, with what the guest last said."""
        deadline = time.monotonic() + timeout
        while not over(self.reports()):
            if not self.running:
                raise GuestError(f"QEMU ended: {self._said()}")
            if time.monotonic() > deadline:
                raise GuestError(f"The guest took more than {timeout:.0f} s: {self._said()}")
            time.sleep(_POLL)

    def command(self) -> "list[str]":
        """QEMU with its arguments."""
        options, parts = self.options, build()
        command = [
            *(_QEMU, "-accel", "tcg", "-machine", "pc", "-m", str(options.memory)),
            *("-nodefaults", "-display", "none", "-no-reboot"),
            *("-name", options.name, "-uuid", options.uuid, "-pidfile", str(self._pid_file)),
            *("-kernel", str(parts.kernel), "-initrd", str(parts.initramfs)),
            *("-append", options.kernel),
            *("-serial", f"file:{self._console}"),
            *("-qmp", f"unix:{self.qmp},server=on,wait=off"),
        ]
        for number, disk in enumerate(options.disks):
            command += self._backend(number, disk)
            command += _device(number, disk)
        return command

    def _backend(self, number: int, disk: RbdDisk) -> "list[str]":
        name = f"disk{number}"
        if disk.layer in ("drive", "proxmox"):
            place = "/".join(part for part in (disk.pool, disk.namespace, disk.image) if part)
            file = f"rbd:{place}:conf={self._conf}:id=admin"
            if disk.layer == "proxmox":
                conf, keyring = self._without_keyring()
                file = f"rbd:{place}:conf={conf}:id=admin:keyring={keyring}"
            return ["-drive", f"file={file},format=raw,if=none,id={name},cache=none"]
        leaf: Json = {
            "driver": "rbd",
            "node-name": name,
            "pool": disk.pool,
            "image": disk.image,
            "conf": str(self._conf),
            "user": "admin",
            "cache": {"direct": True},
            **({"namespace": disk.namespace} if disk.namespace else {}),
        }
        raw: Json = {"driver": "raw", "node-name": f"{name}-raw", "file": name}
        if disk.layer == "inline":
            del leaf["node-name"]
            return ["-blockdev", json.dumps({**raw, "file": leaf})]
        if disk.layer == "nested":
            group = f"limits{number}"
            top: Json = {"driver": "throttle", "node-name": f"{name}-top"}
            nested = json.dumps({**top, "throttle-group": group, "file": {**raw, "file": leaf}})
            return ["-object", f"throttle-group,id={group}", "-blockdev", nested]
        layers: Sequence[Json] = (leaf, raw) if disk.layer == "raw" else (leaf,)
        return [word for each in layers for word in ("-blockdev", json.dumps(each))]

    def _without_keyring(self) -> "tuple[Path, str]":
        """A configuration file that names no keyring, and the keyring."""
        lines = self._conf.read_text(encoding="utf-8").splitlines()
        named = [line for line in lines if line.strip().startswith("keyring")]
        conf = self.folder / "no-keyring.conf"
        kept = [line for line in lines if line not in named]
        conf.write_text("\n".join(kept) + "\n", encoding="utf-8")
        return conf, named[0].partition("=")[2].strip()

    def _said(self) -> str:
        output = ""
        if self._output.exists():
            output = self._output.read_text(encoding="utf-8", errors="replace")
        return f"{output[-1000:]}\n{self.text[-1000:]}"


def _device(number: int, disk: RbdDisk) -> "list[str]":
    top = {"raw": "-raw", "inline": "-raw", "nested": "-top"}
    drive = f"disk{number}{top.get(disk.layer, '')}"
    thread = ["-object", f"iothread,id=thread{number}"] if disk.iothread else []
    used = f",iothread=thread{number}" if disk.iothread else ""
    if disk.device == "virtio-blk":
        return [*thread, "-device", f"virtio-blk-pci,drive={drive},id=device{number}{used}"]
    controller = ["-device", f"virtio-scsi-pci,id=scsi{number}{used}"]
    return [
        *(*thread, *controller),
        *("-device", f"scsi-hd,bus=scsi{number}.0,drive={drive},id=device{number}"),
    ]
