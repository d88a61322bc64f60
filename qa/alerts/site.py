"""The development cluster on which troubles are made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rados

from qa.devcluster import Cluster
from qa.workload.asking import ask
from qa.workload.images import KIB, MIB, make_image

SOON = 90.0  # seconds for a migration to come to a state


@dataclass(frozen=True)
class Site:
    """A cluster with two pools, an administrator's client and a folder that a server serves."""

    cluster: Cluster
    client: rados.Rados
    pools: "tuple[str, str]"
    folder: Path

    def ask(self, command: str, **args: Any) -> Any:
        """The answer to ``ceph rbd migration COMMAND``."""
        return ask(self.client, command, **args)

    def image(self, name: str, size: int = MIB) -> "tuple[str, str]":
        """A new image, and the target that it may get: two image specs."""
        source, target = (f"{pool}/{name}" for pool in self.pools)
        make_image(self.client, source, size, 64 * KIB, snapshots=())
        return source, target

    def wait(self, target: str, *states: str) -> None:
        """Wait until a migration is in one of these states."""
        self.cluster.wait_for(
            lambda: self.ask("status", target_image=target)["state"] in states, SOON, states[0]
        )

    def abort(self, target: str) -> None:
        """Abort a migration, whatever clients did, and wait for its end."""
        self.ask("abort", target_image=target, force=True)
        self.wait(target, "aborted")

    def slow_copy(self, name: str, rate: str = "64K") -> str:
        """A migration that is being copied, and will be for minutes; the target."""
        source, target = self.image(name, 16 * MIB)
        self.ask("run", source_image=source, target_image=target, goal="executed", rate=rate,
                 method="live")  # fmt: skip
        self.wait(target, "executing")
        return target
