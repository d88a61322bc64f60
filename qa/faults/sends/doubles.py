"""Double faults: an act is interrupted, and then its repair is interrupted too, with the engine."""

import contextlib
from dataclasses import dataclass
from typing import Callable

from qa.faults import journey
from qa.faults.bench import Bench
from qa.faults.cases import Case
from qa.faults.images import VARIANTS, make_sample, removed_at_end
from qa.faults.results import Result
from qa.faults.sends import rounds, signature
from qa.faults.sends.engine import EngineGone, Laboratory
from qa.faults.sends.rounds import ACTS, Act

_KINDS = ("pool", "in-place", "clone", "journal")


@dataclass(frozen=True)
class Double:
    """An act, the sends before which it dies, the act that repairs it, and the state in between."""

    act: Act
    firsts: "tuple[int, ...]"
    repair: str
    state: str


_DOUBLES = (
    Double(ACTS[0], (60, 68, 75, 90), "undo_prepare", "preparing"),
    Double(ACTS[2], (54, 62, 90, 108), "finish_commit", "committing"),
    Double(ACTS[3], (52, 80, 110, 125), "abort", "aborting"),
)


def cases() -> "list[Case]":
    """Return one case for each act that can be left incomplete."""
    return [
        Case(
            f"double: {double.act.name} cut off, then its repair", _runner(double), laboratory=True
        )
        for double in _DOUBLES
    ]


def _runner(double: Double) -> Callable[[Bench, str], Result]:
    def run(bench: Bench, name: str) -> Result:
        result = Result(name, reached=False)
        if bench.lab is None:
            result.met = "there is no C compiler"
            return result
        hits, seconds = 0, _seconds(double)
        for number, second in enumerate(seconds):
            kind = _KINDS[number % len(_KINDS)]
            first = double.firsts[(number + number // len(_KINDS)) % len(double.firsts)]
            title = f"{kind} n={first}, then {second}"
            try:
                hit, findings = _die_twice(bench.lab, double, kind, first, second)
            except Exception as error:
                hit, findings = False, [f"{type(error).__name__}: {error}"]
            hits += hit
            result.findings += [f"{title}: {text}" for text in findings]
            if findings:
                break
        result.reached = hits > 0
        result.met = f"{hits} of {len(seconds)} hit twice"
        return result

    return run


def _seconds(double: Double) -> "list[str]":
    """Return where the repair dies: a named point, ``POINT NTH DETAIL``, or ``send N``."""
    points = [
        f"store.write.{moment} {nth} {double.state}"
        for moment in ("before", "after")
        for nth in (1, 2, 3)
    ]
    points += [
        f"{where} 1 {double.repair}"
        for where in ("worker.before", "librbd.before", "librbd.after", "worker.after")
    ]
    return points + [f"send {n}" for n in (5, 20, 50, 80, 110, 140)]


def _die_twice(
    lab: Laboratory, double: Double, kind: str, first: int, second: str
) -> "tuple[bool, list[str]]":
    """Whether the second fault happened, and the final problems."""
    bench, act = lab.bench, double.act
    sample = make_sample(bench, VARIANTS[kind])
    with removed_at_end(bench, sample):
        rounds.bring(lab, sample, act)
        lab.arm(act.name, sample, first, both=True)
        engine = lab.engine
        with contextlib.suppress(EngineGone):
            rounds.set_off(lab, sample, act)
        if not journey.wait(lambda: not engine.alive, rounds.HIT_TIMEOUT, 0.005):
            return False, [f"{act.name} did not die at send {first}"]
        left = signature.classify(act.name, *signature.look(bench, sample))
        word, _, rest = second.partition(" ")
        if word == "send":
            path = lab.arm(double.repair, sample, int(rest), both=True)
        else:
            path = bench.cluster.faults / word
            path.write_text(rest, encoding="ascii")

        def over() -> bool:
            _ = lab.engine  # a new engine if the last has died
            return journey.ended(bench, [sample])

        with contextlib.suppress(EngineGone):
            over()
        ended = journey.wait(lambda: _calm(over), 60, 0.01)
        counted = path.with_name(f"{path.name}.count").exists()
        hit = not path.exists() and not counted
        path.unlink(missing_ok=True)
        findings = (
            rounds.wrong(lab, sample, act) if ended else journey.tell(bench, [sample])
        )  # fmt: skip
        return hit, [f"({left}) {text}" for text in findings]


def _calm(over: Callable[[], bool]) -> bool:
    try:
        return over()
    except EngineGone:
        return False  # it died while it started
