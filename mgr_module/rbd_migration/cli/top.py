"""``ceph rbd migration top``: a live table of the copies. The stock ceph CLI polls it."""

from dataclasses import dataclass
from typing import Any, Dict, List

from rbdmigrate.control.query import ListResult
from rbdmigrate.model.units import format_seconds, format_size

from . import tables

Report = Dict[str, Any]
_COPYING = ("executing", "cutting-over", "verifying")
_NARROW = 80
_WIDE = 1000  # columns without a terminal: nothing is cut
_SHOWN = 40  # migrations listed at most; the others are only counted


@dataclass(frozen=True)
class View:
    """The data of one poll. ``width`` is the terminal's columns, 0 without a terminal."""

    found: ListResult
    cluster_rate: Any
    conditions: Dict[str, Any]
    width: int
    header: bool

    def to_plain(self) -> Dict[str, Any]:
        """Return the data for ``--format json``."""
        return {
            "migrations": list(self.found),
            "cluster_rate": self.cluster_rate,
            **self.conditions,
        }


def show(view: View) -> str:
    """Format the table: copying migrations first, then held ones, then the others."""
    width = max(60, view.width) if view.width else _WIDE
    brief = list(view.found.brief())
    numbers = sorted(range(len(brief)), key=lambda number: _rank(brief[number]))
    shown = [view.found.report(number) for number in numbers[:_SHOWN]]
    lines = [_totals(view, brief), *(_cut(line, width) for line in _conditions(view))]
    # A terminal is used up to its edge; without one the names are as wide as the longest.
    longest = width if view.width else max((len(_names(r)) for r in shown), default=0)
    for report in shown:
        lines.append(_line(report, width, longest))
        if report["hold"] is not None:
            lines.append(
                _cut(f"    {report['hold']['reason']}: {report['hold']['message']}", width)
            )
        elif report["copied_by"]:
            lines.append(_cut(f"    copied by {report['copied_by']}", width))
    if len(brief) > _SHOWN:
        lines.append(f"... and {len(brief) - _SHOWN} more")
    return "\n".join(lines)


def _copies(r: Report) -> bool:
    return r["acting"] and r["state"] in _COPYING


def _rank(r: Report) -> int:
    return 0 if _copies(r) else 1 if r["hold"] is not None else 2


def _totals(view: View, reports: List[Report]) -> str:
    copying = [r for r in reports if _copies(r)]
    rate = sum(r["rate"] or 0 for r in copying)
    held = sum(r["hold"] is not None for r in reports)
    failed = sum(r["state"] == "failed" for r in reports)
    return (
        f"{len(reports)} {_noun(reports)}, {len(copying)} copying at {tables.rate(rate)} "
        f"(throttle {tables.rate(view.cluster_rate)}), {held} held, {failed} failed"
    )


def _noun(reports: List[Report]) -> str:
    return "migration" if len(reports) == 1 else "migrations"


def _conditions(view: View) -> List[str]:
    """Return what slows down all copies: health gates and the latency guard."""
    guard = view.conditions["guard"]
    lines = [f"{gate['level']}: {gate['message']}" for gate in view.conditions["gates"]]
    return [*lines, *([f"guard: {guard['message']}"] if guard else [])]


def _line(r: Report, width: int, longest: int) -> str:
    """Format ``hdd/vm1 -> nvme/vm1  [####....]  48%  120 MiB/250 MiB  50 MiB/s  3s``."""
    figures = f"{r['percent']:>3}%"
    if r["bytes_total"]:
        figures += f"  {format_size(r['bytes_copied'])}/{format_size(r['bytes_total'])}"
    if r["rate"] is not None:
        figures += f"  {tables.rate(r['rate'])}"
    if r["eta_seconds"] is not None:
        figures += f"  {format_seconds(r['eta_seconds'])}"
    bar = tables.bar(r["percent"], 20 if width > _NARROW else 10)
    figures = f"{r['state']:<10} {bar} {figures}"
    space = max(16, min(longest, width - len(figures) - 2))
    return f"{_cut(_names(r), space):<{space}}  {figures}"


def _names(r: Report) -> str:
    return f"{r['source']} -> {r['target']}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
