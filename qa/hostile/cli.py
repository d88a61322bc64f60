"""The command line: ``./run qa hostile``."""

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Optional

from qa.devcluster import given_or_new

from .manager import check_all, opened
from .trial import Bench, Found, random_seeds


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Try faults, names of other files, and random changes for some minutes; 0 if all is right."""
    parser = argparse.ArgumentParser(prog="./run qa hostile", description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=1.0, help="of random changes")
    parser.add_argument("--seed", type=int, help="try the file of this seed alone")
    parser.add_argument(
        "--manager",
        type=int,
        metavar="FILES",
        help="check this number by a manager alone",
    )
    parser.add_argument("--dir", type=Path, help="a running cluster for that; or one is made")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="rbd-migration-hostile-") as folder:
        bench = Bench(Path(folder))
        if options.manager is not None:
            return _told([("the manager", _by_manager(bench, options.manager, options.dir))])
        if options.seed is not None:
            seeds = [options.seed]
            files = chain(bench.fuzzed(seeds), bench.packed(seeds))
            return _told([("the seed", bench.read(files))])
        return _told(_all(bench, options.minutes))


def _all(bench: Bench, minutes: float) -> "Iterator[tuple[str, Found]]":
    """Two thirds of the minutes are for random changes, and one third for packed files."""
    random = bench.fuzzed(range(100)), bench.packed(range(60))
    named = chain(*random, bench.sampled(9), bench.several(), bench.bombs())
    yield "traced", bench.traced(named)
    yield "cut off", bench.read(bench.cut_off())
    yield "faults", bench.read(bench.sampled())
    yield "several faults", bench.read(bench.several())
    yield "bombs", bench.read(bench.bombs())
    seeds = random_seeds()
    yield "random", bench.read(bench.fuzzed(seeds), until=time.monotonic() + 40 * minutes)
    yield "packed", bench.read(bench.packed(seeds), until=time.monotonic() + 20 * minutes)


def _by_manager(bench: Bench, count: int, folder: Optional[Path]) -> Found:
    seeds = random_seeds()
    mixed = (file for pair in zip(bench.fuzzed(seeds), bench.packed(seeds)) for file in pair)
    files = islice(chain(bench.several(), bench.bombs(), mixed, bench.sampled(7)), count)
    with (
        given_or_new(folder, "hostile") as cluster,
        cluster.connect() as client,
        opened(cluster, bench.folder) as pool,
    ):
        return check_all(cluster, client, pool, files)


def _told(parts: "Iterable[tuple[str, Found]]") -> int:
    """Print each part when it ends."""
    wrong = False
    for name, found in parts:
        text = [f"{name}: {found.summary}", *(f"  {line}" for line in found.wrong)]
        print("\n".join(text), flush=True)
        wrong = wrong or bool(found.wrong)
    return int(wrong)
