"""Many small images by a plan: until all are moved, how soon they begin, how long a check takes.

How soon they begin is measured while nothing else may run, for otherwise the first steps take the
processors.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Optional

import rbd

from qa.bench import stock
from qa.bench.fleet import SERIAL, TASK, moved_in_turn
from qa.bench.result import Figure, Result
from qa.bench.rig import SOURCE, TARGET, Failed, Report, Rig
from qa.bench.rounds import timed
from qa.workload.images import MIB, place
from rbdmigrate.control.plans.waves import Phase

_PLAN = "bench"
_OURS = "a plan"
_WARM = "a plan, warm"  # the method that plans choose, and the comparison that it has


def run(rig: Rig) -> Result:
    """Move images, begin others, and check many."""
    count, size, many = (4, 4 * MIB, 8) if rig.quick else (64, 16 * MIB, 1000)
    result = Result(f"{count} images of {size // MIB} MiB by a plan, and a plan of {many}")
    ours = {
        _OURS: partial(_by_plan, rig, method="live", verify="none"),
        _WARM: partial(_by_plan, rig, method="warm", verify="full"),
    }
    medians = result.add(moved_in_turn(rig, ours, count=count, size=size))
    for peer, least in ((SERIAL, 2.5), (TASK, 8.0)):
        result.figures.append(
            Figure(f"{peer} : {_OURS}", medians[peer] / medians[_OURS], least=least)
        )
    result.figures.append(Figure(f"{SERIAL} : {_WARM}", medians[SERIAL] / medians[_WARM]))
    with _empty_images(rig, many) as pairs:
        seconds = timed(lambda: _check(rig, pairs))
        rig.said(f"check of {many}: {seconds:.2f} s")
        result.figures.append(Figure(f"check of {many} images", seconds, "s", most=many / 50))
        seconds = _begun(rig, pairs)
        rig.said(f"{many} begun: {seconds:.2f} s")
        result.figures.append(Figure("images begun", many / seconds, "per second", least=50.0))
    return result


@contextlib.contextmanager
def _plan(
    rig: Rig, pairs: stock.Pairs, *, method: str = "live", verify: str = "none"
) -> Iterator[None]:
    """A plan of these images within the block."""
    wanted = {
        "plan": _PLAN,
        "images": [{"source": source, "target": target} for source, target in pairs],
        "waves": {"size": 10_000},
        "policy": {"goal": "committed", "method": method, "verify": verify},
    }
    rig.ceph("rbd migration plan create", data=json.dumps(wanted))
    try:
        yield
    finally:
        rig.ask("plan rm", plan=_PLAN)


def _by_plan(rig: Rig, pairs: stock.Pairs, *, method: str, verify: str) -> None:
    """Move the images; :class:`Failed` if one is not moved."""
    with _plan(rig, pairs, method=method, verify=verify):
        rig.ask("plan start", plan=_PLAN)
        shown = rig.until(partial(_over, rig), "the plan to end", every=0.2)
        left = [item["source"] for item in shown["items"] if item["phase"] != "done"]
        if left:
            raise Failed(f"the plan ended without {', '.join(left)}")


def _over(rig: Rig) -> "Optional[Report]":
    """The plan with its items once it has ended."""
    if _listed(rig)["state"] not in ("done", "stopped", "cancelled"):
        return None
    shown: Report = rig.ask("plan show", plan=_PLAN)
    return shown


def _listed(rig: Rig) -> Report:
    """The plan without its items, which costs the manager next to nothing."""
    found: Report = next(each for each in rig.ask("plan ls") if each["name"] == _PLAN)
    return found


def _check(rig: Rig, pairs: stock.Pairs) -> None:
    with _plan(rig, pairs):
        rig.until(lambda: rig.ask("plan check", plan=_PLAN)["done"], "the check", every=0.2)


def _begun(rig: Rig, pairs: stock.Pairs) -> float:
    """Seconds until all images of a plan have begun, while no step may run."""
    rig.ask("limit set", max_steps=0)
    try:
        with _plan(rig, pairs):
            begin = time.monotonic()
            rig.ask("plan start", plan=_PLAN)
            running = Phase.RUNNING.value
            rig.until(lambda: _listed(rig)["counts"].get(running) == len(pairs), "all to begin")
            seconds = time.monotonic() - begin
            rig.ask("plan cancel", plan=_PLAN)
            rig.until(partial(_over, rig), "the plan to be cancelled", every=1.0)
        return seconds
    finally:
        rig.ask("limit set", max_steps=4)


@contextlib.contextmanager
def _empty_images(rig: Rig, count: int) -> Iterator["list[tuple[str, str]]"]:
    """So many images of 4 MiB without data."""
    pairs = [(f"{SOURCE}/empty-{number}", f"{TARGET}/empty-{number}") for number in range(count)]
    with place(rig.client, pairs[0][0]) as ioctx:
        for number in range(count):
            rbd.RBD().create(ioctx, f"empty-{number}", 4 * MIB)
    try:
        yield pairs
    finally:
        rig.remove([source for source, _ in pairs])
