"""``./run qa workunits``: the suites' scripts on the development cluster."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions
from qa.workload.comparing import compare_nothing
from qa.workunits.suites import PREPARING, SCRIPTS, SUITES, Workunit, jobs, workunits


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the scripts and print a table; 1 when one failed."""
    parser = argparse.ArgumentParser(prog="./run qa workunits", description=__doc__)
    parser.add_argument("--only", action="append", help="those with this text in their name")
    parser.add_argument("--dir", type=Path, help="a running cluster; otherwise one is made")
    args = parser.parse_args(argv)
    wanted = args.only or [""]
    chosen = [unit for unit in named_by_suites() if any(text in unit.name for text in wanted)]
    if not chosen:
        parser.error(f"no workunit has {' or '.join(wanted)} in its name")
    if args.dir:
        return _run_all(Cluster(args.dir), chosen)
    with (
        tempfile.TemporaryDirectory(prefix="rbd-workunits-") as folder,
        Cluster(Path(folder) / "cluster") as cluster,
    ):
        cluster.up(ClusterOptions(mgrs=2, conf=FAST_FAILOVER))
        compare_nothing(cluster)
        return _run_all(cluster, chosen)


def named_by_suites() -> "list[Workunit]":
    """Return what the jobs of all suites run, each once, without the steps that prepare a host."""
    found = (unit for job in jobs(SUITES) for unit in workunits(job))
    by_name = {unit.name: unit for unit in found if unit.script not in PREPARING}
    return list(by_name.values())


def _run_all(cluster: Cluster, units: Sequence[Workunit]) -> int:
    results = {}
    for unit in units:
        print(f"{unit.name} ...", file=sys.stderr)
        begun = time.monotonic()
        output, passed = run(cluster, unit)
        if not passed:
            print(output, file=sys.stderr)
        results[unit.name] = f"{'passed' if passed else 'failed'} {time.monotonic() - begun:6.1f} s"
    width = max(map(len, results))
    for name, result in results.items():
        print(f"{name:<{width}}  {result}")
    return int(any("failed" in result for result in results.values()))


def run(cluster: Cluster, unit: Workunit) -> "tuple[str, bool]":
    """Run one script; return its output, and whether it passed."""
    with (
        tempfile.TemporaryDirectory(prefix="rbd-workunit-") as folder,
        tempfile.TemporaryFile("w+", errors="replace") as output,
    ):
        process = subprocess.Popen(
            [str(SCRIPTS / unit.script)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**cluster.env, **unit.env},
            cwd=folder,
            start_new_session=True,
        )
        try:
            passed = process.wait(unit.timeout) == 0
        except subprocess.TimeoutExpired:
            passed = False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return output.read(), passed
