"""The time of a copy without a limit, alone and next to a copy with a low rate limit."""

import contextlib
from collections.abc import Iterator
from functools import partial

from qa.bench.copies import copy, discard, prepared
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.bench.rounds import in_turn
from qa.workload.images import MIB

_RATE = "8M"


def run(rig: Rig) -> Result:
    """Measure the time of the unlimited copy."""
    size = 16 * MIB if rig.quick else 512 * MIB

    def measure(*, limited_too: bool) -> float:
        target = prepared(rig, size)
        with _slow_copy(rig, size) if limited_too else contextlib.nullcontext():
            seconds = copy(rig, target)
        discard(rig, target)
        rig.said(f"{both if limited_too else alone}: {seconds:.2f} s")
        return seconds

    result = Result(f"a copy of {size // MIB} MiB without a limit")
    alone, both = "alone", f"next to a copy at {_RATE}iB/s"
    medians = result.add(
        in_turn(
            {alone: partial(measure, limited_too=False), both: partial(measure, limited_too=True)},
            rig.repeat,
        )
    )
    slower = 100 * (medians[both] / medians[alone] - 1)
    result.figures.append(Figure(f"slower {both}", slower, "%", most=10.0))
    return result


@contextlib.contextmanager
def _slow_copy(rig: Rig, size: int) -> Iterator[None]:
    """Run a slow copy during the block."""
    target = prepared(rig, size)
    rig.ask("set", target_image=target, rate=_RATE)
    rig.ask("execute", target_image=target)
    rig.until(lambda: rig.status(target)["bytes_copied"] > 0, "the slow copy to run")
    try:
        yield
    finally:
        discard(rig, target)
