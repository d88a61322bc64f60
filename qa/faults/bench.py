"""The bench: a cluster, our own RADOS client on it, and the two pools that images move between."""

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
_KINDS = ("hdd", "ssd", "hybrid")  # of OSDs
PLACES = tuple((pool, ns) for pool in (SOURCE_POOL, TARGET_POOL) for ns in ("", NAMESPACE))


@dataclass
class Bench:
    """What every case needs. ``client`` is client.admin's; ``lab`` is there for who asks for it."""

    cluster: Cluster
    client: rados.Rados
    lab: "Optional[Laboratory]" = None
    logged: "dict[str, int]" = field(default_factory=dict)  # bytes of the managers' logs before

    @contextlib.contextmanager
    def ioctx(self, pool: str, namespace: str = "") -> Iterator[rados.Ioctx]:
        """An ioctx that knows of everybody who was fenced so far."""
        self.client.wait_for_latest_osdmap()
        with self.client.open_ioctx(pool) as ioctx:
            ioctx.set_namespace(namespace)
            yield ioctx


@contextlib.contextmanager
def benched(cluster: Cluster) -> Iterator[Bench]:
    """Connect and make the pools, which are deleted at the end, with what is in them."""
    with _alone(cluster), cluster.connect() as client:
        logs = {name: cluster.mgr_log(name) for name in cluster.mgrs()}
        sizes = {name: path.stat().st_size for name, path in logs.items() if path.exists()}
        bench = Bench(cluster, client, logged=sizes)
        for kind in _KINDS:  # data of removed snapshots shall go at once
            cluster.ceph("config", "set", "osd", f"osd_snap_trim_sleep_{kind}", "0")
        make_pools(bench)
        try:
            yield bench
        finally:
            for pool in (SOURCE_POOL, TARGET_POOL):
                cluster.delete_pool(pool)
            for kind in _KINDS:
                cluster.ceph("config", "rm", "osd", f"osd_snap_trim_sleep_{kind}")


@contextlib.contextmanager
def _alone(cluster: Cluster) -> Iterator[None]:
    """Two that kill managers in one cluster would find each other's damage."""
    with open(cluster.layout.root / "faults.lock", "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevClusterError(
                f"Other fault tests are at work on the cluster in {cluster.layout.root}."
            ) from None
        yield


def make_pools(bench: Bench) -> None:
    """Make both pools, empty."""
    existing = bench.client.list_pools()
    for pool in (SOURCE_POOL, TARGET_POOL):
        if pool in existing:
            bench.cluster.delete_pool(pool)
        bench.cluster.create_pool(pool)
        with bench.ioctx(pool) as ioctx:
            rbd.RBD().namespace_create(ioctx, NAMESPACE)


def reset(bench: Bench) -> None:
    """After a failed case: forget its images, disarm its faults, begin with fresh managers."""
    for path in bench.cluster.faults.iterdir():
        path.unlink()
    make_pools(bench)
    bench.cluster.mgr_restart()
