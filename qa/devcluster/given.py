"""The cluster that a tool works on: a running one that the user names, or a new one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from qa.devcluster.cluster import Cluster
from qa.devcluster.options import FAST_FAILOVER, ClusterOptions


@contextmanager
def given_or_new(
    folder: Optional[Path], tool: str, osds: int = 1, mgrs: int = 1
) -> Iterator[Cluster]:
    """Yield the running cluster in ``folder``, or a new one that is removed at the end.

    ``tool`` is part of the name of the new one's folder. ``osds`` and ``mgrs``: how many that has.
    """
    if folder:
        yield Cluster(folder)
        return
    with (
        tempfile.TemporaryDirectory(prefix=f"rbd-migration-{tool}-") as made,
        Cluster(Path(made) / "cluster") as cluster,
    ):
        cluster.up(ClusterOptions(mgrs=mgrs, osds=osds, conf=FAST_FAILOVER))
        yield cluster
