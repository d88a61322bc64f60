"""How the import of a source ended, and the table of all of them."""

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


class Outcome(enum.Enum):
    """The outcomes, with the titles of their columns."""

    RIGHT = "right"  # the target equals the disk
    REMEDIED = "remedy works"  # with the remedy that a finding named, it does
    REFUSED = "refused"  # a faulty source, which no remedy makes importable
    NO_REMEDY = "no remedy"  # a good source was refused, and nothing was named that can be followed
    REMEDY_FAILS = "remedy fails"
    WRONG = "wrong"
    FAILS_LATER = "fails later"  # accepted by the check, refused or failed afterwards


#: Outcomes that make the tool fail.
BAD = frozenset({Outcome.REMEDY_FAILS, Outcome.WRONG, Outcome.FAILS_LATER})


@dataclass(frozen=True)
class Attempt:
    """What came of one request to import a source.

    ``refused``: the codes of the errors, or the message if there are none. ``differences``: between
    the target and the disk. ``failed``: why an accepted import did not come to its end.
    ``remedy``: what was followed after it, empty if nothing was. ``remedy_failed``: how that went
    wrong.
    """

    refused: str = ""
    differences: "tuple[str, ...]" = ()
    failed: str = ""
    remedy: str = ""
    remedy_failed: str = ""


@dataclass(frozen=True)
class Trial:
    """A source and what came of it."""

    seed: int
    kind: str
    outcome: Outcome
    detail: str


def judged(seed: int, kind: str, faulty: bool, attempts: Sequence[Attempt]) -> Trial:
    """Return the Trial of these attempts, the second and later ones with the remedies followed."""
    said = [_told(attempt) for attempt in attempts]
    return Trial(seed, kind, _outcome(faulty, attempts), "; then ".join(said))


def _outcome(faulty: bool, attempts: Sequence[Attempt]) -> Outcome:
    last = attempts[-1]
    if any(attempt.differences for attempt in attempts):
        return Outcome.WRONG
    if any(attempt.failed for attempt in attempts):
        return Outcome.FAILS_LATER
    if last.remedy_failed:
        return Outcome.REFUSED if faulty else Outcome.REMEDY_FAILS
    if not last.refused:
        return Outcome.RIGHT if len(attempts) == 1 else Outcome.REMEDIED
    if faulty:
        return Outcome.REFUSED
    return Outcome.NO_REMEDY if len(attempts) == 1 else Outcome.REMEDY_FAILS


def _told(attempt: Attempt) -> str:
    parts = [
        f"refused: {attempt.refused}" if attempt.refused else "accepted",
        *attempt.differences,
        attempt.failed,
        f"remedy `{attempt.remedy}`" if attempt.remedy else "",
        attempt.remedy_failed,
    ]
    return ", ".join(part for part in parts if part)


def table(trials: Sequence[Trial]) -> str:
    """Return the counts of the outcomes for each kind, in the order of the first of each."""
    kinds = list(dict.fromkeys(trial.kind for trial in trials))
    counts = Counter((trial.kind, trial.outcome) for trial in trials)
    width = max(len(text) for text in ("kind", "all", *kinds))
    titles = ["sources", *(outcome.value for outcome in Outcome)]
    lines = ["  ".join([f"{'kind':<{width}}", *titles])]
    rows = [(kind, [counts[kind, outcome] for outcome in Outcome]) for kind in kinds]
    total = [sum(row[column] for _, row in rows) for column in range(len(Outcome))]
    for name, row in [*rows, ("all", total)]:
        cells = [f"{number:{len(title)}}" for number, title in zip([sum(row), *row], titles)]
        lines.append("  ".join([f"{name:<{width}}", *cells]))
    return "\n".join(lines)


def exit_code(trials: Sequence[Trial]) -> int:
    """Return 1 if any outcome is bad."""
    return int(any(trial.outcome in BAD for trial in trials))
