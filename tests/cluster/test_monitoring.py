"""A real Prometheus scrapes the managers: every query of alerts and dashboard is evaluated."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import rados

from qa.alerts.cli import one
from qa.alerts.prometheus import Prometheus, metrics_served, scraping
from qa.alerts.rules import impatient, rules
from qa.alerts.site import Site
from qa.alerts.troubles import contents_differ, left_half_done
from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, make_image
from tests.cluster.commands import Commands

_FOLDER = Path(__file__).parents[2] / "packaging" / "monitoring"
_SOON = 90.0  # seconds for a scrape to have what just happened
_COMMITTED = 'rbd_migration_ended_total{outcome="committed",method="live",kind="image"}'


@pytest.fixture(scope="module")
def prometheus(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Prometheus]":
    """As ``doc/monitoring.rst`` says, scraping every second, with alerts that wait for a second."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    with metrics_served(cluster) as ports, scraping(ports, impatient(), folder) as running:
        yield running


def _queries() -> "list[str]":
    panels = json.loads((_FOLDER / "rbd_migration_dashboard.json").read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    variables = {"$__rate_interval": "1m", "$__range": "1h", "$instance": ".*"}
    named = re.compile("|".join(re.escape(name) for name in variables))
    return [rule["expr"] for rule in rules()] + [
        named.sub(lambda found: variables[found[0]], query) for query in shown
    ]


def test_every_query_is_understood_and_counters_survive_a_failover(
    cluster: Cluster,
    client: rados.Rados,
    migration: Commands,
    pools: "tuple[str, str]",
    prometheus: Prometheus,
) -> None:
    cluster.wait_for(lambda: prometheus.value("rbd_migration_info") == 1, _SOON, "a scrape")
    before = prometheus.value(_COMMITTED)
    source, target = f"{pools[0]}/disk", f"{pools[1]}/disk"
    make_image(client, source, 4 * MIB, 64 * KIB)
    migration.text("run", "--method", "live", source, target, "--verify", "full")
    migration.wait(target, "committed")
    cluster.wait_for(lambda: prometheus.value(_COMMITTED) == before + 1, _SOON, "the commit")
    assert prometheus.value('rbd_migration_copied_bytes_total{method="live"}') > 0
    assert prometheus.value("rbd_migration_verified_bytes_total") > 0
    assert prometheus.value('rbd_migration_verifications_total{mode="full",outcome="passed"}') >= 1
    count = 'rbd_migration_step_duration_seconds_count{act="execute",result="done"}'
    assert prometheus.value(count) >= 1
    for query in _queries():
        prometheus.ask(query)
    names = {re.sub("_bucket$", "", name) for query in _queries()
             for name in re.findall(r"rbd_migration_\w+", query)}  # fmt: skip
    empty = [name for name in names if not prometheus.ask(f'{{__name__=~"{name}(_bucket)?"}}')]
    assert empty == []
    counted = prometheus.value(_COMMITTED)
    assert prometheus.value("rbd_migration_worker_starts_total") > 0
    cluster.mgr_fail()
    cluster.wait_for(  # that of the manager itself, which begins at 0
        lambda: prometheus.value("rbd_migration_worker_starts_total") == 0,
        _SOON,
        "a scrape of the next manager",
    )
    cluster.wait_for(lambda: prometheus.value(_COMMITTED) == counted, _SOON, "the counter again")
    assert prometheus.value(f"resets({_COMMITTED}[5m])") == 0


def test_alerts_fire_and_clear(
    cluster: Cluster,
    client: rados.Rados,
    pools: "tuple[str, str]",
    prometheus: Prometheus,
    tmp_path: Path,
) -> None:
    """Two of those that ``./run qa alerts`` makes fire."""
    site = Site(cluster, client, pools, tmp_path)
    cluster.wait_for(lambda: prometheus.value("rbd_migration_info") == 1, _SOON, "a scrape")
    problems = one(site, prometheus, left_half_done, ["RBDMigrationLeftHalfDone"])
    problems += one(site, prometheus, contents_differ, ["RBDMigrationDiffers"])
    assert problems == []
