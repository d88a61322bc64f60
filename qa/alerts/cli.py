"""The command line: ``./run qa alerts``."""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions
from qa.devcluster.errors import DevClusterError
from qa.workload.asking import Refused
from qa.workload.images import wipe

from .prometheus import Prometheus, metrics_served, scraping
from .rules import impatient, rules
from .site import Site
from .troubles import NIGHT, Trouble

_PATIENCE = 240.0  # seconds for an alert to fire or to clear; an agent is lost after 120
_COUNTER = 'rbd_migration_ended_total{outcome="committed",method="live",kind="image"}'


def main() -> int:
    """Make everything happen; 0 when each alert fired and cleared, and no counter fell."""
    known = [trouble.__name__ for trouble, _ in NIGHT]
    parser = argparse.ArgumentParser(prog="./run qa alerts", description=__doc__)
    parser.add_argument("troubles", nargs="*", metavar="TROUBLE", help=f"of {', '.join(known)}")
    parser.add_argument("--dir", type=Path, help="a running cluster; otherwise one is made")
    options = parser.parse_args()
    unknown = [name for name in options.troubles if name not in known]
    if unknown:
        parser.error(f"{unknown[0]} is not known; choose from {', '.join(known)}")
    chosen = [one for one in NIGHT if not options.troubles or one[0].__name__ in options.troubles]
    with tempfile.TemporaryDirectory(prefix="rbd-migration-alerts-") as made:
        folder = Path(made)
        with _cluster(options.dir, folder) as cluster:
            return _night(cluster, folder, chosen)


@contextmanager
def _cluster(given: "Path | None", folder: Path) -> "Iterator[Cluster]":
    if given is not None:
        yield Cluster(given)
        return
    with Cluster(folder / "cluster") as cluster:
        cluster.up(ClusterOptions(mgrs=2, conf=FAST_FAILOVER))
        yield cluster


def _night(
    cluster: Cluster, folder: Path, chosen: "Sequence[tuple[Trouble, tuple[str, ...]]]"
) -> int:
    pools = tuple(f"alerts-{end}-{int(time.time())}" for end in ("from", "to"))
    for pool in pools:
        cluster.create_pool(pool)
    problems: list[str] = []
    try:
        with (
            cluster.connect() as client,
            metrics_served(cluster) as ports,
            scraping(ports, impatient(), folder) as prometheus,
        ):
            cluster.wait_for(lambda: prometheus.value("rbd_migration_info") == 1, 90, "a scrape")
            site = Site(cluster, client, (pools[0], pools[1]), folder)
            print(f"{'trouble':20} {'alert':32} fires after  clears after")
            for trouble, alerts in chosen:
                problems += one(site, prometheus, trouble, alerts)
            if prometheus.value(f"resets({_COUNTER}[1h])") != 0:
                problems.append(f"{_COUNTER} fell")
            wipe(client, pools)
    finally:
        for pool in pools:
            cluster.delete_pool(pool)
    fired = {alert for _, alerts in chosen for alert in alerts}
    if len(chosen) == len(NIGHT):
        every = {rule["alert"] for rule in rules()}
        problems += [f"{alert} was not tried" for alert in sorted(every - fired)]
    for problem in problems:
        print(problem)
    print(f"{len(fired)} alerts, {len(problems)} problem(s)")
    return 1 if problems else 0


def one(site: Site, prometheus: Prometheus, trouble: Trouble, alerts: Sequence[str]) -> "list[str]":
    """Make one trouble happen and undo it; return a sentence for each alert that did not follow."""
    problems, fired = [], {}
    try:
        with trouble(site):
            for alert in alerts:
                try:
                    fired[alert] = prometheus.wait(alert, True, _PATIENCE)
                except DevClusterError as error:
                    problems.append(f"{trouble.__name__}: {error}")
    except (DevClusterError, Refused) as error:
        problems.append(f"{trouble.__name__} could not be made or undone: {error}")
    for alert, after in fired.items():
        try:
            cleared = prometheus.wait(alert, False, _PATIENCE)
        except DevClusterError as error:
            problems.append(f"{trouble.__name__}: {error}")
        else:
            print(f"{trouble.__name__:20} {alert:32} {after:9.1f} s {cleared:11.1f} s", flush=True)
    return problems
