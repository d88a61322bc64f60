"""One real cluster for all tests of a session (with pytest-xdist: one for each of its workers).

With RBD_MIGRATION_TEST_CLUSTER set to the folder of a running cluster (made with
``./run cluster up --mgrs 2 --rgw --dir ...``) that one is used, and left running.
"""

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import rados

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions
from qa.faults.managers import start_dead
from qa.model.killed_worker import KilledWorker, killed_worker
from qa.workload.images import forget_history, wipe
from tests.cluster.commands import Commands
from tests.cluster.crash_traces import CrashTraces
from tests.cluster.fixtures import of_cluster, running_or_new
from tests.cluster.stage import Stage

_HERE = Path(__file__).parent
MakePool = Callable[..., str]


# Files whose tests take longer than a minute altogether begin first: several run at once, and at
# the end none of them is to run alone.
_LONG = (
    "test_warm_worker", "test_agent_libvirt", "test_agent", "test_guest_exchange", "test_pace",
    "test_verify", "test_model", "test_preflight", "test_trimming", "test_control",
    "test_import_native", "test_plans", "test_web", "test_warm", "test_main_job", "test_demo",
    "test_import_crash", "test_target_changes", "test_parts", "test_abort_guard",
    "test_when_closed", "test_qa_imports", "test_trouble", "test_warm_other_worker",
    "test_warm_other_cluster", "test_early_copy",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CrashTraces(config))


def pytest_collection_modifyitems(config: pytest.Config, items: "list[pytest.Item]") -> None:
    """Mark the tests of extended.txt, and sort by file. Where all are collected, each line of it
    has to be a test.
    """
    begins = {name: number for number, name in enumerate(_LONG)}
    items.sort(key=lambda item: begins.get(item.path.stem, len(_LONG)))
    lines = (_HERE / "extended.txt").read_text(encoding="utf-8").splitlines()
    extended = {line for line in lines if not line.startswith("#")}
    unknown = set(extended)
    for item in items:
        name = item.nodeid.rpartition("tests/cluster/")[2]
        if name in extended:
            item.add_marker("extended")
            unknown.discard(name)
    if config.args == [str(_HERE.relative_to(config.rootpath))] and unknown:
        raise pytest.UsageError(f"extended.txt names tests that do not exist: {unknown}")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The session's cluster: a mon, two managers, an OSD."""
    options = ClusterOptions(mgrs=2, osds=1, rgw=True, conf=FAST_FAILOVER)
    with running_or_new(tmp_path_factory.mktemp("cluster"), options) as ready:
        yield ready


@pytest.fixture
def managers(cluster: Cluster) -> Iterator[None]:
    """For tests that arm a manager's death: what was not reached is disarmed, the dead started."""
    yield
    for armed in cluster.faults.iterdir():
        armed.unlink()
    start_dead(cluster)
    cluster.wait_module()


@pytest.fixture(autouse=True)
def _living_managers(request: pytest.FixtureRequest) -> Iterator[None]:
    """A manager that a test killed runs again for the next one, also when the test failed."""
    yield
    if "cluster" in request.fixturenames:
        shared: Cluster = request.getfixturevalue("cluster")
        for name in shared.mgrs():
            shared.mgr_start(name)


client, migration = of_cluster("session")
_numbers = itertools.count(1)


@pytest.fixture
def make_pool(cluster: Cluster, migration: Commands) -> Iterator[MakePool]:
    """Make pools with names of their own.

    After the test they are deleted, once the migrations from and to them are aborted.
    """
    made: list[str] = []

    def make(**options: Any) -> str:
        name = f"test-{int(time.time())}-{os.getpid()}-{next(_numbers)}"
        made.append(name)
        return cluster.create_pool(name, **options)

    yield make
    if not made:
        return
    if cluster.module_enabled():
        migration.clean_up(made)
    existing = cluster.mon_command("osd pool ls")
    for name in made:
        if name in existing:
            cluster.delete_pool(name)


@pytest.fixture
def pool(make_pool: MakePool) -> str:
    """One fresh pool for RBD images."""
    return make_pool()


@pytest.fixture(scope="session")
def _clean_pools() -> Iterator["dict[Path, tuple[Cluster, list[str]]]"]:
    """Pools that were used and wiped, by the cluster's folder: some files bring their own."""
    clean: dict[Path, tuple[Cluster, list[str]]] = {}
    yield clean
    for folder, (cluster, names) in clean.items():
        for name in names if folder.exists() else ():
            cluster.delete_pool(name)


@pytest.fixture
def pools(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    _clean_pools: "dict[Path, tuple[Cluster, list[str]]]",
) -> "Iterator[tuple[str, str]]":
    """Two pools without images, migrations or history.

    They are used again, which is quicker than to make them for each test.
    """
    _, clean = _clean_pools.setdefault(cluster.layout.root, (cluster, []))
    while len(clean) < 2:
        name = f"shared-{int(time.time())}-{os.getpid()}-{next(_numbers)}"
        clean.append(cluster.create_pool(name))
    pair = (clean.pop(), clean.pop())
    forget_history(client, pair)
    yield pair
    migration.clean_up(pair)
    if wipe(client, pair):
        clean += pair
    else:
        for name in pair:
            cluster.delete_pool(name)


@pytest.fixture
def stage(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    make_pool: Callable[..., str],
) -> Stage:
    return Stage(cluster, client, migration, pools, make_pool)


@pytest.fixture
def worker(cluster: Cluster, client: rados.Rados) -> Iterator[KilledWorker]:
    """A worker of the module that dies where a test wants it, and is replaced then."""
    with killed_worker(client, cluster.conf) as made:
        yield made
