"""The report of a plan for an auditor: what became of each of its images, as rows."""

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Tuple

from rbdmigrate.model.units import format_seconds, format_size

from . import history
from .command import Report


@dataclass(frozen=True)
class ReportRow:
    """An image of a plan. Times are ISO 8601 in UTC; empty or null: it did not come to that.

    ``seconds``: from the request to the end. ``coverage``: the share of the data that was compared,
    0 to 1; ``digests``: one for each view of the image, ``head`` being the image itself.
    ``pause_seconds``: of the cutover; ``held_seconds``: how long it was held, by reason;
    ``layout``: the options that were asked for; ``requests``: what was asked for, and by whom.
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
    layout: str
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
    held_seconds: Dict[str, int]
    verification: str
    coverage: Optional[float]
    miss_probability: Optional[float]
    not_compared: str
    digests: str
    by: str
    requests: str


@dataclass(frozen=True)
class PlanReport:
    """A plan and a row for each of its images. ``timeline``: what happened to it, and by whom."""

    plan: str
    state: str
    created: str
    started: str
    ended: str
    counts: Dict[str, int]
    timeline: str
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
        timeline=_requests(plan.get("timeline", ())),
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
        layout=" ".join(f"{name}={_option(value)}" for name, value in r.get("layout", {}).items()),
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
        held_seconds=dict(r.get("held_seconds", {})),
        verification="" if past is None else past.verified,
        coverage=v.get("fraction"),
        miss_probability=v.get("miss_probability"),
        not_compared=" ".join(v.get("reasons", ())),
        digests=" ".join(
            f"{view['snapshot'] or 'head'}={view['digest']}" for view in v.get("views", ())
        ),
        by=r.get("by") or "",
        requests=_requests(r.get("timeline", ())),
    )


def _option(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _requests(timeline: Iterable[Dict[str, Any]]) -> str:
    """Return what was asked for, when and by whom, as one text."""
    return "; ".join(
        f"{entry['at']} {entry['message'] or entry['state']} by {entry['by']}"
        for entry in timeline
        if entry["by"]
    )


def figures(one: ReportRow) -> List[str]:
    """Return duration, data, verification and pause of a row for people."""
    return [
        "" if one.seconds is None else format_seconds(one.seconds),
        "" if one.bytes is None else format_size(one.bytes),
        one.verification,
        "" if one.pause_seconds is None else f"{one.pause_seconds:.2f}s",
    ]
