"""The soak run's command line and its summary."""

import argparse
import random
import tempfile
import threading
import time
import traceback
from pathlib import Path

from qa.devcluster import FAST_FAILOVER, Cluster, ClusterOptions
from qa.workload import images
from qa.workload.comparing import compare_nothing

from .chaos import Chaos, managers_of, workers_of
from .hook import SoakHook
from .traveller import POOLS, Traveller

_DRIVERS = 4


def main() -> int:
    """Run; 0 when nothing was lost."""
    parser = argparse.ArgumentParser(prog="./run qa soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="how long (default: 15)")
    parser.add_argument("--images", type=int, default=20, help="how many images (default: 20)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="to repeat a run")
    parser.add_argument("--keep", action="store_true", help="leave the cluster up")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.images} images, {options.minutes:g} minutes", flush=True)
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="rbd-migration-soak-")) / "cluster")
    try:
        cluster.up(ClusterOptions(mgrs=2, conf=FAST_FAILOVER))
        compare_nothing(cluster)
        for pool in POOLS:
            cluster.create_pool(pool)
        return soak(cluster, options.images, options.minutes * 60, options.seed)
    finally:
        if options.keep:
            print(f"the cluster is up in {cluster.layout.root}")
        else:
            cluster.down()
            cluster.layout.root.parent.rmdir()


def soak(cluster: Cluster, count: int, seconds: float, seed: int) -> int:
    """Move ``count`` images for ``seconds`` on a running cluster."""
    chance = random.Random(seed)
    with cluster.connect() as client:
        hook = SoakHook(cluster, random.Random(chance.random()))
        travellers = [
            Traveller(cluster, client, hook, f"image{n}", random.Random(chance.random()))
            for n in range(count)
        ]
        chaos = Chaos(cluster, random.Random(chance.random()))
        chaos.start()
        begin = time.monotonic()
        try:
            problems = _drive(travellers, chance, begin + seconds)
        finally:
            chaos.stop()
        ended = not problems
        if ended:
            problems = _each(travellers, Traveller.finish)
        for traveller in travellers:
            traveller.close()
        problems += [chaos.error] if chaos.error else []
        problems += hook.close()
        problems += _leftovers(cluster, client) if ended else _crashes(cluster)
    return _summary(travellers, {**chaos.done, **hook.answered}, problems, time.monotonic() - begin)


def _drive(travellers: "list[Traveller]", chance: random.Random, until: float) -> "list[str]":
    """Do random steps until time is up or something is lost."""
    problems: list[str] = []
    free = list(travellers)
    lock = threading.Lock()

    def drive() -> None:
        while time.monotonic() < until and not problems:
            with lock:
                traveller = free.pop(chance.randrange(len(free)))
            try:
                traveller.step()
            except Exception as error:
                problems.append(_problem(traveller, error))
            with lock:
                free.append(traveller)

    drivers = [threading.Thread(target=drive) for _ in range(min(_DRIVERS, len(travellers)))]
    for driver in drivers:
        driver.start()
    while any(driver.is_alive() for driver in drivers):
        verified = sum(traveller.verified for traveller in travellers)
        left = max(0, until - time.monotonic())
        print(f"{left:5.0f} s left, {verified} times compared, nothing lost", flush=True)
        for driver in drivers:
            driver.join(30 / len(drivers))
    return problems


def _each(travellers: "list[Traveller]", act: "object") -> "list[str]":
    problems = []
    for traveller in travellers:
        try:
            act(traveller)  # type: ignore[operator]
        except Exception as error:
            problems.append(_problem(traveller, error))
    return problems


def _problem(traveller: Traveller, error: Exception) -> str:
    """Describe an error, where it happened, and what is there now."""
    where = " < ".join(
        f"{f.name}:{f.lineno}" for f in reversed(traceback.extract_tb(error.__traceback__))
    )
    said = f"{traveller.name}: {type(error).__name__}: {error} ({where})"
    return f"{said}\n{traveller.evidence()}"


def _leftovers(cluster: Cluster, client: "object") -> "list[str]":
    """Describe crashes, and what must not exist when no migration is under way."""
    found = []
    for pool in POOLS:
        found += [f"left in the trash of {pool}: {key}" for key in images.trash(client, pool)]
        found += [f"left of a record in {pool}: {key}" for key in images.records(client, pool)]
    found += _crashes(cluster)
    if len(workers_of(cluster)) > 8 * len(managers_of(cluster)):
        found.append("too many workers are left")
    return found


def _crashes(cluster: Cluster) -> "list[str]":
    return [f"crash dump: {crash['crash_id']}" for crash in cluster.ceph_json("crash", "ls")]


def _summary(
    travellers: "list[Traveller]", done: "dict[str, int]", problems: "list[str]", seconds: float
) -> int:
    totals = dict(done)
    for traveller in travellers:
        for what, times in traveller.done.items():
            totals[what] = totals.get(what, 0) + times
    print(f"\n{seconds:.0f} s, {sum(t.verified for t in travellers)} comparisons of whole images")
    for what, times in sorted(totals.items()):
        print(f"  {what:<14} {times}")
    for problem in problems:
        print(f"PROBLEM {problem}")
    print(f"{len(problems)} problems" if problems else "nothing was lost")
    return 1 if problems else 0
