"""Starts and stops the daemons of a cluster by name: mon.a, mgr.a, osd.0, client.rgw.a."""

import json
import os
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Optional

from qa.devcluster import processes
from qa.devcluster.errors import DevClusterError
from qa.devcluster.layout import Layout
from qa.devcluster.processes import Process

_BINARIES = {"mon": "ceph-mon", "mgr": "ceph-mgr", "osd": "ceph-osd", "client": "radosgw"}
_PASSED_ON = ("RBD_MIGRATION_TRACE_DIR",)  # see rbdmigrate.trace
#: Libraries that monitors and OSDs load first, separated by colons; tests set it, to go faster.
_PRELOAD = "RBD_MIGRATION_PRELOAD"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _preloaded(name: str) -> "dict[str, str]":
    wanted = os.environ.get(_PRELOAD, "") if name.startswith(("mon.", "osd.")) else ""
    return {"LD_PRELOAD": wanted} if wanted else {}


class Daemons:
    """The processes of one cluster, without knowledge of their purpose."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of daemons: small, so that nothing of the caller's Python leaks in."""
        return {
            "PATH": _PATH,
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "PYTHONPYCACHEPREFIX": str(self._layout.bytecode),
            "RBD_MIGRATION_FAULT_DIR": str(self._layout.faults),
            "SSL_CERT_FILE": str(self._layout.authorities),
            processes.MARK: str(self._layout.root),
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        }

    def command(self, name: str, *more: str) -> list[str]:
        kind, _, rest = name.partition(".")
        binary = shutil.which(_BINARIES[kind], path=_PATH)
        if binary is None:
            raise DevClusterError(
                f"{_BINARIES[kind]} is not installed; "
                "start through ./run, which installs what is missing."
            )
        identity = ["-n", name] if kind == "client" else ["-i", rest]
        return [binary, *identity, "-c", str(self._layout.conf), *more]

    def start(self, name: str) -> None:
        """Start the daemon unless it runs."""
        if self.find(name) is not None:
            return
        process = processes.spawn(
            self.command(name, "-f"),
            {**self.environment, **_preloaded(name)},
            self._layout.output_of(name),
        )
        record = {"pid": process.pid, "started": process.started}
        (self._layout.pids / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")

    def find(self, name: str) -> Optional[Process]:
        """Return the daemon's process, or None when it does not run."""
        try:
            text = (self._layout.pids / f"{name}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        process = Process(**json.loads(text))
        return process if processes.alive(process) else None

    def get(self, name: str) -> Process:
        process = self.find(name)
        if process is None:
            raise DevClusterError(f"{name} does not run; its log is {self._layout.log_of(name)}.")
        return process

    def signal(self, name: str, sig: int) -> Process:
        process = self.get(name)
        processes.send_signal(process, sig)
        return process

    def stop(self, name: str, grace: float) -> None:
        """Stop the daemon if it runs."""
        process = self.find(name)
        if process is not None:
            processes.stop(process, grace)

    def states(self) -> dict[str, Optional[int]]:
        """Return the pid of each daemon that was ever started, None for those that do not run."""
        found: dict[str, Optional[int]] = {}
        for path in sorted(self._layout.pids.glob("*.json")):
            process = self.find(path.stem)
            found[path.stem] = process.pid if process else None
        return found

    def kill_all(self) -> None:
        """Kill every process of the cluster, also those that daemons started."""
        deadline = time.monotonic() + 20
        while True:
            # Repeatedly: a process may start another one before it is killed.
            found = processes.carrying(str(self._layout.root))
            if not found:
                return
            if time.monotonic() > deadline:
                pids = ", ".join(str(process.pid) for process in found)
                raise DevClusterError(
                    f"The processes {pids} cannot be killed; try again when their I/O is done."
                )
            with ThreadPoolExecutor(len(found)) as pool:
                list(pool.map(lambda process: processes.stop(process, 0), found))

    def check(self, name: str) -> None:
        """Raise with the end of its log when the daemon has died."""
        if self.find(name) is None:
            raise DevClusterError(f"{name} ended while it was starting.\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the end of the daemon's output, for an error message."""
        parts = []
        for path in (self._layout.output_of(name), self._layout.log_of(name)):
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                continue
            said = [line for line in text.splitlines() if line.strip()]
            if said:
                parts.append("\n".join([f"--- the end of {path.name}:", *said[-lines:]]))
        return "\n".join(parts) or f"{name} wrote nothing."
