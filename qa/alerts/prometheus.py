"""A Prometheus that scrapes the managers of a development cluster every second."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from qa.devcluster import Cluster
from qa.devcluster.errors import DevClusterError
from qa.devcluster.ports import free_ports
from qa.workload.module_options import module_options


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

    def firing(self) -> "set[str]":
        """The names of the alerts that fire."""
        found = self.ask('ALERTS{alertstate="firing"}')
        return {series["metric"]["alertname"] for series in found}

    def wait(self, alert: str, fires: bool, seconds: float) -> float:
        """Wait until an alert fires, or does not any more; return after how many seconds.

        Raises DevClusterError when time runs out.
        """
        begin = time.monotonic()
        while (alert in self.firing()) is not fires:
            passed = time.monotonic() - begin
            if passed > seconds:
                what = "does not fire" if fires else "does not clear"
                raise DevClusterError(f"{alert} {what} within {passed:.0f} s.")
            time.sleep(0.5)
        return time.monotonic() - begin


@contextmanager
def metrics_served(cluster: Cluster) -> "Iterator[list[int]]":
    """Have each manager's server listen on loopback, without TLS; yield the ports."""
    names = cluster.mgrs()
    found = free_ports(len(names))
    ports = {f"{name}/server_port": str(port) for name, port in zip(names, found)}
    options = {"server_addr": "127.0.0.1", "server_tls": "false", "server": "true"}
    with module_options(cluster, **ports, **options):
        yield found


@contextmanager
def scraping(ports: Sequence[int], rules: str, folder: Path) -> "Iterator[Prometheus]":
    """Run a Prometheus with these rules, as ``doc/monitoring.rst`` says. Raises DevClusterError."""
    program = shutil.which("prometheus")
    if program is None:
        raise DevClusterError("prometheus is not installed; start through ./run test.")
    (port,) = free_ports(1)
    job = {
        "job_name": "rbd_migration",
        "follow_redirects": False,
        "static_configs": [{"targets": [f"127.0.0.1:{one}" for one in ports]}],
        "metric_relabel_configs": [{"target_label": "instance", "replacement": "ceph_cluster"}],
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [job],
    }
    (folder / "rules.yml").write_text(rules, encoding="utf-8")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        program,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Prometheus(port)
        finally:
            running.terminate()
            try:
                running.wait(60)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait(60)
