"""The command ``plan report``: what became of each image of a plan, for an auditor."""

import json
from dataclasses import asdict, dataclass, fields
from errno import EINVAL
from html import escape
from typing import Any, Dict, List, Optional, Tuple

from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.units import format_seconds, format_size

from . import history, tables
from .command import Arg, Call, Command, Report

_EXPORTS = ("json", "csv", "html")


@dataclass(frozen=True)
class ReportRow:
    """An image of a plan. Times are ISO 8601 in UTC; empty or null: it did not come to that.

    ``seconds``: from the request to the end. ``coverage``: the share of the data that was compared,
    0 to 1; ``digests``: one for each view of the image, ``head`` being the image itself.
    ``pause_seconds``: of the cutover; ``requests``: what was asked for meanwhile, and by whom.
    """

    source: str
    source_image_id: str
    target: str
    target_image_id: str
    wave: int
    phase: str
    message: str
    state: str
    method: str
    bytes: Optional[int]
    created: str
    prepared: str
    executed: str
    cut_over: str
    ended: str
    seconds: Optional[int]
    bytes_per_second: Optional[int]
    pause_seconds: Optional[float]
    longest_pause_seconds: Optional[float]
    verification: str
    coverage: Optional[float]
    miss_probability: Optional[float]
    not_compared: str
    digests: str
    by: str
    requests: str


@dataclass(frozen=True)
class PlanReport:
    """A plan and a row for each of its images."""

    plan: str
    state: str
    created: str
    started: str
    ended: str
    counts: Dict[str, int]
    images: Tuple[ReportRow, ...]


def plan_report(plan: Report, reports: List[Report]) -> PlanReport:
    """Return the report of a plan; ``reports``: its migrations, those that have ended as well."""
    known = {report["id"]: report for report in reports}
    return PlanReport(
        plan=plan["name"],
        state=plan["state"],
        created=plan["created"] or "",
        started=plan["started"] or "",
        ended=plan["ended"] or "",
        counts=dict(plan["counts"]),
        images=tuple(_row(item, known.get(item["migration"])) for item in plan["items"]),
    )


def _row(item: Dict[str, Any], report: Optional[Report]) -> ReportRow:
    r: Dict[str, Any] = report or {}
    past = history.row(report) if report is not None else None
    v: Dict[str, Any] = r.get("verification") or {}
    return ReportRow(
        source=item["source"],
        source_image_id=r.get("source_image_id", ""),
        target=item["target"],
        target_image_id=r.get("target_image_id", ""),
        wave=item["wave"],
        phase=item["phase"],
        message=item["message"],
        state=r.get("state", ""),
        method=r.get("method", ""),
        bytes=r.get("bytes_total"),
        created=r.get("created") or "",
        prepared=r.get("prepared") or "",
        executed=r.get("executed") or "",
        cut_over=r.get("cut_over") or "",
        ended=r.get("ended") or "",
        seconds=past.seconds if past is not None and r.get("ended") else None,
        bytes_per_second=None if past is None else past.bytes_per_second,
        pause_seconds=None if past is None else past.pause_seconds,
        longest_pause_seconds=(r.get("cutover") or {}).get("max_pause_seconds"),
        verification="" if past is None else past.verified,
        coverage=v.get("fraction"),
        miss_probability=v.get("miss_probability"),
        not_compared=" ".join(v.get("reasons", ())),
        digests=" ".join(
            f"{view['snapshot'] or 'head'}={view['digest']}" for view in v.get("views", ())
        ),
        by=r.get("by") or "",
        requests="; ".join(
            f"{entry['at']} {entry['message'] or entry['state']} by {entry['by']}"
            for entry in r.get("timeline", ())
            if entry["by"]
        ),
    )


