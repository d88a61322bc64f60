"""Watches the copy: progress bar, and one sample each of the output of module and cluster."""

import time

from qa.demo.client_process import ClientProcess
from qa.demo.console import Console
from qa.demo.migration import Migration, Report

_STATUS_AT = 25  # percent


class CopyWatch:
    """Called with each report while the copy runs."""

    def __init__(self, migration: Migration, client: ClientProcess, console: Console) -> None:
        self._migration = migration
        self._client = client
        self._console = console
        self._begun = time.monotonic()
        self._status_shown = False
        self._event_shown = False

    def __call__(self, report: Report) -> None:
        self._client.check()
        if report["state"] == "executing":
            self._console.progress(report["percent"], self._text(report))
        if report["percent"] < _STATUS_AT:
            return
        if not self._status_shown:
            self._status_shown = True
            self._migration.command("status", self._migration.target)
        elif not self._event_shown and self._migration.has_event():
            self._event_shown = True
            self._migration.shown("ceph", "-s", only=progress_part)

    def done(self, report: Report) -> None:
        """Report the end of the copy."""
        self._console.progress_done(report["percent"], self._text(report))
        if not self._event_shown:
            self._console.say("The copy was over before 'ceph -s' could show it.")

    def _text(self, report: Report) -> str:
        # At the end the report has no numbers of objects, or those of the last poll.
        objects = ""
        if report["state"] == "executing" and report.get("objects_total"):
            objects = f"{report['objects_done']} of {report['objects_total']} objects, "
        return f"{report['state']}, {objects}{time.monotonic() - self._begun:.1f} s"


def progress_part(status: str) -> str:
    """Return the progress events in the text of ``ceph -s``."""
    _, found, rest = status.partition("\n  progress:\n")
    return "progress:\n" + rest.split("\n\n")[0] if found else ""
