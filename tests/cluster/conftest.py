"""One real cluster for all tests of a session.

With RBD_MIGRATION_TEST_CLUSTER set to the folder of a running cluster (made with
``./run cluster up --mgrs 2 --dir ...``) that one is used, and left running.
"""

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions

MakePool = Callable[..., str]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The session's cluster: a mon, two managers, an OSD."""
    running = os.environ.get("RBD_MIGRATION_TEST_CLUSTER")
    if running:
        yield Cluster(Path(running))
        return
    with Cluster(tmp_path_factory.mktemp("cluster")) as fresh:
        fresh.up(ClusterOptions(mgrs=2, osds=1, conf=FAST_FAILOVER))
        yield fresh


_numbers = itertools.count(1)


@pytest.fixture
def make_pool(cluster: Cluster) -> Iterator[MakePool]:
    """Make pools with names of their own; they are deleted after the test."""
    made: list[str] = []

    def make(**options: Any) -> str:
        name = f"test-{int(time.time())}-{os.getpid()}-{next(_numbers)}"
        made.append(name)
        return cluster.create_pool(name, **options)

    yield make
    existing = cluster.ceph_json("osd", "pool", "ls")
    for name in made:
        if name in existing:
            cluster.delete_pool(name)


@pytest.fixture
def pool(make_pool: MakePool) -> str:
    """One fresh pool for RBD images."""
    return make_pool()
