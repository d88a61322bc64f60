"""The test guest as a domain of libvirt."""

import re
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import libvirt

from qa.devcluster import processes
from qa.guest.build import build
from qa.guest.errors import GuestError
from qa.guest.libvirt_host import LibvirtHost
from qa.guest.machine import BOOT_TIMEOUT, GuestOptions, Machine

_GRACE = 5.0


@dataclass(frozen=True)
class Access:
    """How libvirt's guests reach the cluster."""

    user: str
    secret: str
    """The UUID of libvirt's secret with its key."""
    port: int
    """Of a monitor on this machine."""


class LibvirtMachine(Machine):
    """See :class:`Machine`. Each disk is limited to ``iops`` requests a second, if not 0."""

    def __init__(
        self,
        host: LibvirtHost,
        options: GuestOptions,
        access: Access,
        *,
        env: Mapping[str, str],
        mark: str,
        iops: int = 0,
    ) -> None:
        super().__init__(host.folder, Path(), options, env=env, mark=mark)
        self._host, self._access, self._iops, self._mark = host, access, iops, mark
        self._qemu: Optional[processes.Process] = None

    @property
    def pid(self) -> int:
        """The process of QEMU. Raises GuestError."""
        path = self._host.folder / "run" / "libvirt" / "qemu" / "run" / f"{self.options.name}.pid"
        try:
            return int(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise GuestError(f"QEMU does not run: {self._said()}") from error

    @property
    def running(self) -> bool:
        return self._qemu is not None and processes.alive(self._qemu)

    def start(self) -> None:
        """Start it, as it is defined if it is, and wait until every disk is written to."""
        self._console.unlink(missing_ok=True)
        with self._host.connected() as connection:
            names = [domain.name() for domain in connection.listAllDomains()]
            if self.options.name not in names:
                connection.defineXML(self.xml())
            domain = connection.lookupByName(self.options.name)
            deadline = time.monotonic() + _GRACE
            while domain.isActive() and time.monotonic() < deadline:
                time.sleep(0.1)  # until libvirt has noticed that the former QEMU is gone
            domain.create()
        pid = self.pid
        self._qemu = processes.Process(pid, processes.start_time(pid) or 0)
        self._limit_lifetime(pid)
        self.wait(lambda found: len(found) == len(self.options.disks), BOOT_TIMEOUT)

    def stop(self) -> None:
        """End it at once, as a power failure does; libvirtd need not run."""
        if self._qemu is not None:
            processes.send_signal(self._qemu, signal.SIGKILL)
            processes.wait_gone(self._qemu, _GRACE)

    def ask(self, what: str, *args: object) -> Any:
        """Call a method of Python's ``libvirt.virDomain``."""
        with self._host.connected() as connection:
            return getattr(connection.lookupByName(self.options.name), what)(*args)

    def defined(self) -> "list[str]":
        """The images that the domain opens at its next start."""
        return _names(self.ask("XMLDesc", libvirt.VIR_DOMAIN_XML_INACTIVE))

    def shown(self) -> "list[str]":
        """The images that libvirt shows of the running domain."""
        return _names(self.ask("XMLDesc"))

    def xml(self) -> str:
        """The domain's definition."""
        options, parts = self.options, build()
        copies = [
            shutil.copy(path, self._host.folder) for path in (parts.kernel, parts.initramfs)
        ]  # the cache need not be readable for everybody
        disks = "".join(self._disk(number) for number in range(len(options.disks)))
        return f"""<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>{options.name}</name><uuid>{options.uuid}</uuid>
<description>It's &lt;b&gt; for &quot;tests&quot;</description>
<memory unit='MiB'>{options.memory}</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>{copies[0]}</kernel>
<initrd>{copies[1]}</initrd><cmdline>{options.kernel}</cmdline></os>
<on_reboot>destroy</on_reboot>
<devices><emulator>{shutil.which("qemu-system-x86_64")}</emulator>{disks}
<controller type='usb' model='none'/><memballoon model='none'/>
<serial type='file'><source path='{self._console}'/></serial></devices>
<qemu:commandline><qemu:env name='{processes.MARK}' value='{self._mark}'/></qemu:commandline>
</domain>"""

    def _disk(self, number: int) -> str:
        disk, access = self.options.disks[number], self._access
        name = "/".join(part for part in (disk.pool, disk.namespace, disk.image) if part)
        limit = f"<iotune><total_iops_sec>{self._iops}</total_iops_sec></iotune>"
        return f"""<disk type='network' device='disk'>
<driver name='qemu' type='raw' cache='none' discard='unmap'/>
<auth username='{access.user}'><secret type='ceph' uuid='{access.secret}'/></auth>
<source protocol='rbd' name='{name}'><host name='127.0.0.1' port='{access.port}'/></source>
<target dev='vd{chr(ord("a") + number)}' bus='virtio'/>{limit if self._iops else ""}</disk>"""

    def _limit_lifetime(self, pid: int) -> None:
        """Have QEMU end some time; libvirt starts it, so ``timeout`` cannot."""
        script = (
            f"timeout {self.options.lifetime} tail --pid={pid} -f /dev/null || kill -KILL {pid}"
        )
        processes.spawn(["sh", "-c", script], self._env, self._output)


def _names(xml: str) -> "list[str]":
    return re.findall(r"<source protocol='rbd' name='([^']*)'", xml)
