"""The report of a plan as one HTML page to print, without scripts or other files."""

from html import escape

from rbdmigrate.model.units import format_seconds, format_size

from .plan_rows import PlanReport, ReportRow, figures

_STYLE = (
    "body{font:12px sans-serif;margin:2em}table{border-collapse:collapse;width:100%}"
    "th,td{border:1px solid #999;padding:3px 6px;text-align:left;vertical-align:top}"
    "th{background:#eee}td.wide{overflow-wrap:anywhere}thead{display:table-header-group}"
    "tr{break-inside:avoid}@page{size:A4 landscape;margin:12mm}"
)
_HEADS = (
    "Before", "After", "Phase", "Method", "Requested, by", "Ended", "Took", "Data", "Rate",
    "Pause", "Held", "Verification", "Requests",
)  # fmt: skip


def page(made: PlanReport) -> str:
    """Return the page."""
    heads = "".join(f"<th>{escape(head)}</th>" for head in _HEADS)
    asked = "".join(f"<li>{escape(text)}</li>" for text in made.timeline.split("; ") if text)
    counts = ", ".join(f"{number} {phase}" for phase, number in made.counts.items() if number)
    rows = "\n".join(_html_row(row) for row in made.images)
    title = escape(f"Plan {made.plan}")
    started, ended = made.started or "never", made.ended or "not yet"
    times = escape(f"created {made.created}, started {started}, ended {ended}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        f"<p>{escape(made.state)}: {escape(counts)}; {times}. Times are UTC.</p>\n"
        f"<ul>{asked}</ul>\n"
        f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></body></html>"
    )


def _html_row(row: ReportRow) -> str:
    took, data, verified, pause = figures(row)
    covered = "" if row.coverage is None else f", {100 * row.coverage:g} % of the data"
    rate = "" if row.bytes_per_second is None else f"{format_size(row.bytes_per_second)}/s"
    most = (
        "" if row.longest_pause_seconds is None else f" of at most {row.longest_pause_seconds:g} s"
    )
    cells = (
        f"{row.source} {row.source_image_id}",
        f"{row.target} {row.target_image_id} {row.layout}",
        f"{row.phase} {row.message}",
        row.method,
        f"{row.created} {row.by}",
        row.ended,
        took,
        data,
        rate,
        f"{pause}{most}" if pause else "",
        ", ".join(f"{reason} {format_seconds(s)}" for reason, s in row.held_seconds.items()),
        f"{verified}{covered if verified else ''} {row.not_compared} {row.digests}",
        row.requests,
    )
    return (
        "<tr>"
        + "".join(f'<td class="wide">{escape(cell.strip())}</td>' for cell in cells)
        + "</tr>"
    )
