"""Progress events: migrations in ``ceph -s``, ``ceph progress`` and the dashboard's task list."""

import logging
from typing import Any, Callable, Dict, List, Set

from rbdmigrate.model.states import State

log = logging.getLogger(__name__)

Report = Dict[str, Any]
_REST = "others"  # the event that all migrations without one of their own share
_SHOWN = ("preparing", "executing", "cutting-over", "verifying", "committing", "aborting")
SHOWN_STATES = frozenset(State(name) for name in (*_SHOWN, "failed"))
"""The states of the migrations that :meth:`ProgressEvents.update` needs."""


class ProgressEvents:
    """Shows reports in the manager's progress module. Not thread-safe: one thread calls it.

    ``remote`` is the manager's ``remote()``. The events contain nothing but image names, because
    all users of the dashboard see them.
    """

    def __init__(self, remote: Callable[..., Any]) -> None:
        self._remote = remote
        self._open: Set[str] = set()
        self._plans: Set[str] = set()  # plans whose migrations share one event
        self._last: Dict[str, Any] = {}

    def update(
        self, reports: List[Report], most: int, plans: Callable[[], List[Report]] = list
    ) -> None:
        """Update the events of running migrations, and complete or fail those of others.

        With more than ``most`` running migrations, those of a plan share one event as long as the
        plan runs. Of the others, those that have an event keep it and the rest share one. ``plans``
        returns the reports of all plans.
        """
        seen = {r["id"]: r for r in reports}
        for ident in list(self._open):
            report = seen.get(ident)
            if report is None or report["state"] not in _SHOWN or report["paused"]:
                self._close(ident, report)
        active = [r for r in reports if r["state"] in _SHOWN and r["hold"] is None]
        if len(active) > most:
            self._plans |= {r["plan"] for r in active if r["plan"]}
        self._show_plans(plans() if self._plans else [])
        for report in active:
            if report["plan"] in self._plans and report["id"] in self._open:
                self._close(report["id"], None)
        active = [r for r in active if r["plan"] not in self._plans]
        active.sort(key=lambda r: r["id"] not in self._open)
        for report in active[:most]:
            self._show(report)
        self._show_rest(active[most:])

    def clear(self) -> None:
        """Complete all events, because this manager shows none any more."""
        for ident in list(self._open):
            self._close(ident, None)
        self._show_plans([])
        self._show_rest([])

    def _show(self, report: Report) -> None:
        doing = "Importing" if report["import_only"] else "Migrating"
        text = f"{doing} {report['source']} to {report['target']}: {report['state']}"
        self._open.add(report["id"])
        self._update(report["id"], text, report["percent"], {"target": report["target"]})

    def _show_plans(self, plans: List[Report]) -> None:
        """Update the event of each plan that has one and still runs, and complete the others."""
        found = {plan["name"]: plan for plan in plans if _runs(plan)}
        for name in sorted(self._plans):
            ident, plan = f"plan-{name}", found.get(name)
            if plan is None:
                self._plans.discard(name)
                self._close(ident, None)
            else:
                counts = plan["counts"]
                text = f"Plan {name}: {counts['done']} of {plan['total']} images are done"
                self._update(ident, text, plan["percent"], {"plan": name})

    def _show_rest(self, reports: List[Report]) -> None:
        """Update the event that these migrations share; complete it if there are none."""
        if reports:
            text = f"Migrating {len(reports)} more images"
            self._update(_REST, text, sum(r["percent"] for r in reports) // len(reports), {})
        elif self._last.pop(_REST, None) is not None:
            self._call("complete", _event(_REST))

    def _update(self, ident: str, text: str, percent: int, refs: Dict[str, Any]) -> None:
        """Send an event to the progress module if it has changed."""
        if self._last.get(ident) == (text, percent):
            return
        self._last[ident] = (text, percent)
        # A dict with "origin": anything else makes the dashboard's summary fail for everybody.
        refs = {"origin": "rbd_migration", **refs}
        self._call("update", _event(ident), text, percent / 100, refs, True)

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


def _runs(plan: Report) -> bool:
    """Whether migrations of a plan are running; after a stop those that have begun continue."""
    if plan["state"] == "stopped":
        return bool(plan["counts"]["running"])
    return plan["state"] in ("running", "cancelling")


def _event(ident: str) -> str:
    return f"rbd_migration-{ident}"
