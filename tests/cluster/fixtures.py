"""What files with a cluster of their own share with those that use the session's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rados

from qa.devcluster import Cluster, ClusterOptions
from qa.workload.comparing import compare_nothing
from tests.cluster.commands import Commands


@contextmanager
def running_or_new(folder: Path, options: ClusterOptions) -> Iterator[Cluster]:
    """The cluster that RBD_MIGRATION_TEST_CLUSTER names, or a new one until the end.

    In both the default verification is turned off.
    """
    running = os.environ.get("RBD_MIGRATION_TEST_CLUSTER")
    if running:
        given = Cluster(Path(running))
        compare_nothing(given)
        yield given
        return
    with Cluster(folder) as fresh:
        fresh.up(options)
        compare_nothing(fresh)
        yield fresh


def of_cluster(scope: Any) -> "tuple[Any, Any]":
    """The fixtures ``client`` and ``migration`` of the fixture ``cluster`` next to them.

    A file that has a ``cluster`` of its own defines them again: those of the session are made once,
    for the session's.
    """

    @pytest.fixture(scope=scope)
    def client(cluster: Cluster) -> Iterator[rados.Rados]:
        """A RADOS client in this process, as client.admin."""
        with cluster.connect() as connected:
            yield connected

    @pytest.fixture(scope=scope)
    def migration(cluster: Cluster, client: rados.Rados) -> Commands:
        """The commands."""
        return Commands(cluster, client)

    return client, migration
