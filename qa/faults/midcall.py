"""Workers of the real manager, killed in the middle of an act, each time a little later.

When the record shows that an act has begun, its worker is killed after a delay that grows from case
to case; then the objects are read to see what it left behind. ``sends`` is more exact, but there
the engine does not run in a manager.
"""

import signal
import time
from collections import Counter
from typing import Callable, Optional

from qa.devcluster.processes import send_signal
from qa.faults import journey, managers, phantoms, records
from qa.faults.bench import Bench
from qa.faults.cases import Case
from qa.faults.images import VARIANTS, Sample, make_sample, removed_at_end
from qa.faults.results import Result
from qa.faults.sends import signature
from rbdmigrate.model.migration import Migration
from rbdmigrate.model.states import State

_DELAYS = {  # seconds: to, step
    "prepare": (0.36, 0.03),
    "execute": (0.06, 0.015),
    "commit": (0.15, 0.015),
    "abort": (0.15, 0.015),
}
_KINDS = ("pool", "in-place", "namespace", "clone")


def cases() -> "list[Case]":
    """Return one case per act, each with many deaths."""
    return [Case(f"mid-call: {act} in the manager's worker", _runner(act)) for act in _DELAYS]


def _runner(act: str) -> Callable[[Bench, str], Result]:
    def run(bench: Bench, name: str) -> Result:
        managers.wait_for_all(bench.cluster)
        result = Result(name, reached=False)
        met: Counter[str] = Counter()
        until, step = _DELAYS[act]
        for number in range(int(until / step) + 1):
            kind = _KINDS[number % len(_KINDS)]
            found = _death(bench, result, act, kind, number * step)
            if found:
                met[found] += 1
                result.reached = True
            if result.findings:
                break
        classes = " ".join(f"{each}:{count}" for each, count in sorted(met.items()))
        result.met = "; ".join(filter(None, [classes, result.met]))
        return result

    return run


def _death(bench: Bench, result: Result, act: str, kind: str, delay: float) -> str:
    """Kill a worker and return the class of what it left behind, empty if it was not running."""
    sample = make_sample(bench, VARIANTS[kind])
    aborting = act == "abort"
    with removed_at_end(bench, sample):
        if aborting:
            journey.bring_to(bench, [sample], State.PREPARED)
            thread = journey.abort(bench, sample)
        else:
            thread = journey.begin(bench, sample, "committed")
        migration = _at_it(bench, sample, act)
        killed, found = False, ""
        if migration is not None and migration.intent is not None:
            time.sleep(delay)
            killed = _kill_worker(bench, migration.intent.actor.pid)
            found = signature.classify(act, *signature.look(bench, sample))
        begun = time.monotonic()
        journey.wait(lambda: journey.ended(bench, [sample]), phantoms.EXPIRY)
        result.seconds = max(result.seconds, time.monotonic() - begun)
        one = Result("")
        journey.reach(bench, [sample], one, State.ABORTED if aborting else State.COMMITTED)
        where = f"{kind} after {delay * 1000:.0f} ms ({found})"
        result.findings += [f"{where}: {text}" for text in one.findings]
        result.met = "; ".join(filter(None, [result.met, one.met]))
        thread.join(20)
    return found if killed else ""


def _at_it(bench: Bench, sample: Sample, act: str) -> Optional[Migration]:
    """Return the record when the act has just begun."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        migration = records.record_of(bench, sample)
        intent = migration.intent if migration is not None else None
        if intent is not None and intent.act.value == act:
            return migration
        if migration is None and records.history(bench, sample):
            return None
    return None


def _kill_worker(bench: Bench, pid: int) -> bool:
    for process, _ in managers.workers(bench.cluster):
        if process.pid == pid:
            return send_signal(process, signal.SIGKILL)
    return False
