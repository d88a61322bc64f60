"""The effect of a rate on an image that is nearly empty: holes must not count."""

from functools import partial

from qa.bench.copies import copy, discard, prepared, throttled
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.bench.rounds import in_turn
from qa.workload.images import MIB

GIB = 1 << 30


def run(rig: Rig) -> Result:
    """Measure the same image with and without a rate of 50 MiB/s."""
    size, data = (GIB, 8 * MIB) if rig.quick else (100 * GIB, 64 * MIB)

    def measure(rate: str) -> float:
        target = prepared(rig, size, data)
        with throttled(rig, rate):
            seconds = copy(rig, target)
        discard(rig, target)
        rig.said(f"{rate}: {seconds:.2f} s")
        return seconds

    result = Result(f"an image of {size // GIB} GiB with {data // MIB} MiB of data")
    free, capped = "no limit", "50 MiB/s"
    medians = result.add(
        in_turn({free: partial(measure, "off"), capped: partial(measure, "50M")}, rig.repeat)
    )
    result.figures.append(Figure(f"{capped} : {free}", medians[capped] / medians[free], most=1.5))
    return result
