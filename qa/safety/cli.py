"""The command line: ``./run qa safety``."""

from __future__ import annotations

import argparse
import importlib
import random
import re
import secrets
import sys
import time
from collections import Counter
from typing import Any, Optional

from ..devcluster.layout import REPOSITORY


def main(argv: Optional[list[str]] = None) -> int:
    """Run; returns the number of kinds of faults that were found."""
    parser = argparse.ArgumentParser(prog="./run qa safety", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="default: 10")
    parser.add_argument("--seed", type=int, help="of the first run; default: any")
    parser.add_argument("--runs", type=int, help="how many runs, whatever the time")
    parser.add_argument("--steps", type=int, default=24, help="of each run; default: 24")
    args = parser.parse_args(argv)
    sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY)]
    safety = importlib.import_module("tests.fakes.safety")
    seed = secrets.randbelow(1 << 30) if args.seed is None else args.seed
    end = time.monotonic() + 60 * args.minutes
    found: Counter[str] = Counter()
    runs = 0
    while runs < args.runs if args.runs else time.monotonic() < end:
        steps = safety.random_steps(random.Random(seed), args.steps)
        wrong = safety.outcome(seed, steps)
        if wrong:
            kind = _kind(wrong)
            found[kind] += 1
            if found[kind] == 1:
                _show(safety, seed, steps, kind)
        runs += 1
        seed += 1
    print(f"{runs} runs, the last one with --seed {seed - 1}")
    for kind, count in found.most_common():
        print(f"{count:6} {kind}")
    return len(found)


def _kind(wrong: str) -> str:
    """Return a text that is equal for similar faults: the first, without ids and numbers."""
    text = re.sub(r"\b[0-9a-f]{12,}\b", "ID", wrong.partition(";")[0])
    return re.sub(r"\d+(\.\d+)?", "N", text)[:160]


def _show(safety: Any, seed: int, steps: list[Any], kind: str) -> None:
    short = safety.shortest(seed, steps, lambda wrong: _kind(wrong) == kind)
    print(f"--seed {seed}: {safety.outcome(seed, short)[:2000]}")
    for step in short:
        print(f"    {step}")
    sys.stdout.flush()
