"""Functions shared by moves and imports: the commands of the recorded version."""

import rados

from qa.devcluster import Cluster

SOURCES, TARGETS = "old", "new"  # the pools
_TIMEOUT = 60.0


class Recorder:
    """Each image is named after the state of its migration; the targets are in ``TARGETS``."""

    def __init__(self, cluster: Cluster, client: rados.Rados) -> None:
        self.cluster = cluster
        self.client = client

    def do(self, command: str, *args: str, input: str = "") -> None:
        """Run a command of the version."""
        given = ["-i", "-"] if input else []
        self.cluster.ceph("rbd", "migration", command, *args, *given, input=input or None)

    def wait(self, name: str, state: str) -> None:
        """Wait until the migration to the target of this name is in the state."""

        def there() -> bool:
            report = self.cluster.ceph_json("rbd", "migration", "status", target(name))
            return bool(report["state"] == state)

        self.cluster.wait_for(there, _TIMEOUT, f"{name} to be {state}")

    def wait_copying(self, name: str) -> None:
        """Wait until a part of it is copied."""

        def there() -> bool:
            report = self.cluster.ceph_json("rbd", "migration", "status", target(name))
            return bool(report["state"] == "executing" and report["percent"] > 0)

        self.cluster.wait_for(there, _TIMEOUT, f"{name} to be copied")


def target(name: str) -> str:
    """Return the target's image spec."""
    return f"{TARGETS}/{name}"
