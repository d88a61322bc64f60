"""Batches of random images, migrated to their commit and compared with their models."""

import contextlib
import enum
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from errno import EBADMSG

import rados
import rbd

from qa.devcluster import Cluster
from qa.workload.asking import ask
from qa.workload.images import FEATURES, KIB, opened, place, split

from .operations import Model, differences, operate

_DEFAULT = ("layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten")
_FEATURES = (_DEFAULT, _DEFAULT, ("layering", "exclusive-lock"), ("layering",))
_TIMEOUT = 180.0  # seconds for a migration, trimming included
_STOPPED = 6.0  # seconds for which OSDs do not trim, if trimming is stopped


class Trimming(enum.Enum):
    """How OSDs trim removed snapshots while a batch migrates."""

    NORMAL = "normal"
    SLOW = "slow"
    STOPPED = "stopped"


@dataclass
class Trial:
    """One image and its result. ``held``: it waited for the trimming.

    ``caught``: a verification found a difference. ``wrong``: differences between the model and a
    committed target, or the restored source.
    """

    seed: int
    source: str
    target: str
    model: Model
    about: str
    verify: str
    held: bool = False
    caught: bool = False
    committed: bool = False
    wrong: "list[str]" = field(default_factory=list)


@contextlib.contextmanager
def trimming(cluster: Cluster, how: Trimming) -> "Iterator[Callable[[], None]]":
    """Let OSDs trim in this way during the block; yield a function that ends it earlier."""

    def usual() -> None:
        cluster.ceph("osd", "unset", "nosnaptrim")
        cluster.ceph("config", "set", "osd", "osd_snap_trim_sleep_hdd", "0")

    usual()
    if how is Trimming.STOPPED:
        cluster.ceph("osd", "set", "nosnaptrim")
    elif how is Trimming.SLOW:
        cluster.ceph("config", "set", "osd", "osd_snap_trim_sleep_hdd", "1")
    try:
        yield usual
    finally:
        usual()


def run_batch(
    cluster: Cluster,
    client: rados.Rados,
    pools: "tuple[str, str]",
    seeds: "list[int]",
    how: Trimming,
) -> "list[Trial]":
    """Make an image for each seed, migrate all of them to their commits, and compare."""
    with trimming(cluster, how) as usual:
        trials = [_made(client, pools, seed) for seed in seeds]
        for trial in trials:
            ends = {"source_image": trial.source, "target_image": trial.target}
            ask(client, "run", **ends, verify=trial.verify, goal="committed", method="live")
        begun = time.monotonic()
        waiting = list(trials)
        while waiting:
            waiting = [trial for trial in waiting if not _over(client, trial)]
            if time.monotonic() - begun > _STOPPED:
                usual()
            if time.monotonic() - begun > _TIMEOUT:
                raise RuntimeError(f"{[t.target for t in waiting]} did not end in {_TIMEOUT:g} s")
            time.sleep(0.2)
    for trial in trials:
        with opened(client, trial.target if trial.committed else trial.source) as image:
            trial.wrong = differences(image, trial.model)
    return trials


def _made(client: rados.Rados, pools: "tuple[str, str]", seed: int) -> Trial:
    """Make a random image that equals the model."""
    chance = random.Random(seed)
    object_size = chance.choice([64, 128, 512, 1024]) * KIB
    size = object_size * chance.randrange(3, 9)
    features = chance.choice(_FEATURES)
    name, model = f"m{seed}", Model(bytearray(size))
    source = f"{pools[0]}/{name}"
    striped = {"stripe_unit": object_size // 4, "stripe_count": 3} if chance.random() < 0.2 else {}
    with place(client, source) as ioctx:
        rbd.RBD().create(
            ioctx,
            split(source)[2],
            size,
            order=object_size.bit_length() - 1,
            features=sum(FEATURES[feature] for feature in features),
            **striped,
        )
    with opened(client, source, read_only=False) as image:
        count = chance.randrange(8, 40)
        for _ in range(count):
            operate(image, model, chance, object_size)
        image.flush()
    with opened(client, source) as image:
        odd = differences(image, model)
    if odd:
        raise RuntimeError(f"seed {seed}: the source itself is not as in the model: {odd}")
    about = f"{count} operations, objects of {object_size // KIB} KiB, {' '.join(features)}"
    verify = chance.choice(["none", "none", "full"])
    return Trial(seed, source, f"{pools[1]}/{name}", model, about, verify)


def _over(client: rados.Rados, trial: Trial) -> bool:
    """Whether the migration has ended; one that differs is aborted."""
    report = ask(client, "status", target_image=trial.target)
    hold = report["hold"]
    trial.held |= hold is not None and "trimming removed snapshots" in hold["message"]
    if report["state"] == "failed":
        if report["failure"]["errno"] != EBADMSG:
            raise RuntimeError(f"seed {trial.seed}: {report['failure']['message']}")
        trial.caught = True
        ask(client, "abort", target_image=trial.target, force=True)
        return False
    trial.committed = report["state"] == "committed"
    return bool(report["ended"])
