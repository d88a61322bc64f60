"""The cases of this package: one for each act and kind of image, with many deaths each."""

from typing import Callable

from qa.faults.bench import Bench
from qa.faults.cases import Case
from qa.faults.images import VARIANTS
from qa.faults.results import Result
from qa.faults.sends.rounds import ACTS, Act, deaths

_KINDS = ("pool", "in-place", "journal", "in-place-journal", "clone", "namespace", "child", "group",
          "format-1")  # fmt: skip
_STEP = 10  # so that each kind of image starts with another message
_FIRST = 46  # earlier messages only read
_QUICK_STEP = 40


def cases() -> "list[Case]":
    """Return the cases of deaths inside librbd's calls."""
    found = [
        Case(
            f"send: {_title(act)} {kind}",
            _runner(act, kind, _STEP, _FIRST + 2 * number),
            laboratory=True,
        )
        for act in ACTS
        for number, kind in enumerate(_KINDS)
    ]
    quick = Case("send: a few of prepare and commit", _few, quick=True, laboratory=True)
    return [*found, quick]


def _title(act: Act) -> str:
    return f"{act.name} from {act.before.value}" if act.name == "abort" and act.before else act.name


def _runner(act: Act, kind: str, step: int, first: int) -> Callable[[Bench, str], Result]:
    def run(bench: Bench, name: str) -> Result:
        return _run(bench, name, [(act, kind)], step, first)

    return run


def _few(bench: Bench, name: str) -> Result:
    chosen = [(ACTS[0], "pool"), (ACTS[2], "in-place")]
    return _run(bench, name, chosen, _QUICK_STEP, 60)


def _run(bench: Bench, name: str, chosen: "list[tuple[Act, str]]", step: int, first: int) -> Result:
    result = Result(name, reached=False)
    texts = []
    if bench.lab is None:
        result.met = "there is no C compiler"
        return result
    for act, kind in chosen:
        tally = deaths(bench.lab, act, VARIANTS[kind], step, first)
        result.reached |= tally.kills > 0
        result.findings += tally.findings
        result.seconds = max(result.seconds, tally.slowest)
        classes = " ".join(f"{c}:{n}" for c, n in sorted(tally.met.items(), key=_by_number))
        texts.append(f"{tally.kills} deaths in {tally.last} sends: {classes}")
    result.met = "; ".join(texts)
    return result


def _by_number(item: "tuple[str, int]") -> "tuple[str, int]":
    return item[0][0], int(item[0][1:]) if item[0][1:].isdigit() else 99
