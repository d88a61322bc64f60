"""The command ``history``: ended migrations as a table, or exported with more about each."""

import csv
import io
import json
import time
from dataclasses import dataclass, fields
from datetime import datetime
from errno import EINVAL
from typing import Any, Dict, FrozenSet, List, Optional, Union

from rbdmigrate.control.query import Query
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.states import State
from rbdmigrate.model.units import format_seconds, format_size, parse_seconds

from . import tables
from .command import Arg, Call, Command, Report

_AGES = 36525 * 86400.0  # seconds, a century: the largest --since
_ALL = 1 << 31  # more than there can be
_COLUMNS = [
    "ENDED", "SOURCE", "TARGET", "STATE", "TOOK", "PAUSE", "DATA", "RATE", "VERIFIED", "PLAN", "BY",
]  # fmt: skip
_FORMULA = ("=", "+", "-", "@")  # a spreadsheet takes a cell that begins so for a formula


@dataclass(frozen=True)
class HistoryRow:
    """An ended migration. ``seconds``: from the request to its end; ``bytes``: data that it moved.

    ``bytes_per_second``: while it was copied, waits included. ``pause_seconds``: of its cutover.
    ``verified``: mode and outcome of the last verification. ``held_seconds``: how long it was held,
    by reason. ``by``: who asked for it.
    """

    id: str
    source: str
    target: str
    state: str
    method: str
    created: str
    ended: str
    seconds: int
    bytes: Optional[int]
    bytes_per_second: Optional[int]
    pause_seconds: Optional[float]
    verified: str
    held_seconds: Dict[str, int]
    plan: str
    by: str


def row(report: Report) -> HistoryRow:
    """Return the row of an ended migration's Report."""
    size, v = report["bytes_total"], report["verification"]
    copied = _passed(report["prepared"], report["executed"])
    moved = size if report["executed"] else report["bytes_copied"]
    return HistoryRow(
        id=report["id"],
        source=report["source"],
        target=report["target"],
        state=report["state"],
        method=report["method"],
        created=report["created"],
        ended=report["ended"] or "",
        seconds=_passed(report["created"], report["ended"]) or 0,
        bytes=moved,
        bytes_per_second=None if not copied or size is None else size // copied,
        pause_seconds=(report["cutover"] or {}).get("pause_seconds"),
        verified="" if v is None else f"{v['mode']}: {v['outcome'] or 'not finished'}",
        held_seconds=dict(report["held_seconds"]),
        plan=report["plan"] or "",
        by=report["by"] or "",
    )


def _passed(begin: Optional[str], end: Optional[str]) -> Optional[int]:
    if begin is None or end is None:
        return None
    began, ended = (datetime.fromisoformat(at.replace("Z", "+00:00")) for at in (begin, end))
    return max(0, int((ended - began).total_seconds()))


def as_csv(rows: List[Dict[str, Any]], names: List[str]) -> str:
    """Return rows as CSV with a header; cells are made harmless for spreadsheets."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(one[name]) for name in names] for one in rows)
    return text.getvalue().rstrip("\n")


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return " ".join(f"{key}={number}" for key, number in value.items())
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def ended_since(text: Optional[str], name: str) -> float:
    """The time (seconds since 1970) that a duration before now is, such as 7d; 0 without one.

    ``name``: of the option or field, for the error. Raises MigrationError(EINVAL).
    """
    return 0.0 if text is None else time.time() - parse_seconds(text, name, _AGES)


def _states(given: Any) -> FrozenSet[State]:
    """The states of a text with commas, or of the list of a request over REST."""
    known = {state.value: state for state in State if state.ended}
    parts = given if isinstance(given, list) else (given or "").split(",")
    wanted = [part.strip() for part in parts if part.strip()]
    for part in wanted:
        if part not in known:
            choices = ", ".join(known)
            raise MigrationError(EINVAL, f"--state {part!r} is not known; choose from {choices}.")
    return frozenset(known[part] for part in wanted)


def _history(call: Call) -> Union[List[Report], str]:
    target, limit, export = call.text("target_image"), call.number("limit"), call.text("export")
    if export not in (None, "json", "csv"):
        raise MigrationError(EINVAL, f"--export {export!r} is not known; choose from json, csv.")
    query = Query(
        limit=limit if limit and limit > 0 else _ALL,
        sort="ended",
        descending=True,
        target="" if target is None else str(call.spec("target_image", "target")),
        since=ended_since(call.text("since"), "--since"),
        search=call.text("search") or "",
        states=_states(call.args.get("state")),
        pool=call.text("pool") or "",
        plan=call.text("plan") or "",
    )
    found: List[Report] = call.engine.listing.history(query)[1]
    if export is None:
        return found
    rows = [vars(row(report)) for report in found]
    if export == "csv":
        return as_csv(rows, [field.name for field in fields(HistoryRow)])
    return json.dumps(rows)


def _show(found: Union[List[Report], str]) -> str:
    if isinstance(found, str):
        return found
    if not found:
        return "No migration has ended."
    shown = tables.table(_COLUMNS)
    for one in map(row, found):
        rate = "" if one.bytes_per_second is None else f"{format_size(one.bytes_per_second)}/s"
        size = "" if one.bytes is None else format_size(one.bytes)
        took = format_seconds(one.seconds)
        pause = "" if one.pause_seconds is None else f"{one.pause_seconds:.2f}s"
        shown.add_row(
            [one.ended, one.source, one.target, one.state, took, pause, size, rate, one.verified,
             one.plan, one.by]
        )  # fmt: skip
    return str(shown.get_string())


TABLE = (
    Command(
        "history",
        (
            Arg("target_image"),
            Arg("since"),
            Arg("limit", "CephInt"),
            Arg("plan"),
            Arg("pool"),
            Arg("search"),
            Arg("state"),
            Arg("export"),
        ),
        "List migrations that have ended, newest first",
        "r",
        _history,
        _show,
    ),
)
