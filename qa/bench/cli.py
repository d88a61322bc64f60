"""The command line: ``./run qa bench``."""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from qa.bench import catalogue
from qa.bench.result import Result
from qa.bench.rig import Rig, rigged
from qa.devcluster import FAST_FAILOVER, SHIPPED_MONITORS, Cluster, ClusterOptions, DevClusterError

_GIB = 1 << 30
_CONF = {**FAST_FAILOVER, **SHIPPED_MONITORS, "osd_memory_target": str(_GIB)}


def main(argv: Optional["list[str]"] = None) -> int:
    """Run the benchmarks; the exit code is 1 if one ended with an error."""
    args = _parser().parse_args(argv)
    try:
        chosen = catalogue.choose(args.names)
    except KeyError as error:
        known = ", ".join(each.name for each in catalogue.ALL)
        print(f"Error: there is no benchmark {error}; there are: {known}.", file=sys.stderr)
        return 2
    if args.list:
        print("\n".join(each.name for each in chosen))
        return 0
    found: dict[str, Any] = {"machine": {}, "benchmarks": {}, "broken": {}}
    try:
        with (
            _cluster(args, gateway=any(each.gateway for each in chosen)) as cluster,
            rigged(
                cluster, quick=args.quick, repeat=1 if args.quick else args.repeat, said=_say
            ) as rig,
        ):
            found["machine"] = machine(cluster)
            print(_introduction(found["machine"]), flush=True)
            for each in chosen:
                _run(rig, each, found)
    except (DevClusterError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    finally:
        if args.json:
            args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if found["broken"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run qa bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all without one")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once: no real figures")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="repetitions, in turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    parser.add_argument("--list", action="store_true", help="print the names, run none")
    parser.add_argument("--dir", type=Path, help="a running cluster, which is left running")
    return parser


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _cluster(args: argparse.Namespace, gateway: bool) -> Iterator[Cluster]:
    """Start two managers and three OSDs on files, and an object gateway if one is needed."""
    if args.dir:
        yield Cluster(args.dir)
        return
    folder = Path(tempfile.mkdtemp(prefix="rbd-migration-bench-"))
    try:
        with Cluster(folder / "cluster") as cluster:
            cluster.up(ClusterOptions(mgrs=2, osds=3, osd_size=8 * _GIB, rgw=gateway, conf=_CONF))
            yield cluster
    finally:
        folder.rmdir()


def machine(cluster: Cluster) -> "dict[str, Any]":
    """Describe the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "release": cluster.run(["ceph", "--version"]).stdout.split()[2],
        "cores": os.cpu_count(),
        "memory_gib": round(memory / _GIB),
        "osds": len(cluster.blueprint.osds),
        "load_before": round(os.getloadavg()[0], 1),
    }


def _introduction(machine: "dict[str, Any]") -> str:
    return (
        f"Ceph {machine['release']}, {machine['osds']} OSDs on files, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, all on one machine; load before: {machine['load_before']}"
    )


def _run(rig: Rig, each: catalogue.Benchmark, found: "dict[str, Any]") -> None:
    """Run one benchmark and print it; an error in it does not prevent the others from running."""
    begin = time.monotonic()
    try:
        result: Result = each.run(rig)
    except Exception as error:
        found["broken"][each.name] = f"{type(error).__name__}: {error}"
        print(f"\n{each.name} broke off: {error}\n{traceback.format_exc(limit=-4)}", flush=True)
        return
    result.seconds = time.monotonic() - begin
    found["benchmarks"][each.name] = result.to_plain()
    print(f"\n{result.text(each.name)}", flush=True)
