"""The result of each test on each release: from pytest's report, as JSON, as a table."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree

_NO_REASON = "unconditional skip"  # pytest's words for a mark without a reason


@dataclass(frozen=True)
class Result:
    """``outcome``: passed, failed or skipped; ``why`` it was skipped; the ``day`` it ran (UTC).

    ``measured``: what the test itself recorded (``record_property``), as text.
    """

    outcome: str
    seconds: float
    why: str = ""
    day: str = ""
    measured: str = ""

    @property
    def good(self) -> bool:
        """Whether it did not fail, and does not hide what it tests without a reason."""
        return self.outcome == "passed" or (
            self.outcome == "skipped" and self.why not in ("", _NO_REASON)
        )


@dataclass
class Results:
    """The results of one release, by test; ``versions`` are those of Ceph and of Python."""

    versions: str
    tests: "dict[str, Result]" = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether all are."""
        return all(result.good for result in self.tests.values())

    def sums(self) -> str:
        """Return how many passed of how many, and the numbers of the others."""
        count = {
            outcome: sum(result.outcome == outcome for result in self.tests.values())
            for outcome in ("passed", "failed", "skipped")
        }
        return f"{count.pop('passed')}/{len(self.tests)}" + "".join(
            f", {number} {outcome}" for outcome, number in count.items() if number
        )


def read_report(junit: str, day: str) -> "dict[str, Result]":
    """Read the results by test from pytest's JUnit report of tests that ran on ``day``."""
    found = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        seconds = float(case.get("time", 0))
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            found[name] = Result("failed", seconds, day=day)
        elif skip is not None:
            found[name] = Result("skipped", seconds, skip.get("message", ""), day)
        else:
            found[name] = Result("passed", seconds, day=day, measured=_measured(case))
    return found


def _measured(case: ElementTree.Element) -> str:
    return ", ".join(f"{each.get('name')} {each.get('value')}" for each in case.iter("property"))


def load(file: Path) -> "dict[str, Results]":
    """Return the results in a file of ``save``, by release; empty if there is no such file.

    Raises OSError, and ValueError if the file has another content.
    """
    if not file.exists():
        return {}
    try:
        return {
            name: Results(
                kept["versions"], {test: Result(**result) for test, result in kept["tests"].items()}
            )
            for name, kept in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{file} has no results of this; choose another file.") from None


def save(file: Path, found: Mapping[str, Results]) -> None:
    """Write all results."""
    written = {name: asdict(results) for name, results in found.items()}
    file.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def merged(kept: "Results | None", new: Results) -> Results:
    """Merge both; the later result of each test counts. Those of other versions are dropped."""
    if kept is None or kept.versions != new.versions:
        return new
    return Results(new.versions, {**kept.tests, **new.tests})


def table(found: Mapping[str, Results]) -> str:
    """Format a table with a row per test and a column per release, then sums and skip reasons."""
    tests = sorted({test for results in found.values() for test in results.tests})
    width = max([len(test) for test in tests] + [10])
    lines = [" ".join([f"{'test':<{width}}", *(f"{name:<10}" for name in found)])]
    for test in tests:
        got = (results.tests.get(test) for results in found.values())
        cells = (f"{result.outcome if result else '-':<10}" for result in got)
        lines.append(" ".join([f"{test:<{width}}", *cells]))
    for name, results in found.items():
        lines.append(f"passed on {name} ({results.versions}): {results.sums()}")
    for name, results in found.items():
        lines += [
            f"skipped on {name}: {test}: {result.why}"
            for test, result in results.tests.items()
            if result.outcome == "skipped"
        ]
    for name, results in found.items():
        lines += [
            f"measured on {name}: {test}: {result.measured}"
            for test, result in results.tests.items()
            if result.measured
        ]
    return "\n".join(lines)
