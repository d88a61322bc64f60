"""The time until many small images are committed, with different numbers of parallel copies."""

from collections.abc import Mapping
from functools import partial
from typing import Callable

from qa.bench import stock
from qa.bench.copies import at_once
from qa.bench.result import Figure, Result
from qa.bench.rig import Rig
from qa.bench.rounds import in_turn, timed
from qa.workload.images import MIB

_SLOTS = (1, 4, 8)
SERIAL, TASK = "rbd migration, one after another", "ceph rbd task"

Move = Callable[[stock.Pairs], object]


def run(rig: Rig) -> Result:
    """Prepare, execute and commit all images."""
    count, size = (4, 4 * MIB) if rig.quick else (16, 16 * MIB)
    ours = {_ours(slots): partial(_migrate, rig, slots=slots) for slots in _SLOTS}
    result = Result(f"{count} images of {size // MIB} MiB, until all are committed")
    medians = result.add(moved_in_turn(rig, ours, count=count, size=size))
    for slots in _SLOTS:
        for peer, least in ((TASK, 5.0), (SERIAL, 2.5)):
            ratio = medians[peer] / medians[_ours(slots)]
            aim = least if slots == 4 else None
            result.figures.append(Figure(f"{peer} : {_ours(slots)}", ratio, least=aim))
    return result


def moved_in_turn(
    rig: Rig, ours: Mapping[str, Move], *, count: int, size: int
) -> dict[str, list[float]]:
    """Seconds until ``count`` full images of ``size`` bytes are moved: by ours and the stock tools.

    By the name of the variant, for each repetition.
    """
    variants: dict[str, Move] = {
        **ours,
        SERIAL: partial(stock.one_after_another, rig),
        TASK: partial(stock.tasks, rig),
    }

    def measure(name: str) -> float:
        pairs = [rig.pair() for _ in range(count)]
        for source, _ in pairs:
            rig.image(source, size, size)
        seconds = timed(lambda: variants[name](pairs))
        rig.said(f"{name}: {seconds:.2f} s")
        rig.remove([target for _, target in pairs])
        return seconds

    return in_turn({name: partial(measure, name) for name in variants}, rig.repeat)


def _ours(slots: int) -> str:
    return f"ours, {slots} slot{'s' if slots > 1 else ''}"


def _migrate(rig: Rig, pairs: stock.Pairs, slots: int) -> None:
    """Run one ``run`` for each image, then wait until the last migration has ended."""
    with at_once(rig, slots):
        for source, target in pairs:
            rig.ask("run", source_image=source, target_image=target, method="live")
        targets = {target for _, target in pairs}
        rig.until(
            lambda: not targets & {each["target"] for each in rig.ask("ls")},
            "all to be committed",
        )
