"""The command line: ``./run qa simulate``."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any, Optional

from ..devcluster.layout import REPOSITORY
from ..workload.tables import table


def main(argv: Optional[list[str]] = None) -> int:
    """Run all phases with this number of images, and print a table."""
    parser = argparse.ArgumentParser(prog="./run qa simulate", description=__doc__)
    parser.add_argument("images", type=int, nargs="?", default=1000, help="default: 1000")
    parser.add_argument(
        "--records", action="store_true", help="only the lists and rounds, with IMAGES records"
    )
    args = parser.parse_args(argv)
    sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY)]
    if args.records:
        for cost in importlib.import_module("tests.fakes.many_records").run(args.images):
            print(f"{cost.name}: {cost.median:.1f} ms, the first time {cost.first:.1f} ms")
        return 0
    many = importlib.import_module("tests.fakes.many")
    phases: list[Any] = []
    for phase in many.run(args.images):
        print(f"{phase.name}: {phase.seconds:.1f} s", file=sys.stderr, flush=True)
        phases.append(phase)
    print(shown(phases, args.images))
    return 0


def shown(phases: list[Any], images: int) -> str:
    """The phases with their CPU time, and for each image the RADOS operations and the memory."""
    head = [
        "PHASE", "MS IN ALL", "US EACH", "MANAGER READS", "MANAGER WRITES", "WORKER READS",
        "WORKER WRITES", "KiB MORE",
    ]  # fmt: skip
    rows = (
        [
            phase.name,
            f"{1000 * phase.seconds:.0f}",
            f"{1e6 * phase.seconds / images:.0f}",
            *(f"{count / images:.1f}" for count in phase.operations),
            f"{phase.memory / 1024 / images:.1f}",
        ]
        for phase in phases
    )
    return table(head, rows)
