"""``ceph rbd migration top``: a live table of the copies. The stock ceph CLI polls it."""

from dataclasses import dataclass
from typing import Any, Dict, List

from rbdmigrate.model.units import format_seconds, format_size

from . import tables

Report = Dict[str, Any]
_COPYING = ("executing", "cutting-over", "verifying")
_NARROW = 80
_SHOWN = 40  # migrations listed at most; the others are only counted


@dataclass(frozen=True)
class View:
    """The data of one poll. ``width`` is the terminal's columns, 0 without a terminal."""

    reports: List[Report]
    cluster_rate: Any
    conditions: Dict[str, Any]
    width: int
    header: bool

    def to_plain(self) -> Dict[str, Any]:
        """Return the data for ``--format json``."""
        return {
            "migrations": self.reports,
            "cluster_rate": self.cluster_rate,
            **self.conditions,
        }


def show(view: View) -> str:
    """Format the table: copying migrations first, then held ones, then the others."""
    width = max(60, view.width or _NARROW)
    copying = [r for r in view.reports if r["acting"] and r["state"] in _COPYING]
    others = [r for r in view.reports if r not in copying]
    others.sort(key=lambda r: r["hold"] is None)
    lines = [_totals(view, copying), *(_cut(line, width) for line in _conditions(view))]
    for report in (copying + others)[:_SHOWN]:
        lines.append(_line(report, width))
        if report["hold"] is not None:
            lines.append(
                _cut(f"    {report['hold']['reason']}: {report['hold']['message']}", width)
            )
        elif report["copied_by"]:
            lines.append(_cut(f"    copied by {report['copied_by']}", width))
    if len(view.reports) > _SHOWN:
        lines.append(f"... and {len(view.reports) - _SHOWN} more")
    return "\n".join(lines)


def _totals(view: View, copying: List[Report]) -> str:
    rate = sum(r["rate"] or 0 for r in copying)
    held = sum(r["hold"] is not None for r in view.reports)
    failed = sum(r["state"] == "failed" for r in view.reports)
    return (
        f"{len(view.reports)} migrations, {len(copying)} copying at {tables.rate(rate)} "
        f"(throttle {tables.rate(view.cluster_rate)}), {held} held, {failed} failed"
    )


def _conditions(view: View) -> List[str]:
    """Return what slows down all copies: health gates and the latency guard."""
    guard = view.conditions["guard"]
    lines = [f"{gate['level']}: {gate['message']}" for gate in view.conditions["gates"]]
    return [*lines, *([f"guard: {guard['message']}"] if guard else [])]


def _line(r: Report, width: int) -> str:
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
    names = f"{r['source']} -> {r['target']}"
    space = width - len(figures) - 2
    return f"{_cut(names, max(16, space)):<{max(16, space)}}  {figures}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
