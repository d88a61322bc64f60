"""Migrations from their commands to their end, shared by the cases."""

import contextlib
import threading
import time
from collections.abc import Iterable
from typing import Callable

from qa.faults import checks, managers, phantoms, records
from qa.faults.bench import Bench
from qa.faults.images import Sample, spec
from qa.faults.results import Result
from rbdmigrate.model.states import State

GOAL_TIMEOUT = 90.0  # seconds from the kill to the goal; a takeover is about 6 of them


def begin(bench: Bench, sample: Sample, goal: str) -> threading.Thread:
    """Request a migration without waiting for the answer."""
    where = {"force": True} if sample.variant.in_place else {"target_image": spec(sample.target)}
    return managers.command_in_background(
        bench,
        "run",
        source_image=spec(sample.source),
        goal=goal,
        method=sample.variant.method,
        verify=sample.variant.verify,
        **where,
        **_cutover(sample),
    )


def bring_to(bench: Bench, samples: "list[Sample]", state: State) -> None:
    """Bring all samples to a state in which they rest, without faults."""
    threads = [begin(bench, sample, state.value) for sample in samples]
    for thread in threads:
        thread.join()

    def there() -> bool:
        found = [records.record_of(bench, sample) for sample in samples]
        return all(m is not None and m.state is state and m.intent is None for m in found)

    bench.cluster.wait_for(there, GOAL_TIMEOUT, f"the samples to be {state.value}", 0.05)


def abort(bench: Bench, sample: Sample) -> threading.Thread:
    """Request an abort without waiting for the answer."""
    where = {"target_image": spec(sample.target)}
    return managers.command_in_background(bench, "abort", **where, **_cutover(sample))


def _cutover(sample: Sample) -> "dict[str, str]":
    mode = sample.variant.cutover
    return {} if mode == "refuse" else {"cutover": mode}


def ended(bench: Bench, samples: Iterable[Sample]) -> bool:
    """Whether all samples are in the history and none is under way."""
    return all(
        records.record_of(bench, sample) is None and records.history(bench, sample)
        for sample in samples
    )


def wait(done: Callable[[], bool], seconds: float, interval: float = 0.02) -> bool:
    """Wait until ``done()``; False on timeout."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def reach(bench: Bench, samples: "list[Sample]", result: Result, wanted: State) -> None:
    """Wait until all have reached their goal and check everything; findings go to ``result``.

    A phantom watcher is removed and noted, see ``phantoms``: it is not what is tested here.
    """
    healed: list[str] = []

    def done() -> bool:
        return ended(bench, samples)

    if not wait(done, phantoms.EXPIRY + 10):
        healed = phantoms.heal(bench, samples)
        if healed:
            for sample in samples:  # it would be retried automatically, but after a long wait
                with contextlib.suppress(managers.CommandRefused):
                    managers.command(bench, "retry", seconds=5, target_image=spec(sample.target))
        wait(done, GOAL_TIMEOUT)
    if done():
        found = checks.findings(bench, samples, wanted)
        if any(checks.OPEN in text for text in found):
            healed += phantoms.heal(bench, samples)
            found = checks.findings(bench, samples, wanted)
        result.findings += found
    else:
        result.findings += tell(bench, samples)
    result.met = "; ".join(filter(None, [result.met, *healed]))


def tell(bench: Bench, samples: Iterable[Sample]) -> "list[str]":
    """Describe the samples that did not reach their goal in time, and why."""
    found = []
    for sample in samples:
        migration = records.record_of(bench, sample)
        if migration is None and records.history(bench, sample):
            continue
        where = records.situations(bench, [sample])
        why = ""
        if migration is not None:
            hold = migration.hold.message if migration.hold else ""
            why = migration.failure.message if migration.failure else hold
        found.append(f"{spec(sample.source)} did not reach its goal in time: {where}. {why}")
    return found


def clean_up(bench: Bench, samples: Iterable[Sample]) -> None:
    """After a failure, abort everything under way, for the next case."""
    for sample in samples:
        if records.record_of(bench, sample) is not None:
            with contextlib.suppress(managers.CommandRefused):
                managers.command(
                    bench, "abort", seconds=5, target_image=spec(sample.target), force="true"
                )
