"""``ceph rbd migration ...`` as an administrator types it, and quick looks at the result."""

import json
import re
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from errno import errorcode
from typing import Any

import rados

from qa.devcluster import Cluster
from qa.devcluster.in_process_cli import InProcessCli
from qa.workload import asking
from qa.workload.images import CONCURRENCY, place
from rbdmigrate.cluster.surgery import drop_metadata

Report = dict[str, Any]
_SECOND_SENTENCE = re.compile(r"[.!?] +[A-Z]")


class Refused(AssertionError):
    """A command failed that should not have."""


LIVE = ("run", "--method", "live")
"""``run`` of a test that is about the method live."""


class Commands:
    """The commands, as the ``ceph`` tool carries them out.

    ``cli`` runs the tool itself; the others do without its start-up time (see InProcessCli).
    """

    def __init__(self, cluster: Cluster, client: rados.Rados) -> None:
        self._cluster = cluster
        self._client = client
        self._ceph = InProcessCli()

    def cli(self, *args: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Any outcome, of the tool itself."""
        return self._cluster.run(["ceph", "rbd", "migration", *args], timeout=timeout, check=False)

    def raw(self, *args: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Any outcome."""

        def tool() -> "subprocess.CompletedProcess[str]":
            return self.cli(*args, timeout=timeout)

        return self._ceph.run(self._client, ["rbd", "migration", *args], timeout, tool)

    def text(self, *args: str) -> str:
        """What a command says that has to succeed."""
        done = self.raw(*args)
        if done.returncode != 0:
            raise Refused(f"{' '.join(args)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def json(self, *args: str) -> Any:
        """The same with ``--format json``."""
        return json.loads(self.text(*args, "--format", "json"))

    def refused(self, code: int, *args: str) -> str:
        """The one sentence with which a command is refused that has to be, with this errno."""
        done = self.raw(*args)
        said = done.stderr.strip()
        assert done.returncode == code, (
            f"{' '.join(args)}: exit code {done.returncode} instead of {code}: {done.stdout}{said}"
        )
        assert done.stdout.strip() == ""
        start = f"Error {errorcode[code]}: "
        assert said.startswith(start), said
        sentence = said[len(start) :]
        assert is_one_sentence(sentence), said
        return sentence

    def ask(self, command: str, **args: Any) -> Any:
        """A command's JSON answer, without the CLI."""
        try:
            return asking.ask_manager(self._client, f"rbd migration {command}", args, timeout=20)
        except asking.Refused as error:
            raise Refused(f"{command} {args}: {error.errno}: {error}") from None

    def report(self, target: str) -> Report:
        """The migration to ``target``, the last ended one when none is under way."""
        report: Report = self.ask("status", target_image=target)
        return report

    def under_way(self) -> "list[Report]":
        """All migrations that have not ended."""
        found: list[Report] = self.ask("ls")
        return found

    def ended(self, target: str) -> "list[Report]":
        """The ended migrations to ``target``, the latest first."""
        listed = self.ask("ls", all=True)
        return [r for r in listed if r["target"] == target and r["ended"]]

    def wait(self, target: str, *states: str, timeout: float = 60) -> Report:
        """Wait until the migration is in one of these states; fails when it fails instead."""
        deadline = time.monotonic() + timeout
        pause = 0.05
        while True:
            report = self.report(target)
            if report["state"] in states:
                return report
            problem = report["failure"]
            assert report["state"] not in ("failed", "committed", "aborted"), (
                f"{target} is {report['state']} instead of {' or '.join(states)}: {problem}"
            )
            assert time.monotonic() < deadline, (
                f"{target} is still {report['state']} after {timeout:g} s: "
                f"{report['hold'] or report['next']} ({_pace(report)})"
            )
            time.sleep(pause)
            pause = min(0.3, pause * 1.2)  # each question costs the manager some milliseconds

    def wait_percent(self, target: str, percent: int, timeout: float = 60) -> Report:
        """Wait until that much is copied, in the middle of the copy."""
        deadline = time.monotonic() + timeout
        while True:
            report = self.report(target)
            if report["state"] == "executing" and report["percent"] >= percent:
                return report
            assert report["state"] in ("prepared", "executing"), report
            assert time.monotonic() < deadline, f"{target} is at {_pace(report)}"
            time.sleep(0.02)

    def clean_up(self, pools: Sequence[str]) -> None:
        """Abort whatever is under way from or to these pools, and wait for the end of that.

        Images that are removed in the midst of an abort would make it fail, and its record stay.
        """
        deadline = time.monotonic() + 90  # the watch of a client that was killed stays for 30 s
        while time.monotonic() < deadline:
            left = [r for r in self._between(pools) if r["state"] != "failed"]
            for report in left:
                if report["goal"] != "aborted":
                    self._speed_up(report)
                    self.raw("abort", report["target"], "--force")
            if not left:
                break
            time.sleep(0.1)
        for report in self._between(pools):
            self.raw("abort", report["target"], "--force")

    def _speed_up(self, report: Report) -> None:
        """Let librbd handle many objects of its images at once: some are slow on purpose."""
        for end in ("source", "target"):
            with suppress(rados.Error), place(self._client, report[end]) as ioctx:
                drop_metadata(ioctx, report[f"{end}_image_id"], CONCURRENCY)

    def _between(self, pools: Sequence[str]) -> "list[Any]":
        """What is under way from or to these pools."""
        return [
            report
            for report in self.under_way()
            if {report["source"].split("/")[0], report["target"].split("/")[0]} & set(pools)
        ]


def _pace(report: Report) -> str:
    """How far a copy is, and what limits it."""
    limits = [f"at most {report['rate_limit']} B/s", *report["slowed"]]
    return f"{report['percent']}% copied at {report['rate']} B/s, {'; '.join(limits)}"


def is_one_sentence(text: str) -> bool:
    """Whether this is one line of prose with one full stop at its end."""
    return text.endswith(".") and "\n" not in text and not _SECOND_SENTENCE.search(text)


def wait_audited(cluster: Cluster, *lines: str) -> None:
    """Wait until the cluster's audit log has these lines, which reach the monitors late."""

    def there() -> bool:
        said = cluster.ceph("log", "last", "500", "info", "audit")
        return all(line in said for line in lines)

    cluster.wait_for(there, 60, "the lines of the audit log")
