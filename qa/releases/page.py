"""The results of all releases for the documentation: sums by file of tests, skips and measures."""

from collections.abc import Iterable, Mapping

from qa.releases.results import Result, Results


def page(found: Mapping[str, Results]) -> str:
    """Format reStructuredText: a table of file and release, why tests were skipped, measures."""
    files = sorted({_file(test) for results in found.values() for test in results.tests})
    lines = [".. list-table::", "   :header-rows: 1", ""]
    heads = (f"{name} ({results.versions})" for name, results in found.items())
    lines += _row(["tests", *heads])
    for file in files:
        lines += _row([f"``{file}``", *(_cell(file, results) for results in found.values())])
    lines += _row(["all", *(results.sums() for results in found.values())])
    every = [
        (f"- {name}: ``{test}``: ", result)
        for name, results in found.items()
        for test, result in sorted(results.tests.items())
    ]
    skipped = [f"{of}{one.why or 'no reason'}" for of, one in every if one.outcome == "skipped"]
    measured = [f"{of}{one.measured}" for of, one in every if one.measured]
    for head, found_lines in (("Skipped:", skipped), ("Measured:", measured)):
        lines += ["", head, "", *found_lines] if found_lines else []
    return "\n".join([*lines, ""])


def _file(test: str) -> str:
    return test.partition("::")[0]


def _cell(file: str, results: Results) -> str:
    """Return the sums of one file, and the days from the first to the last of its results."""
    of_file = {test: result for test, result in results.tests.items() if _file(test) == file}
    if not of_file:
        return "not run"
    return f"{Results('', of_file).sums()}; {_days(of_file.values())}"


def _days(results: Iterable[Result]) -> str:
    days = sorted({result.day or "unknown day" for result in results})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _row(cells: Iterable[str]) -> "list[str]":
    return [f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(cells)]
