"""libvirt with the test guest as a domain, apart from any libvirt that this machine may have.

libvirtd runs without privileges, as it does for a user's own guests: then its sockets, its
definitions and its secrets are in folders that the environment names, all of them below one folder.
A test that runs as root has it run as ``nobody``.
"""

import base64
import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import libvirt

from qa.devcluster import processes
from qa.guest.errors import GuestError

_DAEMON = "libvirtd"
_LIFETIME = 280  # seconds after which libvirtd is ended
_START_TIMEOUT = 60.0
_GRACE = 10.0
_NOBODY = "nobody"
_FOLDERS = {
    "XDG_RUNTIME_DIR": "run",
    "XDG_CONFIG_HOME": "config",
    "XDG_CACHE_HOME": "cache",
    "XDG_DATA_HOME": "data",
}
_QEMU_CONF = 'stdio_handler = "file"\n'  # else virtlogd is needed too


class LibvirtHost:
    """libvirtd with a folder of its own. As a context manager it is stopped at the end."""

    def __init__(self, *, env: Mapping[str, str], mark: str) -> None:
        """``mark`` is the folder of the cluster, which ends libvirtd when it is taken down."""
        self._env = {**env, processes.MARK: mark}
        self.folder = Path()
        self._process: Optional[processes.Process] = None

    def __enter__(self) -> "LibvirtHost":
        if shutil.which(_DAEMON) is None:
            raise GuestError(f"{_DAEMON} is missing; install the package libvirt-daemon.")
        self.folder = Path(tempfile.mkdtemp(prefix="libvirt-"))
        for name in _FOLDERS.values():
            (self.folder / name / "libvirt").mkdir(parents=True, mode=0o700)
        (self.folder / "config" / "libvirt" / "qemu.conf").write_text(_QEMU_CONF, encoding="utf-8")
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, _NOBODY)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def uri(self) -> str:
        return f"qemu+unix:///session?socket={self._socket}"

    @property
    def said(self) -> str:
        """What libvirtd printed."""
        return self._output.read_text(encoding="utf-8") if self._output.exists() else ""

    def start(self) -> None:
        """Start libvirtd and wait until it answers. Raises GuestError."""
        self._socket.unlink(missing_ok=True)
        account = ["setpriv", "--reuid", _NOBODY, "--regid", "nogroup", "--clear-groups"]
        own = {name: str(self.folder / folder) for name, folder in _FOLDERS.items()}
        self._process = processes.spawn(
            [
                *("timeout", "-k", "5", str(_LIFETIME), *(account if os.geteuid() == 0 else ())),
                *(_DAEMON, "--timeout", "0"),  # do not end when nobody is connected
            ],
            {**self._env, **own, "HOME": str(self.folder)},
            self._output,
        )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._answers():
            if not processes.alive(self._process) or time.monotonic() > deadline:
                raise GuestError(f"{_DAEMON} does not answer: {self.said}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop libvirtd; guests run on."""
        if self._process is not None:
            processes.stop(self._process, _GRACE)

    @contextlib.contextmanager
    def connected(self) -> Iterator[Any]:
        """A connection of Python's libvirt library."""
        connection = libvirt.open(self.uri)
        try:
            yield connection
        finally:
            connection.close()

    def add_secret(self, key: str) -> str:
        """Store the key of a cephx user (base64); return the secret's UUID."""
        ident = str(uuid.uuid4())
        with self.connected() as connection:
            secret = connection.secretDefineXML(
                f"<secret ephemeral='no' private='yes'><uuid>{ident}</uuid>"
                f"<usage type='ceph'><name>{ident}</name></usage></secret>"
            )
            secret.setValue(base64.b64decode(key))
        return ident

    @property
    def _socket(self) -> Path:
        return self.folder / "run" / "libvirt" / "libvirt-sock"

    @property
    def _output(self) -> Path:
        return self.folder / "libvirtd.out"

    def _answers(self) -> bool:
        if not self._socket.exists():
            return False
        try:
            with self.connected() as connection:
                return bool(connection.isAlive())
        except libvirt.libvirtError:
            return False
