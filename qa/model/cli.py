"""The command line: ``./run qa model``."""

import argparse
import contextlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import rados

from qa.devcluster import Cluster, given_or_new
from qa.workload.images import wipe

from .killed_worker import killed_worker
from .managed_worker import ManagedWorker
from .other_source import OtherSource
from .trial import Trial, Trimming, run_batch
from .warm_trial import Actor, WarmTrial, run_trial

_BATCH = 6  # images that migrate at the same time
_KILL = 0.8  # probability that a worker dies in an act, by the method warm


def main() -> int:
    """Run the trials; 0 if no image was wrong."""
    parser = argparse.ArgumentParser(prog="./run qa model", description=__doc__)
    parser.add_argument("--images", type=int, default=60, help="how many (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the first image (default: 1)")
    parser.add_argument("--dir", type=Path, help="a running cluster; otherwise one is made")
    parser.add_argument(
        "--trimming",
        choices=[how.value for how in Trimming],
        help="how OSDs trim removed snapshots (default: each in turn)",
    )
    parser.add_argument(
        "--warm",
        action="store_true",
        help="by the method warm, with a client at work and workers that are killed",
    )
    parser.add_argument(
        "--managers",
        action="store_true",
        help="with --warm: by requests to the managers, which are killed too",
    )
    parser.add_argument(
        "--other-cluster",
        action="store_true",
        help="with --warm: the sources are in a cluster of their own",
    )
    options = parser.parse_args()
    if options.other_cluster and not options.warm:
        parser.error("--other-cluster goes with --warm")
    osds, mgrs = 3 if options.warm else 1, 2 if options.managers else 1
    with given_or_new(options.dir, "model", osds, mgrs) as cluster:
        return _warm(cluster, options) if options.warm else _on(cluster, options)


def _warm(cluster: Cluster, options: argparse.Namespace) -> int:
    pools = (f"warm-from-{int(time.time())}", f"warm-to-{int(time.time())}")
    done: list[WarmTrial] = []
    for pool in pools:
        cluster.create_pool(pool)
    data = f"warm-data-{int(time.time())}"
    erasure = len(cluster.blueprint.osds) >= 3
    cluster.create_pool(data, pool_type="erasure" if erasure else "replicated")
    try:
        with (
            cluster.connect() as client,
            _other(options.other_cluster, pools[0], data) as other,
            _actor(cluster, client, options.managers) as worker,
        ):
            for seed in range(options.seed, options.seed + options.images):
                trial = run_trial(client, pools, worker, seed, _KILL, data, other)
                done.append(trial)
                print(
                    f"seed {seed}: {trial.kind}, {trial.end or 'not ended'}, {trial.kills} kills",
                    flush=True,
                )
                if trial.wrong:
                    print(f"  WRONG: {'; '.join(trial.wrong)} ({trial.about})", flush=True)
                if not wipe(client, pools) or (other and not wipe(other.client, pools[:1])):
                    break
    finally:
        for pool in (*pools, data):
            cluster.delete_pool(pool)
    _warm_summary(done)
    return 1 if any(trial.wrong for trial in done) else 0


@contextlib.contextmanager
def _other(wanted: bool, pool: str, data: str) -> "Iterator[Optional[OtherSource]]":
    """A cluster for the sources, with these pools."""
    if not wanted:
        yield None
        return
    with given_or_new(None, "model-other", 3, 1) as made, made.connect() as client:
        made.create_pool(pool)
        made.create_pool(data, pool_type="erasure")
        pools = f"{pool}, profile rbd pool={data}"
        yield OtherSource.of(made, client, "client.move", pools)


@contextlib.contextmanager
def _actor(cluster: Cluster, client: rados.Rados, managers: bool) -> "Iterator[Actor]":
    """Who does the acts."""
    if not managers:
        with killed_worker(client, cluster.conf) as worker:
            yield worker
        return
    actor = ManagedWorker(cluster, client)
    try:
        yield actor
    finally:
        actor.close()


def _warm_summary(done: "list[WarmTrial]") -> None:
    print("kind, or end                images  kills  median pause  wrong")
    for what in sorted({t.kind for t in done}) + sorted({t.end or "not ended" for t in done}):
        trials = [t for t in done if what in (t.kind, t.end or "not ended")]
        pauses = [trial.pause for trial in trials if trial.pause is not None]
        pause = f"{statistics.median(pauses):10.2f} s" if pauses else f"{'-':>12}"
        print(
            f"{what:26}  {len(trials):6}  {sum(t.kills for t in trials):5}  {pause}  "
            f"{sum(bool(t.wrong) for t in trials):5}"
        )


def _on(cluster: Cluster, options: argparse.Namespace) -> int:
    pools = (f"model-from-{int(time.time())}", f"model-to-{int(time.time())}")
    hows = [Trimming(options.trimming)] if options.trimming else list(Trimming)
    done: list[tuple[Trimming, Trial]] = []
    for pool in pools:
        cluster.create_pool(pool)
    try:
        with cluster.connect() as client:
            for number in range(0, options.images, _BATCH):
                last = min(number + _BATCH, options.images)
                seeds = [options.seed + index for index in range(number, last)]
                how = hows[number // _BATCH % len(hows)]
                for trial in run_batch(cluster, client, pools, seeds, how):
                    done.append((how, trial))
                    if trial.wrong or trial.caught:
                        print(f"seed {trial.seed}, {how.value}: {_told(trial)}", flush=True)
                wipe(client, pools)
                print(f"{last} of {options.images} images", flush=True)
    finally:
        for pool in pools:
            cluster.delete_pool(pool)
    _summary(done, hows)
    return 1 if any(trial.wrong for _, trial in done) else 0


def _told(trial: Trial) -> str:
    found = "; ".join(trial.wrong) or "a verification found a difference, the source is right"
    return f"{found} ({trial.about}; verify {trial.verify})"


def _summary(done: "list[tuple[Trimming, Trial]]", hows: "list[Trimming]") -> None:
    print("trimming   images  newer removed  held  caught  committed  wrong")
    for how in hows:
        trials = [trial for each, trial in done if each is how]
        counts = (
            len(trials),
            sum(trial.model.removed_newer for trial in trials),
            sum(trial.held for trial in trials),
            sum(trial.caught for trial in trials),
            sum(trial.committed for trial in trials),
            sum(bool(trial.wrong) for trial in trials),
        )
        print(f"{how.value:9}  {counts[0]:6}  {counts[1]:13}  {counts[2]:4}  {counts[3]:6}  "
              f"{counts[4]:9}  {counts[5]:5}")  # fmt: skip
