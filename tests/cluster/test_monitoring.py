"""A real Prometheus scrapes the managers: every query of alerts and dashboard is evaluated."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rados
import yaml

from qa.devcluster import Cluster
from qa.workload.images import KIB, MIB, make_image
from tests.cluster.commands import Commands
from tests.cluster.rest import free_ports

_OPTION = "mgr/rbd_migration/"
_FOLDER = Path(__file__).parents[2] / "packaging" / "monitoring"
_SOON = 90.0  # seconds for a scrape to have what just happened
_COMMITTED = 'rbd_migration_ended_total{outcome="committed",method="live",kind="image"}'


class Prometheus:
    """A running Prometheus, asked over HTTP."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, query: str) -> "list[Any]":
        """The series that a query gives now. Raises OSError for one that is refused."""
        address = f"{self._url}/query?" + urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(address, timeout=30) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
        return found

    def value(self, query: str) -> float:
        """The only value that a query gives; -1 when there is none yet."""
        try:
            found = self.ask(query)
        except OSError:
            return -1.0
        return float(found[0]["value"][1]) if found else -1.0


@pytest.fixture(scope="module")
def ports(cluster: Cluster) -> "Iterator[list[int]]":
    """The ports of the managers' servers, without TLS."""
    names = cluster.mgrs()
    found = free_ports(len(names))
    options = {"server_addr": "127.0.0.1", "server_tls": "false", "server": "true"}
    options.update({f"{name}/server_port": str(port) for name, port in zip(names, found)})
    for name, value in options.items():
        cluster.ceph("config", "set", "mgr", _OPTION + name, value, "--force")
    yield found
    cluster.ceph("config", "set", "mgr", _OPTION + "server", "false")
    for name in options:
        cluster.ceph("config", "rm", "mgr", _OPTION + name)


@pytest.fixture(scope="module")
def prometheus(
    ports: "list[int]", tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Prometheus]":
    """As ``doc/monitoring.rst`` says, scraping every second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    (port,) = free_ports(1)
    job = {
        "job_name": "rbd_migration",
        "follow_redirects": False,
        "static_configs": [{"targets": [f"127.0.0.1:{one}" for one in ports]}],
        "metric_relabel_configs": [{"target_label": "instance", "replacement": "ceph_cluster"}],
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(_FOLDER / "rbd_migration_alerts.yml")],
        "scrape_configs": [job],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with (folder / "log").open("wb") as log:
        command = [
            program,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Prometheus(port)
        finally:
            running.terminate()
            running.wait(60)


def _queries() -> "list[str]":
    rules = yaml.safe_load((_FOLDER / "rbd_migration_alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((_FOLDER / "rbd_migration_dashboard.json").read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    variables = {"$__rate_interval": "1m", "$__range": "1h", "$instance": ".*"}
    named = re.compile("|".join(re.escape(name) for name in variables))
    return [rule["expr"] for rule in rules] + [
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
