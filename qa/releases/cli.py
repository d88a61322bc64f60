"""``./run qa releases``: the same tests on every release, as a table of test and release.

Without a choice of tests the unit tests run too, with the Python that the release's manager has.
"""

import argparse
import functools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from qa.releases.catalogue import KNOWN, here
from qa.releases.enter import inside
from qa.releases.page import page
from qa.releases.results import Result, Results, load, merged, read_report, save, table
from qa.releases.root import RootError
from qa.releases.source import source_cluster

_TIMEOUT = 5400  # seconds for the tests on one release
_CLEANING = 60  # seconds for pytest to take its clusters down, once it is interrupted

_OTHER_CLUSTER = (
    "tests/cluster/test_import_other_cluster.py",
    "tests/cluster/test_warm_other_cluster.py",
    "tests/cluster/test_warm_other_worker.py",
)

_UNIT_TESTS = "unit tests"  # all of them as one line of the table
_UNIT = ["test", "-e", "unit,programs"]


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the tests and print the table.

    Returns 1 when a test failed anywhere, was skipped without a reason, or could not run; 130 when
    it was interrupted.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    if args.run and not args.tests:
        parser.error("after --run and '--' comes a command of ./run, for example: qa soak")
    if args.source and (args.run or args.tests):
        parser.error("--source chooses the tests itself")
    found: dict[str, Results] = {}
    if args.json:
        try:
            found = load(args.json)
            save(args.json, found)  # fail now rather than after an hour
        except (OSError, ValueError) as error:
            print(f"Error: {error}", file=sys.stderr)
            return 2
    ran = True
    run = _command if args.run else _run
    if args.source:
        run = functools.partial(_from_source, args.source)
    with tempfile.TemporaryDirectory(prefix="rbd-releases-", dir="/tmp") as folder:
        for name in args.only or KNOWN:
            print(f"{name} ...", file=sys.stderr)
            start = time.monotonic()
            try:
                new = run(name, args.tests, Path(folder))
            except (RootError, subprocess.SubprocessError) as error:
                print(f"Error: {name}: {error}", file=sys.stderr)
                ran = False
                continue
            except KeyboardInterrupt:
                print("Interrupted.", file=sys.stderr)
                return 130
            seconds = time.monotonic() - start
            print(f"{name} ({new.versions}): {new.sums()} in {seconds:.0f} s", file=sys.stderr)
            if args.json:
                found.update(load(args.json))  # read again: another run may have added results
            found[name] = merged(found.get(name), new)
            if args.json:
                save(args.json, found)
    print(table(found))
    if args.page:
        args.page.write_text(page(found), encoding="utf-8")
    return 0 if ran and all(results.good for results in found.values()) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run qa releases", description="The cluster tests on every release of Ceph."
    )
    parser.add_argument("--only", action="append", choices=list(KNOWN), help="this release")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="keep the results there; what FILE has already is in the table too",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="RST",
        help="write there, for the documentation, how many tests of each file passed, and when",
    )
    parser.add_argument(
        "--run",
        action="store_true",
        help="run a command of ./run instead of tests, for example: --run -- qa soak --minutes 15",
    )
    parser.add_argument(
        "--source",
        choices=list(KNOWN),
        help="run the tests of imports from another cluster, which is one of this release",
    )
    parser.add_argument(
        "tests", nargs="*", help="arguments for pytest, after '--' (default: all cluster tests)"
    )
    return parser


def _run(name: str, tests: Sequence[str], folder: Path) -> Results:
    found = Results(_versions(name, folder), _cluster_tests(name, tests, folder))
    if not tests:
        found.tests[_UNIT_TESTS] = _by_exit_code(name, _UNIT, folder)
    return found


def _from_source(source: str, name: str, _: Sequence[str], folder: Path) -> Results:
    """Run the tests with another cluster; each is named after the release of the source's."""
    with source_cluster(source, name, folder):
        found = _run(name, list(_OTHER_CLUSTER), folder)
    said = _versions(source, folder).partition(",")[0]
    tests = {f"{test} from {source} {said}": result for test, result in found.tests.items()}
    return Results(found.versions, tests)


def _command(name: str, command: Sequence[str], folder: Path) -> Results:
    """Run a command of ./run; its words are the name of the only result, unless it repeats the
    unit tests.
    """
    row = _UNIT_TESTS if list(command) == _UNIT else " ".join(command)
    return Results(_versions(name, folder), {row: _by_exit_code(name, command, folder)})


def _by_exit_code(name: str, command: Sequence[str], folder: Path) -> Result:
    """The result of a command of ./run, whose output is shown, also if it is interrupted."""
    log, start = folder / f"{name}-command.log", time.monotonic()
    try:
        code = _in_release(name, ["./run", *command], log)
    finally:
        _show(log)
    seconds = round(time.monotonic() - start, 3)
    return Result("failed" if code else "passed", seconds, day=_today())


def _versions(name: str, folder: Path) -> str:
    log = folder / f"{name}-versions.log"
    _in_release(name, ["sh", "-c", "ceph --version; /usr/bin/python3 --version"], log, 60)
    said = log.read_text(errors="replace")
    versions = re.fullmatch(r"ceph version (\S+).*\n(Python \S+)\n", said)
    if not versions:
        raise RootError(f"it does not say what versions it has: {said}")
    return ", ".join(versions.groups())


def _cluster_tests(name: str, tests: Sequence[str], folder: Path) -> "dict[str, Result]":
    report, log = folder / f"{name}.xml", folder / f"{name}.log"
    options = (f"--junitxml={report}", "-m", "")  # of any mark: the long ones too
    _in_release(name, ["./run", "test", "-e", "cluster", "--", *options, *tests], log)
    if not report.exists():
        raise RootError(f"the tests did not run:\n{log.read_text(errors='replace')[-2000:]}")
    found = read_report(report.read_text(encoding="utf-8"), _today())
    if any(result.outcome == "failed" for result in found.values()):
        _show(log)
    return found


def _in_release(name: str, command: Sequence[str], log: Path, timeout: float = _TIMEOUT) -> int:
    """Run ``command`` with the release ``name``, its output into ``log``; the exit code.

    Raises subprocess.TimeoutExpired: it was interrupted, and could clean up.
    """
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command if name == here() else inside(name, command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(timeout)
        except BaseException:
            _end(process)
            raise


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Interrupt all that ``process`` began, as Ctrl-C does; after a while, kill it."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(_CLEANING)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _show(log: Path) -> None:
    print(log.read_text(errors="replace"), file=sys.stderr)
