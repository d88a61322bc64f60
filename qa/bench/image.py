"""One big image, full or nearly empty: the module's copy, and the same with the stock tools."""

from functools import partial
from typing import Callable

from qa.bench import stock
from qa.bench.copies import copy, discard, prepared
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.bench.rounds import in_turn, timed
from qa.workload.images import MIB

GIB = 1 << 30
_EXECUTE = "rbd migration execute"
Measure = Callable[[int, int], float]


def run(rig: Rig) -> Result:
    """Measure the copy alone, without the steps before and after it."""
    dense, sparse = (16 * MIB, (GIB, 8 * MIB)) if rig.quick else (512 * MIB, (100 * GIB, 64 * MIB))
    result = Result("one image, from the start of the copy to its end")
    ways: dict[str, Measure] = {
        "ours": partial(_ours, rig),
        _EXECUTE: partial(_execute, rig),
        "rbd deep cp": partial(_deep_cp, rig),
        "qemu-img convert": partial(_qemu, rig),
    }
    for kind, (size, data), most in (("full", (dense, dense), 1.02), ("sparse", sparse, 1.02)):
        name = f"{size / GIB:g} GiB, {data // MIB} MiB of data"

        def measure(way: str, size: int = size, data: int = data) -> float:
            seconds = ways[way](size, data)
            rig.said(f"{way}, {size // MIB} MiB: {seconds:.2f} s")
            return seconds

        medians = result.add(
            in_turn({way: partial(measure, way) for way in ways}, rig.repeat), before=f"{name}: "
        )
        for way in list(ways)[1:]:
            result.figures.append(
                Figure(
                    f"{kind}: ours : {way}",
                    medians["ours"] / medians[way],
                    most=most if way == _EXECUTE else None,
                )
            )
    return result


def _ours(rig: Rig, size: int, data: int) -> float:
    target = prepared(rig, size, data)
    seconds = copy(rig, target)
    discard(rig, target)
    return seconds


def _with_source(rig: Rig, size: int, data: int, act: "Callable[[str, str], float]") -> float:
    source, target = rig.pair()
    rig.image(source, size, data)
    seconds = act(source, target)
    rig.remove([source, target])
    return seconds


def _execute(rig: Rig, size: int, data: int) -> float:
    def act(source: str, target: str) -> float:
        stock.rbd(rig, "migration", "prepare", source, target)
        seconds = timed(lambda: stock.execute(rig, target))
        stock.rbd(rig, "--no-progress", "migration", "commit", target)
        return seconds

    return _with_source(rig, size, data, act)


def _deep_cp(rig: Rig, size: int, data: int) -> float:
    return _with_source(
        rig,
        size,
        data,
        lambda source, target: timed(
            lambda: stock.rbd(rig, "--no-progress", "deep", "cp", source, target)
        ),
    )


def _qemu(rig: Rig, size: int, data: int) -> float:
    return _with_source(
        rig, size, data, lambda source, target: timed(lambda: stock.convert(rig, source, target))
    )
