"""Progress events: migrations in ``ceph -s``, ``ceph progress`` and the dashboard's task list."""

import logging
from typing import Any, Callable, Dict, List, Set

log = logging.getLogger(__name__)

Report = Dict[str, Any]
_SHOWN = ("preparing", "executing", "committing", "aborting")


class ProgressEvents:
    """Mirrors reports into the manager's progress module. Not thread-safe: one thread calls it.

    ``remote`` is the manager's ``remote()``. The events carry no more than image names, because
    everybody who sees the dashboard sees them.
    """

    def __init__(self, remote: Callable[..., Any]) -> None:
        self._remote = remote
        self._open: Set[str] = set()
        self._last: Dict[str, Any] = {}

    def update(self, reports: List[Report]) -> None:
        """Show what is under way, complete or fail what is not any more."""
        seen = {r["id"]: r for r in reports}
        for ident in list(self._open):
            report = seen.get(ident)
            if report is None or report["state"] not in _SHOWN or report["paused"]:
                self._close(ident, report)
        for report in reports:
            if report["state"] in _SHOWN and report["hold"] is None:
                self._show(report)

    def clear(self) -> None:
        """Complete all events: this manager shows none any more."""
        for ident in list(self._open):
            self._close(ident, None)

    def _show(self, report: Report) -> None:
        text = f"Migrating {report['source']} to {report['target']}: {report['state']}"
        now = (text, report["percent"])
        if self._last.get(report["id"]) == now:
            return
        self._last[report["id"]] = now
        self._open.add(report["id"])
        # A dict with "origin": anything else makes the dashboard's summary fail for everybody.
        refs = {"origin": "rbd_migration", "target": report["target"]}
        self._call("update", _event(report["id"]), text, report["percent"] / 100, refs, True)

    def _close(self, ident: str, report: Any) -> None:
        self._open.discard(ident)
        self._last.pop(ident, None)
        if report is not None and report["state"] == "failed":
            text = f"migrate {report['source']} to {report['target']}"
            self._call("fail", _event(ident), text)
        else:
            self._call("complete", _event(ident))

    def _call(self, method: str, *args: Any) -> None:
        try:
            self._remote("progress", method, *args)
        except (ImportError, RuntimeError) as error:
            log.debug("the progress module does not answer: %s", error)


def _event(ident: str) -> str:
    return f"rbd_migration-{ident}"
