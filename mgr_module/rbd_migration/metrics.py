"""Prometheus metrics of all migrations together, without names of images or pools."""

import math
import threading
import time
from errno import EAGAIN
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from rbdmigrate import __version__
from rbdmigrate.control.metrics.gauges import Gauges
from rbdmigrate.control.metrics.text import TYPE, Value, gauge
from rbdmigrate.control.plans.progress import DONE_WITH_FAILURES
from rbdmigrate.engine import Engine
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.plan import PlanState
from rbdmigrate.model.states import HoldReason

__all__ = ["TYPE", "MetricsCache", "exposition"]

_AGE = 1.0  # seconds for which the metrics, which need no key, are cached
_PLAN_STATES = (*(state.value for state in PlanState), DONE_WITH_FAILURES)


class MetricsCache:
    """The metrics for clients that ask often: they are computed at most once per second.

    ``engine`` returns the running engine, or None; ``release`` is Ceph's.
    """

    def __init__(self, engine: Callable[[], Optional[Engine]], release: str) -> None:
        self._engine = engine
        self._release = release
        self._lock = threading.Lock()
        self._known: Tuple[int, str] = (503, "")
        self._at = float("-inf")

    def answer(self) -> Tuple[int, str]:
        """Return an HTTP status and a text: the metrics, or why there are none."""
        with self._lock:
            if time.monotonic() - self._at > _AGE:
                self._known, self._at = self._made(), time.monotonic()
            return self._known

    def _made(self) -> Tuple[int, str]:
        engine = self._engine()
        if engine is None:
            return 503, "rbd_migration is still reading its records; try again in a few seconds.\n"
        try:
            return 200, exposition(engine, self._release)
        except MigrationError as error:
            return 503, f"{error}\n"


def exposition(engine: Engine, release: str) -> str:
    """Return the metrics as text. Raises MigrationError(EAGAIN) while they are not known."""
    if not engine.measures.ready():
        raise MigrationError(
            EAGAIN, "The counters of the former manager are being read; try again in a minute."
        )
    summary = {
        **engine.listing.summary(),
        **engine.conditions(),
        "cluster_rate": engine.cluster_rate(),
    }
    info = gauge(
        "info",
        "The module's version and Ceph's.",
        [Value(1, {"version": __version__, "ceph_release": release})],
    )
    more = "".join((*_gauges(summary), *_more(engine)))
    return f"{info}{more}{engine.measures.counters()}"


def _gauges(summary: Dict[str, Any]) -> List[str]:
    """Return those of the summary, most of which version 0.1 had too."""
    holds = {reason.value: summary["holds"].get(reason.value, 0) for reason in HoldReason}
    levels = [gate["level"] for gate in summary["gates"]]
    gates = {level: levels.count(level) for level in ("slow", "wait")}
    throttle, rate = summary["cluster_rate"], summary["rate"]
    used = rate / throttle if throttle else 0.0
    return [
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
        _by("plans", "Plans by state.", "state", _every(_PLAN_STATES, found.plans)),
        _by("agents", "Agents on hosts of guests.", "state", found.agents),
        _by("hooks", "Hooks, by whether they take their messages.", "state", found.hooks),
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
