"""Starts clients as processes of their own, like virtual machines (see ``client``)."""

import subprocess
import sys

from qa.devcluster import Cluster, processes
from qa.devcluster.layout import REPOSITORY


def start(cluster: Cluster, module: str, *args: object) -> "subprocess.Popen[bytes]":
    """Run a module of this folder, with the cluster's configuration file before ``args``."""
    return subprocess.Popen(
        [sys.executable, "-m", f"qa.workload.{module}", str(cluster.conf), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **cluster.env,
            "PYTHONPATH": str(REPOSITORY),
            # Marked as the cluster's, so that it ends when the cluster is taken down.
            processes.MARK: str(cluster.layout.root),
        },
        start_new_session=True,
    )
