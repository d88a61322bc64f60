"""The migration, driven by the module's commands as an administrator would type them."""

import json
import time
from collections.abc import Iterable
from typing import Any, Callable, Optional

import rados

from qa.demo.console import Console
from qa.demo.errors import ManagerTrouble
from qa.devcluster import Cluster, CommandFailed
from qa.workload.asking import Refused, ask_manager

_POLL = 0.2  # seconds
_COMMAND_TIMEOUT = 120.0
_SILENCE = 60.0  # seconds without an answer of the manager before giving up
_PATIENCE = 90.0  # seconds without progress of the migration before giving up

Report = dict[str, Any]


class Migration:
    """One migration, identified by its target."""

    def __init__(
        self, cluster: Cluster, client: rados.Rados, console: Console, source: str, target: str
    ) -> None:
        self._cluster = cluster
        self._client = client
        self._console = console
        self.source = source
        self.target = target

    def command(self, *args: str) -> str:
        """Run `ceph rbd migration ARGS`, and show it with its output."""
        return self.shown("ceph", "rbd", "migration", *args)

    def quiet(self, *args: str) -> str:
        """Run `ceph rbd migration ARGS` without showing it."""
        argv = ("ceph", "rbd", "migration", *args)
        return self._cluster.run(argv, timeout=_COMMAND_TIMEOUT).stdout

    def shown(self, *argv: str, only: Optional[Callable[[str], str]] = None) -> str:
        """Run any command, and show it with its output, or with `only` a part of that."""
        self._console.command(argv)
        try:
            answer = self._cluster.run(argv, timeout=_COMMAND_TIMEOUT).stdout
        except CommandFailed as error:
            raise ManagerTrouble(f"'{' '.join(argv)}' failed: {_last_line(error)}") from None
        self._console.output(only(answer) if only else answer)
        return answer

    def report(self) -> Report:
        """Return the module's report, without the start-up time of the ceph CLI."""
        try:
            report: Report = ask_manager(
                self._client,
                "rbd migration status",
                {"target_image": self.target},
                patience=_SILENCE,
                timeout=20,
                again=None,
            )
        except Refused as error:
            raise ManagerTrouble(
                f"The manager has not reported the migration for {_SILENCE:g} s: {error}"
            ) from None
        return report

    def has_event(self) -> bool:
        """Whether the cluster's status shows a progress event of the module."""
        _, output, _ = self._client.mon_command('{"prefix": "status", "format": "json"}', b"")
        events = json.loads(output or b"{}").get("progress_events", {})
        return any(self.target in event["message"] for event in events.values())

    def wait_for(
        self,
        states: Iterable[str],
        each_time: Callable[[Report], None] = lambda report: None,
    ) -> Report:
        """Wait until the migration is in one of these states; calls `each_time` with each report.

        Raises with the reason if the migration has failed or makes no progress.
        """
        wanted = set(states)
        seen: Any = None
        deadline = 0.0
        while True:
            report = self.report()
            state = report["state"]
            if state in wanted:
                return report
            if state == "failed":
                raise ManagerTrouble(f"The migration failed: {report['failure']['message']}")
            each_time(report)
            moved = (state, report["percent"], report.get("objects_done"))
            if moved != seen:
                seen, deadline = moved, time.monotonic() + _PATIENCE
            elif time.monotonic() > deadline:
                hold = report["hold"]
                why = f" The manager says: {hold['message']}" if hold else ""
                raise ManagerTrouble(
                    f"The migration is {state} and has not moved for {_PATIENCE:g} s; "
                    f"it should become {' or '.join(sorted(wanted))}.{why}"
                )
            time.sleep(_POLL)


def _last_line(error: CommandFailed) -> str:
    """Return the error message of a command; of a traceback it is the last line."""
    lines = error.stderr.strip().splitlines()
    return lines[-1] if lines else str(error)
