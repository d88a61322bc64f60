"""The rig: a cluster, two pools, and the functions that all benchmarks use."""

import contextlib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.asking import ask_manager
from qa.workload.images import MIB, opened, place, split

SOURCE, TARGET = "bench-from", "bench-to"
_PATIENCE = 600.0  # seconds for every wait
_POLL = 0.05

Report = dict[str, Any]
_numbers = itertools.count(1)


class Failed(Exception):
    """A migration failed."""


@dataclass
class Rig:
    """A cluster with two pools. ``client`` is client.admin's. ``quick``: use the smallest sizes."""

    cluster: Cluster
    client: rados.Rados
    quick: bool = False
    repeat: int = 3
    said: "Callable[[str], None]" = field(default=lambda text: None)

    @property
    def has_gateway(self) -> bool:
        """Whether the cluster has an object gateway."""
        return self.cluster.layout.s3.exists()

    # -- commands -----------------------------------------------------------------------------

    def ask(self, command: str, **args: Any) -> Any:
        """Return the JSON answer of ``ceph rbd migration COMMAND``, without starting the CLI."""
        return self.ceph(f"rbd migration {command}", **args)

    def ceph(self, prefix: str, *, data: str = "", **args: Any) -> Any:
        """Send a command to the manager, again while no manager is ready. Returns decoded JSON.

        ``data``: its input, as ``ceph -i`` sends it.
        """
        return ask_manager(self.client, prefix, args, data=data, patience=_PATIENCE)

    def status(self, target: str) -> Report:
        """Return the report of one migration."""
        report: Report = self.ask("status", target_image=target)
        return report

    def wait(self, target: str, *states: str) -> Report:
        """Wait for a state."""

        def there() -> Optional[Report]:
            report = self.status(target)
            if report["state"] == "failed" and "failed" not in states:
                raise Failed(f"{target} failed: {report['failure']}")
            return report if report["state"] in states else None

        return self.until(there, f"{target} to be {' or '.join(states)}")

    def until(self, there: "Callable[[], Any]", what: str, every: float = _POLL) -> Any:
        """Poll until the predicate is true."""
        return self.cluster.wait_for(there, _PATIENCE, what, every)

    # -- images -------------------------------------------------------------------------------

    def image(self, spec: str, size: int, data: int, object_size: int = 4 * MIB) -> str:
        """Make an image of ``size`` bytes, the first ``data`` of them random; return its spec."""
        with place(self.client, spec) as ioctx:
            rbd.RBD().create(ioctx, split(spec)[2], size, order=object_size.bit_length() - 1)
        piece = random.Random(spec).randbytes(4 * MIB)
        with opened(self.client, spec, read_only=False) as image:
            for at in range(0, data, len(piece)):
                image.write(piece[: min(len(piece), data - at)], at)
        return spec

    def pair(self) -> "tuple[str, str]":
        """Return names for another source and target."""
        name = f"disk{next(_numbers)}"
        return f"{SOURCE}/{name}", f"{TARGET}/{name}"

    def remove(self, specs: "Sequence[str]") -> None:
        """Remove those of the images that exist."""
        for spec in specs:
            with place(self.client, spec) as ioctx, contextlib.suppress(rbd.ImageNotFound):
                rbd.RBD().remove(ioctx, split(spec)[2])


@contextlib.contextmanager
def rigged(cluster: Cluster, **options: Any) -> Iterator[Rig]:
    """Yield a rig with its pools, which are deleted with their contents at the end."""
    made = []
    with cluster.connect(timeout=60) as client:
        try:
            for pool in (SOURCE, TARGET):
                cluster.create_pool(pool, pg_num=16)
                made.append(pool)
            yield Rig(cluster, client, **options)
        finally:
            for pool in made:
                cluster.delete_pool(pool)
