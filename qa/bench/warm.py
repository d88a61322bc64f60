"""The mover compared with ``rbd deep cp``, the pause of a cutover, and a worker's memory."""

import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import rbd

from qa.bench import stock
from qa.bench.result import Figure, Result, Row
from qa.bench.rig import Rig
from qa.bench.rounds import in_turn, timed
from qa.model.killed_worker import KilledWorker, killed_worker
from qa.workload.images import MIB, opened, place, split
from rbdmigrate.model.jobs import acts
from rbdmigrate.model.jobs.answers import CutOverDone, Prepared
from rbdmigrate.model.layout import LayoutOptions
from rbdmigrate.model.migration import Place
from rbdmigrate.model.verification import Verification, Verify

GIB = 1 << 30
TIB = 1 << 40
_DEEP_CP = "rbd deep cp"
_REST = 1.5  # seconds after which the monitors number a snapshot at once


def run(rig: Rig) -> Result:
    """Measure the acts of a worker that is connected already."""
    result = Result("the method warm: copies, the pause of a cutover, memory")
    with killed_worker(rig.client, rig.cluster.conf) as worker:
        _copies(rig, worker, result)
        _pauses(rig, worker, result)
        _aborts(rig, worker, result)
    with killed_worker(rig.client, rig.cluster.conf) as worker:
        _memory(rig, worker, result)
    return result


def _copies(rig: Rig, worker: KilledWorker, result: Result) -> None:
    dense, sparse = (16 * MIB, (GIB, 8 * MIB)) if rig.quick else (512 * MIB, (100 * GIB, 64 * MIB))
    for kind, (size, data), most in (("full", (dense, dense), 1.0), ("sparse", sparse, 1.2)):
        ways = {
            "ours": partial(_ours, rig, worker, size, data),
            _DEEP_CP: partial(_deep_cp, rig, size, data),
        }
        name = f"{size / GIB:g} GiB, {data // MIB} MiB of data: "
        medians = result.add(in_turn(ways, rig.repeat), before=name)
        ratio = medians["ours"] / medians[_DEEP_CP]
        rig.said(f"{name}{ratio:.2f} times {_DEEP_CP}")
        result.figures.append(Figure(f"{kind}: ours : {_DEEP_CP}", ratio, most=most))


def _ours(rig: Rig, worker: KilledWorker, size: int, data: int) -> float:
    with _prepared(rig, worker, size, data) as image:
        time.sleep(_REST)
        return timed(lambda: worker.run(image.ends, acts.Execute()))


def _deep_cp(rig: Rig, size: int, data: int) -> float:
    source, target = rig.pair()
    rig.image(source, size, data)
    seconds = timed(lambda: stock.rbd(rig, "--no-progress", "deep", "cp", source, target))
    rig.remove([source, target])
    return seconds


def _pauses(rig: Rig, worker: KilledWorker, result: Result) -> None:
    """Cutovers as by an agent, of images that their client closed a moment ago."""
    times = 2 if rig.quick else 10
    for what, size in (("256 MiB", 256 * MIB), ("1 TiB", TIB)):
        samples = [_pause(rig, worker, size) for _ in range(times)]
        row = Row(f"{what}, 64 MiB of data: the pause of an armed cutover", tuple(samples))
        rig.said(f"{row.what}: {row.median:.3f} s")
        result.rows.append(row)
        most = 0.15 if size < TIB else None
        result.figures.append(Figure(f"pause, {what}", row.median, "s", most=most))


def _pause(rig: Rig, worker: KilledWorker, size: int) -> float:
    with _prepared(rig, worker, size, 64 * MIB) as image:
        worker.run(image.ends, acts.Execute())
        worker.run(image.ends, acts.Arm())
        with opened(rig.client, image.source, read_only=False) as client:
            client.write(b"last" * 1024, 0)
        time.sleep(_REST)
        done = worker.run(image.ends, acts.CutOver(clients_wait=True))
        assert isinstance(done, CutOverDone)
        return done.pause