def _report(call: Call) -> Any:
    name, export = call.text("plan") or "", call.text("export")
    if export is not None and export not in _EXPORTS:
        raise MigrationError(
            EINVAL, f"--export {export!r} is not known; choose from {', '.join(_EXPORTS)}."
        )
    plan = call.engine.plans.get(name)
    every: List[Report] = call.engine.migrations.list(ended=True)
    made = plan_report(plan, [report for report in every if report["plan"] == name])
    if export == "html":
        return page(made)
    if export == "csv":
        names = [field.name for field in fields(ReportRow)]
        return history.as_csv([asdict(row) for row in made.images], names)
    plain = asdict(made)
    return json.dumps(plain, indent=4) if export == "json" else plain


def _show(found: Any) -> str:
    if isinstance(found, str):
        return found
    rows = tables.table(["SOURCE", "TARGET", "PHASE", "ENDED", "TOOK", "DATA", "VERIFIED", "PAUSE"])
    for one in found["images"]:
        rows.add_row([one["source"], one["target"], one["phase"], one["ended"], *_figures(one)])
    head = f"{found['plan']}: {found['state']}; started {found['started'] or 'never'}"
    return f"{head}\n{rows.get_string()}"


def _figures(one: Dict[str, Any]) -> List[str]:
    return [
        "" if one["seconds"] is None else format_seconds(one["seconds"]),
        "" if one["bytes"] is None else format_size(one["bytes"]),
        one["verification"],
        "" if one["pause_seconds"] is None else f"{one['pause_seconds']:.2f}s",
    ]


_STYLE = (
    "body{font:12px sans-serif;margin:2em}table{border-collapse:collapse;width:100%}"
    "th,td{border:1px solid #999;padding:3px 6px;text-align:left;vertical-align:top}"
    "th{background:#eee}td.wide{overflow-wrap:anywhere}thead{display:table-header-group}"
    "tr{break-inside:avoid}@page{size:A4 landscape;margin:12mm}"
)
_HEADS = (
    "Before", "After", "Phase", "Method", "Requested, by", "Ended", "Took", "Data", "Rate",
    "Pause", "Verification", "Requests",
)  # fmt: skip


def page(made: PlanReport) -> str:
    """Return the report as one HTML page to print, without scripts or other files."""
    heads = "".join(f"<th>{escape(head)}</th>" for head in _HEADS)
    counts = ", ".join(f"{number} {phase}" for phase, number in made.counts.items() if number)
    rows = "\n".join(_html_row(row) for row in made.images)
    title = escape(f"Plan {made.plan}")
    started, ended = made.started or "never", made.ended or "not yet"
    times = escape(f"created {made.created}, started {started}, ended {ended}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        f"<p>{escape(made.state)}: {escape(counts)}; {times}. Times are UTC.</p>\n"
        f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></body></html>"
    )


def _html_row(row: ReportRow) -> str:
    took, data, verified, pause = _figures(asdict(row))
    covered = "" if row.coverage is None else f", {100 * row.coverage:g} % of the data"
    rate = "" if row.bytes_per_second is None else f"{format_size(row.bytes_per_second)}/s"
    most = (
        "" if row.longest_pause_seconds is None else f" of at most {row.longest_pause_seconds:g} s"
    )
    cells = (
        f"{row.source} {row.source_image_id}",
        f"{row.target} {row.target_image_id}",
        f"{row.phase} {row.message}",
        row.method,
        f"{row.created} {row.by}",
        row.ended,
        took,
        data,
        rate,
        f"{pause}{most}" if pause else "",
        f"{verified}{covered if verified else ''} {row.not_compared} {row.digests}",
        row.requests,
    )
    return (
        "<tr>"
        + "".join(f'<td class="wide">{escape(cell.strip())}</td>' for cell in cells)
        + "</tr>"
    )


TABLE = (
    Command(
        "plan report",
        (Arg("plan", required=True), Arg("export")),
        "Report what became of each image of a plan, also as JSON, CSV or a page to print",
        "r",
        _report,
        _show,
    ),
)
