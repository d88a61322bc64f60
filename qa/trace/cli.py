"""The command line: ``./run qa trace``."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

from qa.bench.rig import SOURCE, TARGET, Report, Rig, rigged
from qa.devcluster import FAST_FAILOVER, SHIPPED_MONITORS, Cluster, ClusterOptions, DevClusterError
from qa.trace import processors, spans
from qa.workload.images import MIB
from qa.workload.tables import table
from rbdmigrate.trace import FOLDER

_PLAN = "trace"
_OVER = ("done", "stopped", "cancelled")


def main(argv: "Optional[Sequence[str]]" = None) -> int:
    """Run one plan and print the table; 1 if not all of its images were moved."""
    parser = argparse.ArgumentParser(prog="./run qa trace", description=__doc__)
    parser.add_argument("images", nargs="?", type=int, default=64, help="images of the plan")
    parser.add_argument("--size", type=int, default=16, metavar="MIB", help="of each, all data")
    parser.add_argument("--osds", type=int, default=3, metavar="N")
    parser.add_argument("--steps", type=int, metavar="N", help="max_steps, by default the module's")
    parser.add_argument("--copies", type=int, metavar="N", help="max_copies, likewise")
    parser.add_argument("--method", choices=("live", "warm"), default="live")
    parser.add_argument("--off", action="store_true", help="only the times, without spans")
    args = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="rbd-migration-trace-") as folder:
            traces = Path(folder) / "traces"
            traces.mkdir()
            if not args.off:
                os.environ[FOLDER] = str(traces)
            with Cluster(Path(folder) / "cluster") as cluster:
                conf = {**FAST_FAILOVER, **SHIPPED_MONITORS}
                cluster.up(ClusterOptions(mgrs=1, osds=args.osds, conf=conf))
                with rigged(cluster) as rig:
                    _limit(rig, max_steps=args.steps, max_copies=args.copies)
                    return _traced(rig, traces, args.images, args.size * MIB, args.method)
    except (DevClusterError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    finally:
        os.environ.pop(FOLDER, None)


def _limit(rig: Rig, **limits: "Optional[int]") -> None:
    given = {name: value for name, value in limits.items() if value is not None}
    if given:
        rig.ask("limit set", **given)


def _traced(rig: Rig, traces: Path, count: int, size: int, method: str) -> int:
    for number in range(count):
        rig.image(f"{SOURCE}/trace-{number}", size, size)
    plan = {
        "plan": _PLAN,
        "select": [{"pool": SOURCE, "name": "trace-*"}],
        "map": {"target_pool": TARGET},
        "waves": {"size": 10000},
        "policy": {"goal": "committed", "method": method},
    }
    rig.ceph("rbd migration plan create", data=json.dumps(plan))
    name = rig.cluster.active_mgr()
    assert name is not None
    with processors.measured(rig.cluster, rig.cluster.mgr_pid(name)) as used:
        begin = time.monotonic()
        rig.ask("plan start", plan=_PLAN)
        ended = rig.until(_over(rig), "the plan to end", every=0.2)
        seconds = time.monotonic() - begin
    done = ended["counts"]["done"]
    print(f"{done} of {count} images of {size // MIB} MiB moved in {seconds:.2f} s")
    print("; ".join(f"{who} {amount:.1f} core-seconds" for who, amount in used.items()))
    found = [span for span in spans.read(traces) if span.begin >= begin]
    if found:
        begun = [span.end for span in found if span.what == "begin"]
        print(f"all begun after {max(begun) - begin:.2f} s\n\n{_table(found, count)}")
    return 0 if done == count else 1


def _over(rig: Rig) -> "Callable[[], Optional[Report]]":
    def there() -> "Optional[Report]":
        """Ask for the plan without its items, which costs the manager next to nothing."""
        listed = next(plan for plan in rig.ask("plan ls") if plan["name"] == _PLAN)
        shown: Report = listed if listed["state"] in _OVER else {}
        return shown or None

    return there


def _table(found: "list[spans.Span]", count: int) -> str:
    head = ["WHAT", "OF", "TIMES", "EACH ms", "LONGEST ms", "SUM s", "CPU s"]
    rows = [
        [each.what, each.act, each.count, f"{1000 * each.seconds / each.count:.1f}",
         f"{1000 * each.longest:.0f}", f"{each.seconds:.2f}", f"{each.used:.2f}"]
        for each in spans.summed([*found, *spans.waits(found)])
    ]  # fmt: skip
    return table(head, rows, left=["OF"])