def _aborts(rig: Rig, worker: KilledWorker, result: Result) -> None:
    """The time of an abort after a cutover, while which no client may write.

    Clients wrote much since the cutover, and little since the reverse round.
    """
    much, little = (16, 4) if rig.quick else (256, 16)
    ways = {
        "without a reverse round": partial(_abort, rig, worker, much, little, refreshed=False),
        "after a reverse round": partial(_abort, rig, worker, much, little, refreshed=True),
    }
    name = f"abort after the cutover, {much} MiB written and then {little} MiB, "
    medians = result.add(in_turn(ways, rig.repeat), "s", before=name)
    ratio = medians["after a reverse round"] / medians["without a reverse round"]
    result.figures.append(Figure("abort after a reverse round : without", ratio))


def _abort(rig: Rig, worker: KilledWorker, much: int, little: int, *, refreshed: bool) -> float:
    with _prepared(rig, worker, GIB, 64 * MIB) as image:
        worker.run(image.ends, acts.Execute())
        done = worker.run(image.ends, acts.CutOver())
        assert isinstance(done, CutOverDone)
        _write(rig, image.target, 0, much)
        if refreshed:
            worker.run(image.ends, acts.ReverseRound(done.comparison_snapshot))
        _write(rig, image.target, much, little)
        time.sleep(_REST)
        return timed(lambda: worker.run(image.ends, acts.Abort(cut_over=True)))


def _write(rig: Rig, spec: str, first: int, count: int) -> None:
    """Write MiB number ``first`` and the next ones of an image."""
    with opened(rig.client, spec, read_only=False) as image:
        for number in range(first, first + count):
            image.write(random.Random(number).randbytes(MIB), number * MIB)


def _memory(rig: Rig, worker: KilledWorker, result: Result) -> None:
    size = TIB if rig.quick else 16 * TIB
    with _prepared(rig, worker, size, 64 * MIB) as image:
        worker.run(image.ends, acts.Execute())
        done = worker.run(image.ends, acts.CutOver())
        assert isinstance(done, CutOverDone)
        wanted = Verification(Verify.FULL, 1, 1.0, time.time())
        worker.run(image.ends, acts.Verify(wanted, comparison_snapshot=done.comparison_snapshot))
        peak = _peak(worker.pid)
    name = f"a worker's memory, {size // TIB} TiB, copied and compared"
    rig.said(f"{name}: {peak:.0f} MB")
    result.figures.append(Figure(name, peak, "MB", most=200.0))


def _peak(pid: int) -> float:
    """The most memory that a process had, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no VmHWM in the status of a process")


@dataclass(frozen=True)
class _Image:
    source: str
    target: str
    ends: acts.WarmEnds


@contextlib.contextmanager
def _prepared(rig: Rig, worker: KilledWorker, size: int, data: int) -> Iterator[_Image]:
    """A migration that is prepared, of which nothing is left after the block."""
    source, target = rig.pair()
    rig.image(source, size, data)
    places = []
    for spec in (source, target):
        with place(rig.client, spec) as ioctx:
            places.append(Place(split(spec)[0], "", split(spec)[2], ioctx.get_pool_id()))
    with opened(rig.client, source) as image:
        places[0] = replace(places[0], image_id=image.id())
    ends = acts.WarmEnds(f"{time.time_ns():x}"[-12:], places[0], places[1])
    made = worker.run(ends, acts.Prepare(LayoutOptions()))
    assert isinstance(made, Prepared)
    ends = replace(ends, target=replace(ends.target, image_id=made.target_id))
    yield _Image(source, target, ends)
    worker.run(ends, acts.Commit() if _named(rig, target) else acts.Abort())
    rig.remove([source, target])


def _named(rig: Rig, spec: str) -> bool:
    with place(rig.client, spec) as ioctx:
        return split(spec)[2] in rbd.RBD().list(ioctx)
