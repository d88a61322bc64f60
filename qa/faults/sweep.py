"""Kills the active manager, or a worker, at each named point of the code."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Callable

from qa.faults import journey, managers, phantoms, records
from qa.faults.bench import Bench
from qa.faults.cases import Case
from qa.faults.images import VARIANTS, make_sample, removed_at_end, write_more
from qa.faults.results import Result
from rbdmigrate.model.states import ActKind, State

_HIT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Fault:
    """The ``nth`` pass of a named point with ``detail``; ``aborting``: during an abort.

    ``passes``: how often one migration passes it.
    """

    point: str
    detail: str
    nth: int
    aborting: "State | None" = None
    variants: "tuple[str, ...]" = ()
    passes: int = 1

    @property
    def in_manager(self) -> bool:
        """Whether the manager dies, not a worker."""
        return self.point.startswith(("store.", "hooks."))

    @property
    def short(self) -> str:
        """The case's name without its images."""
        way = f" from {self.aborting.value}" if self.aborting else ""
        detail = f" {self.detail}" if self.detail else ""
        return f"{self.point}{detail}{way} #{self.nth}"

    @property
    def name(self) -> str:
        """The case's name."""
        images = self.variants[0] if len(self.variants) == 1 else f"{len(self.variants)} images"
        return f"{self.short} {images}"


def cases() -> "list[Case]":
    """Return all faults at named points."""
    return [Case(f"point: {fault.name}", runner(fault), quick) for fault, quick in _faults()]


# The writes of a record on its way, by the state it then has, and how many there are of each:
# the intent of an act and its outcome are two; an end is written to the record and the history.
_FORTH = (
    ("queued", 1), ("preparing", 2), ("prepared", 1), ("executing", 2), ("executed", 1),
    ("committing", 2), ("committed", 2),
)  # fmt: skip
_BACK = (("aborting", 2), ("aborted", 2))
_SINGLE = ("pool", "in-place", "namespace", "clone")
_QUICK = {
    "store.write.before queued #1",
    "store.write.after preparing #1",
    "store.write.after executing #2",
    "store.write.before committed #2",
    "store.remove.before from prepared #1",
    "librbd.after prepare #1",
    "librbd.before commit #1",
}


def _faults() -> Iterator["tuple[Fault, bool]"]:
    for number, fault in enumerate([*_manager_faults(), *_worker_faults()]):
        if number % 4 == 3:
            crowd = replace(fault, variants=_SINGLE)
            if fault.in_manager:  # at the pass of the third migration
                crowd = replace(crowd, nth=fault.nth + 2 * fault.passes)
            yield crowd, fault.short in _QUICK
        else:
            variants = (_SINGLE[(number + number // 4) % len(_SINGLE)],)
            yield replace(fault, variants=variants), fault.short in _QUICK


def _manager_faults() -> Iterator[Fault]:
    for moment in ("before", "after"):
        for state, writes in _FORTH:
            for nth in range(1, writes + 1):
                yield Fault(f"store.write.{moment}", state, nth, passes=writes)
        yield Fault(f"store.remove.{moment}", "", 1)
        for begin in (State.PREPARED, State.EXECUTED):
            yield Fault(f"store.write.{moment}", begin.value, 1, begin)  # the request to abort
            for state, writes in _BACK:
                for nth in range(1, writes + 1):
                    yield Fault(f"store.write.{moment}", state, nth, begin, passes=writes)
            yield Fault(f"store.remove.{moment}", "", 1, begin)


def _worker_faults() -> Iterator[Fault]:
    for where in ("worker.before", "librbd.before", "librbd.after", "worker.after"):
        for act in (ActKind.PREPARE, ActKind.EXECUTE, ActKind.COMMIT):
            yield Fault(where, act.value, 1)
        for begin in (State.PREPARED, State.EXECUTED):
            yield Fault(where, ActKind.ABORT.value, 1, begin)


def runner(fault: Fault) -> Callable[[Bench, str], Result]:
    """Return what a case of this fault does."""
    return lambda bench, name: run(bench, name, fault)


def arm(bench: Bench, fault: Fault) -> str:
    """Arm a point and return its file, which vanishes when the point is hit."""
    path = bench.cluster.faults / fault.point
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{fault.nth} {fault.detail}".rstrip(), encoding="ascii")
    os.replace(fresh, path)  # never read incomplete
    return str(path)


def run(bench: Bench, name: str, fault: Fault) -> Result:
    """Start the migrations, let the point kill, wait for the goal, check."""
    managers.wait_for_all(bench.cluster)
    samples = [make_sample(bench, VARIANTS[variant]) for variant in fault.variants]
    with contextlib.ExitStack() as stack:
        for sample in samples:
            stack.enter_context(removed_at_end(bench, sample))
        if fault.aborting:
            journey.bring_to(bench, samples, fault.aborting)
        if fault.aborting is State.CUT_OVER:
            samples = [write_more(bench, sample, sample.target) for sample in samples]
        victim = managers.active_pid(bench.cluster)
        path = arm(bench, fault)
        begun = time.monotonic()
        if fault.aborting:
            threads = [journey.abort(bench, sample) for sample in samples]
        else:
            threads = [journey.begin(bench, sample, "committed") for sample in samples]
        journey.wait(
            lambda: not os.path.exists(path) or journey.ended(bench, samples), _HIT_TIMEOUT
        )
        result = Result(name, reached=not os.path.exists(path))
        if result.reached:
            result.met = records.situations(bench, samples)
            begun = time.monotonic()
        else:
            os.remove(path)
        if fault.in_manager and result.reached:
            if not journey.wait(lambda: bool(managers.start_dead(bench.cluster)), 5):
                result.findings.append("no manager has died")
            elif managers.lives(bench.cluster, victim):
                result.findings.append(f"it was not the active manager, pid {victim}, that died")
        if journey.wait(lambda: journey.ended(bench, samples), phantoms.EXPIRY):
            result.seconds = time.monotonic() - begun
        wanted = State.ABORTED if fault.aborting else State.COMMITTED
        journey.reach(bench, samples, result, wanted)
        result.seconds = result.seconds or time.monotonic() - begun
        result.findings += managers.lasting_stray_workers(bench.cluster)
        if result.findings:
            journey.clean_up(bench, samples)
        for thread in threads:
            thread.join(20)
    return result
