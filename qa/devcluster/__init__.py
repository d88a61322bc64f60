"""A real Ceph cluster on loopback, in one folder, for development and tests.

    with Cluster(Path("/tmp/c1")) as cluster:
        cluster.up(ClusterOptions(mgrs=2))
        cluster.create_pool("images")
        cluster.rbd("create", "--size", "1G", "images/one")

The same on the command line: ``./run cluster --help``.
"""

from qa.devcluster.cluster import Cluster
from qa.devcluster.errors import CommandFailed, DevClusterError, WaitTimeout
from qa.devcluster.given import given_or_new
from qa.devcluster.interruption import interrupt_on_signals
from qa.devcluster.options import FAST_FAILOVER, SHIPPED_MONITORS, ClusterOptions

__all__ = [
    "FAST_FAILOVER",
    "SHIPPED_MONITORS",
    "Cluster",
    "ClusterOptions",
    "CommandFailed",
    "DevClusterError",
    "WaitTimeout",
    "given_or_new",
    "interrupt_on_signals",
]
