"""The command line: ``./run qa imports``."""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Optional

import rados

from qa.devcluster import Cluster, given_or_new
from qa.workload.module_options import module_options
from qa.workload.web_server import WebServer

from .kinds import KINDS
from .outcome import BAD, Outcome, Trial, exit_code, table
from .trial import Rig, try_source

_AT_ONCE = 4


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Import the sources; 0 if every one was right, or was refused as it should be."""
    parser = argparse.ArgumentParser(prog="./run qa imports", description=__doc__)
    parser.add_argument("--count", type=int, default=120, help="how many sources (default: 120)")
    parser.add_argument("--seed", type=int, default=1, help="of the first source (default: 1)")
    parser.add_argument("--kind", choices=list(KINDS), help="only this kind (default: in turn)")
    parser.add_argument("--verbose", action="store_true", help="print what came of each source")
    parser.add_argument("--dir", type=Path, help="a running cluster; otherwise one is made")
    options = parser.parse_args(argv)
    chosen = [options.kind] if options.kind else list(KINDS)
    seeds = range(options.seed, options.seed + options.count)
    with given_or_new(options.dir, "imports") as cluster, cluster.connect() as client:
        trials = []
        for trial in import_all(cluster, client, [(chosen[s % len(chosen)], s) for s in seeds]):
            trials.append(trial)
            if options.verbose or trial.outcome in (*BAD, Outcome.NO_REMEDY):
                print(shown(trial), flush=True)
    order = list(KINDS)
    print(table(sorted(trials, key=lambda trial: order.index(trial.kind))))
    return exit_code(trials)


def shown(trial: Trial) -> str:
    """Return a line about one source."""
    return f"--seed {trial.seed}, {trial.kind}: {trial.outcome.value}: {trial.detail}"


def import_all(
    cluster: Cluster, client: rados.Rados, sources: "Sequence[tuple[str, int]]"
) -> Iterator[Trial]:
    """Import sources, given by kind and seed, some at the same time; yield them in their order."""
    pool = cluster.create_pool(f"imports-{time.time_ns()}")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="rbd-migration-sources-") as folder,
            WebServer(Path(folder)) as web,
            module_options(cluster, import_folders=folder),
        ):
            time.sleep(1)  # the option reaches the manager
            rig = Rig(cluster.layout.root, client, pool, Path(folder), web)
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                yield from threads.map(lambda source: try_source(rig, *source), sources)
    finally:
        cluster.delete_pool(pool)
