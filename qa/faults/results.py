"""Results of cases: one line each, a table at the end, JSON on request."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

PASSED, FAILED, NOT_REACHED = "passed", "FAILED", "not reached"


@dataclass
class Result:
    """The result of a case. ``met``: the situations that the kills left behind."""

    case: str
    met: str = ""
    seconds: float = 0.0  # seconds from the kill until all migrations had reached their goal
    findings: "list[str]" = field(default_factory=list)
    reached: bool = True

    @property
    def verdict(self) -> str:
        """Passed, failed, or not reached: the fault did not happen."""
        if self.findings:
            return FAILED
        return PASSED if self.reached else NOT_REACHED

    def line(self) -> str:
        """Format one line, and one more for each finding."""
        text = f"{self.verdict:<12} {self.seconds:6.1f} s  {self.case:<52} {self.met}"
        return "\n".join([text.rstrip(), *(f"             - {each}" for each in self.findings)])


def summary(results: Iterable[Result]) -> str:
    """``N passed, N failed, N not reached``."""
    verdicts = [result.verdict for result in results]
    return ", ".join(
        f"{verdicts.count(verdict)} {verdict.lower()}" for verdict in (PASSED, FAILED, NOT_REACHED)
    )


def write_json(path: Path, results: Iterable[Result]) -> None:
    """All results as a JSON list."""
    rows = [{**asdict(result), "verdict": result.verdict} for result in results]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
