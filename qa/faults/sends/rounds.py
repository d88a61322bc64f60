"""For each act, each kind of image and every n, a death at the n-th message."""

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field

from qa.faults import checks, journey, records
from qa.faults.bench import Bench
from qa.faults.images import VARIANTS, Sample, Variant, make_sample, removed_at_end
from qa.faults.sends import signature
from qa.faults.sends.engine import EngineGone, Laboratory
from rbdmigrate.model.states import State

HIT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Act:
    """An act of the engine: the state before it, and the request that starts it."""

    name: str
    before: "State | None" = None
    goal: str = "committed"
    call: str = "run"

    @property
    def wanted(self) -> State:
        """Return the state in which a migration ends after it."""
        return State.ABORTED if self.name == "abort" else State.COMMITTED


ACTS = (
    Act("prepare"),
    Act("execute", State.PREPARED, call="execute"),
    Act("commit", State.EXECUTED, call="commit"),
    Act("abort", State.PREPARED, call="abort"),
    Act("abort", State.EXECUTED, call="abort"),
)


@dataclass
class Tally:
    """The results of many deaths of one kind."""

    met: "Counter[str]" = field(default_factory=Counter)
    findings: "list[str]" = field(default_factory=list)
    kills: int = 0
    slowest: float = 0.0
    last: int = 0  # the number of messages of the whole act


def length(lab: Laboratory, act: Act, variant: Variant) -> int:
    """Return the number of messages of an act, counted without a death."""
    sample = make_sample(lab.bench, variant)
    with removed_at_end(lab.bench, sample):
        bring(lab, sample, act)
        path = lab.arm(act.name, sample, -1)
        counted = path.with_name(f"{path.name}.count")
        set_off(lab, sample, act)
        if not journey.wait(counted.exists, HIT_TIMEOUT):
            raise TimeoutError(f"{act.name} of {variant.name} did not happen")
        _finish(lab, sample, act)
        return int(counted.read_text(encoding="ascii"))


def die(lab: Laboratory, act: Act, variant: Variant, n: int, tally: Tally, both: bool) -> None:
    """Kill the worker alone, or with the engine (``both``), and start a new engine then."""
    bench = lab.bench
    sample = make_sample(bench, variant)
    title = f"{act.name} {variant.name} n={n}{' with the engine' if both else ''}"
    with removed_at_end(bench, sample):
        bring(lab, sample, act)
        path = lab.arm(act.name, sample, n, both=both)
        counted = path.with_name(f"{path.name}.count")
        engine = lab.engine
        with contextlib.suppress(EngineGone):
            set_off(lab, sample, act)
        if both:
            journey.wait(lambda: not engine.alive or counted.exists(), HIT_TIMEOUT, 0.005)
            hit = not engine.alive
            if hit:
                time.sleep(0.03)  # let messages sent before the death arrive
                found = signature.classify(act.name, *signature.look(bench, sample))
                tally.met[found] += 1
                title += f" {found}"
        else:
            journey.wait(lambda: not path.exists(), HIT_TIMEOUT, 0.005)
            hit = not path.exists()
        begun = time.monotonic()
        _ = lab.engine  # a new engine if the last has died
        findings = _finish(lab, sample, act)
        if hit and not counted.exists():
            tally.kills += 1
            tally.slowest = max(tally.slowest, time.monotonic() - begun)
        tally.findings += [f"{title}: {text}" for text in findings]


def bring(lab: Laboratory, sample: Sample, act: Act) -> None:
    """Bring the sample to the state in which the act begins."""
    if act.before is None:
        return
    answer = lab.engine.call("run", sample, act.before.value)
    if answer["errno"]:
        raise RuntimeError(f"{sample.name}: {answer['text']}")

    def there() -> bool:
        m = records.record_of(lab.bench, sample)
        return m is not None and m.state is act.before and m.intent is None

    lab.bench.cluster.wait_for(there, 30, f"{sample.name} to be {act.before.value}", 0.01)


def set_off(lab: Laboratory, sample: Sample, act: Act) -> None:
    """Request the act."""
    # With a clone a commit has to be forced, which "run" does not do.
    goal = "executed" if sample.variant.child else act.goal
    answer = lab.engine.call(act.call, sample, goal)
    if answer["errno"]:
        raise RuntimeError(f"{sample.name}: {answer['text']}")


def _finish(lab: Laboratory, sample: Sample, act: Act) -> "list[str]":
    """Let it reach its goal and return the problems."""
    if act.name == "execute" or (act.name == "prepare" and sample.variant.child):
        if act.name == "execute":
            lab.engine.call("execute", sample)
        wait_state(lab.bench, sample, State.EXECUTED)
        lab.engine.call("commit", sample)
    if not journey.wait(lambda: journey.ended(lab.bench, [sample]), 40, 0.01):
        return journey.tell(lab.bench, [sample])
    return wrong(lab, sample, act)


def wrong(lab: Laboratory, sample: Sample, act: Act) -> "list[str]":
    """Return the problems of a sample that has reached its goal after an act."""
    return checks.findings(lab.bench, [sample], act.wanted)


def wait_state(bench: Bench, sample: Sample, state: State) -> bool:
    """Wait until the sample's record is in ``state``."""

    def there() -> bool:
        migration = records.record_of(bench, sample)
        return migration is not None and migration.state is state and migration.intent is None

    return journey.wait(there, 30, 0.01)


def deaths(lab: Laboratory, act: Act, variant: Variant, step: int, first: int) -> Tally:
    """Die at every ``step``-th message, from the ``first``; every fourth time only the worker."""
    tally = Tally(last=length(lab, act, variant))
    for number, n in enumerate(range(first, tally.last + 1, step)):
        try:
            die(lab, act, variant, n, tally, both=number % 4 != 3)
        except Exception as error:
            tally.findings.append(
                f"{act.name} {variant.name} n={n}: {type(error).__name__}: {error}"
            )
        if tally.findings:
            break  # remains would affect the next one
    return tally


__all__ = ["ACTS", "VARIANTS", "Act", "Tally", "deaths"]
