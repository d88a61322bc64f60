"""The bench: a cluster, a RADOS client, and the two pools that images move between."""

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

import rados
import rbd

from qa.devcluster import Cluster, DevClusterError

if TYPE_CHECKING:
    from qa.faults.sends.engine import Laboratory

SOURCE_POOL, TARGET_POOL = "faults-from", "faults-to"
NAMESPACE = "space"
PLACES = tuple((pool, ns) for pool in (SOURCE_POOL, TARGET_POOL) for ns in ("", NAMESPACE))


@dataclass
class Bench:
    """What every case needs. ``client`` is client.admin's; ``lab`` is for cases that need it."""

    cluster: Cluster
    client: rados.Rados
    lab: "Optional[Laboratory]" = None
    logged: "dict[str, int]" = field(default_factory=dict)  # sizes of managers' logs at first

    @contextlib.contextmanager
    def ioctx(self, pool: str, namespace: str = "") -> Iterator[rados.Ioctx]:
        """Return an ioctx that knows all fenced clients so far."""
        self.client.wait_for_latest_osdmap()
        with self.client.open_ioctx(pool) as ioctx:
            ioctx.set_namespace(namespace)
            yield ioctx


@contextlib.contextmanager
def benched(cluster: Cluster) -> Iterator[Bench]:
    """Connect and create the pools, which are deleted with their contents at the end."""
    with _alone(cluster), cluster.connect() as client:
        logs = {name: cluster.mgr_log(name) for name in cluster.mgrs()}
        sizes = {name: path.stat().st_size for name, path in logs.items() if path.exists()}
        bench = Bench(cluster, client, logged=sizes)
        make_pools(bench)
        try:
            yield bench
        finally:
            for pool in (SOURCE_POOL, TARGET_POOL):
                cluster.delete_pool(pool)


@contextlib.contextmanager
def _alone(cluster: Cluster) -> Iterator[None]:
    """Refuse to run twice in one cluster: each run would find the other's damage."""
    with open(cluster.layout.root / "faults.lock", "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevClusterError(
                f"Other fault tests are running on the cluster in {cluster.layout.root}."
            ) from None
        yield


def make_pools(bench: Bench) -> None:
    """Create both pools, empty."""
    existing = bench.client.list_pools()
    for pool in (SOURCE_POOL, TARGET_POOL):
        if pool in existing:
            bench.cluster.delete_pool(pool)
        bench.cluster.create_pool(pool)
        with bench.ioctx(pool) as ioctx:
            rbd.RBD().namespace_create(ioctx, NAMESPACE)


def reset(bench: Bench) -> None:
    """Reset after a failed case: forget its images, disarm its faults, restart the managers."""
    for path in bench.cluster.faults.iterdir():
        path.unlink()
    make_pools(bench)
    bench.cluster.mgr_restart()
