"""Whether copies keep to a rate: counts the objects that arrive in 20 seconds."""

import time

from qa.bench.copies import arrived, at_once, discard, prepared, throttled
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.workload.images import MIB

_OBJECT = MIB  # small, so that counting objects is exact
_BEGIN = 2.0  # seconds from the start of the copies to the first count


def run(rig: Rig) -> Result:
    """Measure copies with 20, 50 and 100 MiB/s, one and four of them."""
    rates, span = ((20,), 2.0) if rig.quick else ((20, 50, 100), 20.0)
    result = Result(f"what arrives under a rate within {span:g} s")
    for rate in rates:
        for copies in (1, 4):
            samples = [_measure(rig, rate, copies, span) for _ in range(1)]
            name = f"{rate} MiB/s, {copies} cop{'y' if copies == 1 else 'ies'}"
            median = result.add({name: samples}, "MiB/s")[name]
            rig.said(f"{name}: {median:.2f} MiB/s")
            off = 100 * abs(median / rate - 1)
            result.figures.append(Figure(f"{name}: off by", off, "%", most=5.0))
    return result


def _measure(rig: Rig, rate: int, copies: int, span: float) -> float:
    """Return the MiB/s that arrived."""
    size = int(rate * (span + 2 * _BEGIN + 2)) // copies * MIB
    targets = [prepared(rig, size, object_size=_OBJECT) for _ in range(copies)]
    with at_once(rig, copies), throttled(rig, f"{rate}M"):
        for target in targets:
            rig.ask("execute", target_image=target)
        for target in targets:
            rig.wait(target, "executing")
        time.sleep(_BEGIN)
        begin, before = time.monotonic(), arrived(rig)
        time.sleep(span)
        end, after = time.monotonic(), arrived(rig)
    for target in targets:
        discard(rig, target)
    return (after - before) * _OBJECT / MIB / (end - begin)
