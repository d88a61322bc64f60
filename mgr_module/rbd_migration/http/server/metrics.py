"""Prometheus metrics of all migrations together, without names of images or pools."""

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence

from rbdmigrate.control.metrics.gauges import Gauges
from rbdmigrate.control.metrics.text import TYPE, Value, gauge
from rbdmigrate.engine import Engine

from ..api.plan_schemas import STATES as PLAN_STATES
from ..api.schemas import HOLDS

__all__ = ["TYPE", "exposition"]


def exposition(summary: Dict[str, Any], engine: Engine) -> str:
    """Return the metrics as text; ``summary`` is the answer of the route ``summary``."""
    return "".join(_gauges(summary)) + "".join(_more(engine)) + engine.measures.counters()


def _gauges(summary: Dict[str, Any]) -> List[str]:
    """Return those of the summary, most of which version 0.1 had too."""
    release = {"version": summary["version"], "ceph_release": summary["ceph_release"]}
    holds = {reason: summary["holds"].get(reason, 0) for reason in HOLDS}
    levels = [gate["level"] for gate in summary["gates"]]
    gates = {level: levels.count(level) for level in ("slow", "wait")}
    throttle, rate = summary["cluster_rate"], summary["rate"]
    used = rate / throttle if throttle else 0.0
    return [
        gauge("info", "The module's version and Ceph's.", [Value(1, release)]),
        _by("migrations", "Migrations under way by state.", "state", summary["counts"]),
        _by("held", "Migrations that wait, by reason.", "reason", holds),
        _one("copying", "Migrations that are copied now.", summary["copying"]),
        _one("attention", "Migrations that need the administrator.", summary["attention_total"]),
        _one("bytes", "Bytes to copy of all migrations under way.", summary["bytes_total"]),
        _one(
            "copied_bytes",
            "Bytes copied of all migrations under way; it falls when one ends.",
            summary["bytes_copied"],
        ),
        _one("rate_bytes_per_second", "Throughput of all copies together.", rate),
        _one(
            "throttle_bytes_per_second",
            "The cluster's throttle now; +Inf without a limit.",
            _limit(throttle),
        ),
        _one("throttle_used_ratio", "Share of the throttle in use; 0 without a limit.", used),
        _by("gates", "Health gates that slow copies down or make them wait.", "level", gates),
        *_guard(summary["guard"]),
    ]


def _guard(guard: Optional[Mapping[str, Any]]) -> List[str]:
    known: Mapping[str, Any] = guard or {}
    latencies = {
        "now": _seconds(known.get("latency_ms")),
        "baseline": _seconds(known.get("baseline_ms")),
    }
    return [
        _one(
            "guard_bytes_per_second",
            "What the latency guard allows all copies together; +Inf without a limit.",
            _limit(known.get("rate")),
        ),
        _by(
            "client_latency_seconds",
            "Latency of clients' operations as the guard sees it; NaN while it is off.",
            "kind",
            latencies,
        ),
    ]


def _more(engine: Engine) -> List[str]:
    found: Gauges = engine.measures.gauges()
    return [
        _by("plans", "Plans by state.", "state", _every(PLAN_STATES, found.plans)),
        _by("agents", "Agents on hosts of guests.", "state", found.agents),
        _by("warnings", "Cases of the health warnings, by code.", "code", found.warnings),
        _one(
            "oldest_waiting_seconds",
            "Age of the oldest migration that is held before its copy.",
            found.oldest_waiting,
        ),
    ]


def _every(names: Sequence[str], numbers: Mapping[str, int]) -> Dict[str, int]:
    return {name: numbers.get(name, 0) for name in names}


def _one(name: str, text: str, value: float) -> str:
    return gauge(name, text, [Value(value)])


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> str:
    return gauge(name, text, [Value(value, {label: key}) for key, value in values.items()])


def _limit(rate: Optional[int]) -> float:
    return math.inf if rate is None else rate


def _seconds(milliseconds: Optional[float]) -> float:
    return math.nan if milliseconds is None else milliseconds / 1000
