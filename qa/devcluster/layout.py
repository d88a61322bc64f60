"""The paths in the folder of a cluster."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

#: The repository of this file.
REPOSITORY = Path(__file__).resolve().parents[2]

_LONGEST_SOCKET_FOLDER = 80  # the longest path of a Unix socket, in bytes


@dataclass(frozen=True)
class Layout:
    """The paths of one cluster, all under its folder."""

    root: Path

    @property
    def blueprint(self) -> Path:
        """The file that marks the folder as a cluster's: made first, removed last."""
        return self.root / "cluster.json"

    @property
    def conf(self) -> Path:
        return self.root / "ceph.conf"

    @property
    def keyring(self) -> Path:
        return self.root / "keyring"

    @property
    def monmap(self) -> Path:
        return self.root / "monmap"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def pids(self) -> Path:
        return self.root / "pid"

    @property
    def crashes(self) -> Path:
        return self.root / "crash"

    @property
    def modules(self) -> Path:
        return self.root / "mgr"

    @property
    def bytecode(self) -> Path:
        return self.root / "pycache"

    @property
    def faults(self) -> Path:
        return self.root / "faults"

    @property
    def dashboard(self) -> Path:
        return self.root / "dashboard.json"

    @property
    def s3(self) -> Path:
        return self.root / "s3.json"

    @property
    def authorities(self) -> Path:
        """The certificates that daemons trust in place of the system's; optional."""
        return self.root / "authorities.crt"

    @property
    def sockets(self) -> Path:
        """The folder of admin sockets; outside of the cluster's folder if its path is too long."""
        folder = self.root / "run"
        if len(str(folder)) <= _LONGEST_SOCKET_FOLDER:
            return folder
        name = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"rbd-devcluster-{name}"

    def modules_of(self, manager: str) -> Path:
        """Each manager has a module directory of its own, as managers on different hosts do."""
        return self.modules / manager

    def data_of(self, daemon: str) -> Path:
        return self.data / daemon

    def log_of(self, daemon: str) -> Path:
        return self.logs / f"{daemon}.log"

    def output_of(self, daemon: str) -> Path:
        """The file with a daemon's standard output and error."""
        return self.logs / f"{daemon}.out"

    def make_folders(self) -> None:
        for folder in (
            self.data, self.logs, self.pids, self.crashes, self.modules, self.faults, self.sockets,
        ):  # fmt: skip
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
