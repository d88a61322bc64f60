"""``./run qa releases``: the same tests on every release, as a table of test and release.

Without a choice of tests the unit tests run too, with the Python that the release's manager has.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional
from xml.etree import ElementTree

from qa.releases import enter
from qa.releases.catalogue import KNOWN, here
from qa.releases.root import RootError

_TIMEOUT = 5400  # seconds for the tests on one release

_UNIT_TESTS = "unit tests"  # all of them as one line of the table

Outcomes = Mapping[str, str]  # by test: passed, failed, skipped


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the tests and print the table; 1 when a test failed anywhere."""
    args = _parser().parse_args(argv)
    names = args.only or list(KNOWN)
    found: dict[str, Outcomes] = {}
    with tempfile.TemporaryDirectory(prefix="rbd-releases-", dir="/tmp") as folder:
        for name in names:
            print(f"{name} ...", file=sys.stderr)
            try:
                found[name] = _run(name, args.tests, Path(folder))
            except (RootError, subprocess.SubprocessError) as error:
                print(f"Error: {name}: {error}", file=sys.stderr)
                return 1
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 1 if any("failed" in outcomes.values() for outcomes in found.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run qa releases", description="The cluster tests on every release of Ceph."
    )
    parser.add_argument("--only", action="append", choices=list(KNOWN), help="this release")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument(
        "tests", nargs="*", help="arguments for pytest, after '--' (default: all cluster tests)"
    )
    return parser


def _run(name: str, tests: Sequence[str], folder: Path) -> Outcomes:
    found = dict(_cluster_tests(name, tests, folder))
    if not tests:
        log = folder / f"{name}-unit.log"
        code = _in_release(name, ["./run", "test", "-e", "unit"], log)
        found[_UNIT_TESTS] = "failed" if code else "passed"
        _show_unless_passed({_UNIT_TESTS: found[_UNIT_TESTS]}, log)
    return found


def _cluster_tests(name: str, tests: Sequence[str], folder: Path) -> Outcomes:
    report, log = folder / f"{name}.xml", folder / f"{name}.log"
    _in_release(name, ["./run", "test", "-e", "cluster", "--", f"--junitxml={report}", *tests], log)
    if not report.exists():
        raise RootError(f"the tests did not run:\n{log.read_text(errors='replace')[-2000:]}")
    found = outcomes_of(report.read_text(encoding="utf-8"))
    _show_unless_passed(found, log)
    return found


def _in_release(name: str, command: Sequence[str], log: Path) -> int:
    """Run ``command`` with the release ``name``, its output into ``log``; the exit code."""
    if name != here():
        return enter.run(name, command, _TIMEOUT, log)
    with open(log, "wb") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=False,
        )
    return done.returncode


def _show_unless_passed(found: Outcomes, log: Path) -> None:
    if "failed" in found.values():
        print(log.read_text(errors="replace"), file=sys.stderr)


def outcomes_of(junit: str) -> Outcomes:
    """What became of each test, from pytest's JUnit report."""
    found = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        kinds = {child.tag for child in case}
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        if kinds & {"failure", "error"}:
            found[name] = "failed"
        else:
            found[name] = "skipped" if "skipped" in kinds else "passed"
    return found


def table(found: Mapping[str, Outcomes]) -> str:
    """Tests down, releases across; then the sums."""
    tests = sorted({test for outcomes in found.values() for test in outcomes})
    width = max([len(test) for test in tests] + [10])
    lines = [" ".join([f"{'test':<{width}}", *(f"{name:<10}" for name in found)])]
    for test in tests:
        cells = (f"{outcomes.get(test, '-'):<10}" for outcomes in found.values())
        lines.append(" ".join([f"{test:<{width}}", *cells]))
    sums = (
        f"{sum(o == 'passed' for o in outcomes.values())}/{len(outcomes)}"
        for outcomes in found.values()
    )
    return "\n".join([*lines, " ".join([f"{'passed':<{width}}", *(f"{s:<10}" for s in sums)])])
