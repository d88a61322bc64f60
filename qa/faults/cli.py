"""The command line: ``./run qa faults``."""

import argparse
import contextlib
import fnmatch
import random
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from qa.devcluster import (
    FAST_FAILOVER,
    Cluster,
    ClusterOptions,
    DevClusterError,
    interrupt_on_signals,
)
from qa.devcluster.layout import REPOSITORY
from qa.faults import aftermath, failover, hooks, midcall, sabotage, sweep, warm
from qa.faults.bench import Bench, benched, reset
from qa.faults.cases import Case
from qa.faults.results import FAILED, Result, summary, write_json
from qa.faults.sampling import sample
from qa.faults.sends import cases as sends
from qa.faults.sends import doubles
from qa.faults.sends.engine import laboratory
from qa.workload.comparing import compare_nothing


def main(argv: Optional["list[str]"] = None) -> int:
    """Run the cases; the exit code is 1 when one failed."""
    args = _parser().parse_args(argv)
    interrupt_on_signals()
    chosen = choose(args.quick, args.only)
    if args.list:
        print("\n".join(case.name for case in chosen))
        return 0
    results: list[Result] = []
    seed = random.randrange(10**6) if args.seed is None else args.seed
    try:
        with _cluster(args) as cluster, benched(cluster) as bench:
            cases: Iterable[Case] = chosen
            if args.minutes is not None:
                print(f"Random cases for {args.minutes:g} minutes, --seed {seed}", flush=True)
                cases = sample(chosen, 60 * args.minutes, random.Random(seed))
            for result in run_all(bench, cases):
                results.append(result)
                print(result.line(), flush=True)
    except (DevClusterError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    finally:
        if args.json:
            write_json(args.json, results)
    print(summary(results))
    left = len(chosen) + 1 - len(results)  # the checks at the end have a result, too
    if left:
        print(f"{left} of {len(chosen)} cases were not run: the time was up")
    return 1 if any(result.verdict == FAILED for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run qa faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cases that stand for all")
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        action="append",
        help="cases whose name has this in it (glob; may be repeated)",
    )
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="random cases, and begin none after M minutes"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="choose them as the run with N did")
    parser.add_argument("--list", action="store_true", help="print the cases' names, run none")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    parser.add_argument(
        "--dir",
        default=str(REPOSITORY / ".cluster-faults"),
        help="folder of the cluster; one that is there is used and left running",
    )
    return parser


def choose(quick: bool, only: Optional["list[str]"] = None) -> "list[Case]":
    """Return the cases that match the options."""
    modules = (sabotage, sweep, warm, hooks, midcall, failover, sends, doubles)
    found = [case for module in modules for case in module.cases()]
    if quick:
        found = [case for case in found if case.quick]
    if only:
        found = [
            case for case in found if any(fnmatch.fnmatch(case.name, f"*{each}*") for each in only)
        ]
    return found


@contextlib.contextmanager
def _cluster(args: argparse.Namespace) -> Iterator[Cluster]:
    cluster = Cluster(args.dir)
    if cluster.exists():
        yield cluster
        return
    cluster.up(ClusterOptions(mgrs=2, conf=FAST_FAILOVER))
    compare_nothing(cluster)
    try:
        yield cluster
    finally:
        if args.keep:
            print(f"The cluster is left running in {args.dir}.")
        else:
            cluster.down()


def run_all(bench: Bench, cases: Iterable[Case]) -> Iterator[Result]:
    """Run the cases one after another, and clean up after one that fails."""
    with contextlib.ExitStack() as stack:
        in_laboratory = False
        for case in cases:
            if case.laboratory is not in_laboratory:
                stack.close()
                in_laboratory = case.laboratory
                if in_laboratory:
                    stack.enter_context(laboratory(bench))
            result = run_one(bench, case)
            yield result
            if result.verdict == FAILED:
                stack.close()
                in_laboratory = False
                reset(bench)
    yield aftermath.look(bench)


def run_one(bench: Bench, case: Case) -> Result:
    """Run a case; an exception counts as a failure."""
    begun = time.monotonic()
    try:
        return case.run(bench, case.name)
    except Exception as error:
        trace = traceback.format_exc(limit=-3)
        result = Result(case.name, seconds=time.monotonic() - begun)
        result.findings.append(f"the case broke off: {type(error).__name__}: {error}\n{trace}")
        return result
