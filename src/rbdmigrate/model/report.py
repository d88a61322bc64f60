"""The Report: one migration as all front ends show it. Plain data, the same for all of them.

The fields are documented in ``doc/reference/json.rst`` and stable: front ends and scripts rely on
them. No front end computes a percentage of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Optional

from .client_warnings import client_warnings, waits_for_restore
from .codec import to_plain
from .errors import errno_name
from .held_time import HeldTime, by_reason
from .import_report import import_report
from .layout import LayoutOptions
from .migration import Failure, Hold, Migration
from .rounds import WayBack
from .states import Goal, Method, State
from .verification import Verification, Verify
from .warm_report import (
    clients_use,
    cutover_report,
    reverse_report,
    rounds_report,
    what_next_warm,
)

_COPIED = (
    State.EXECUTED,
    State.CUTTING_OVER,
    State.CUT_OVER,
    State.VERIFIED,
    State.COMMITTING,
    State.COMMITTED,
)
_NO_LAYOUT = LayoutOptions()
_LAST = 253402300799.0  # the last second of the year 9999


@dataclass(frozen=True)
class Live:
    """Live data of the running engine: objects and bytes copied, who copies, why it waits.

    ``copied`` of ``size`` bytes are on the target (0 of 0: not known); ``rate`` is its throughput
    and ``rate_limit`` its limit by the throttle, in bytes per second; ``eta`` in seconds.
    ``share``: the compared part, 0 to 1, while it verifies. ``slowed``: a sentence for each reason
    that slows it down; ``begun`` and ``ends``: the start and the expected end of the running copy.
    ``age``: seconds since the source was as the target is, with the method ``warm``;
    ``source_age``: since the target was as the kept source is, after the cutover. ``way_back``:
    what an abort would copy back. ``held``: how long it was held so far; None: as the record says.
    """

    done: int = 0
    total: int = 0
    copied: int = 0
    size: int = 0
    rate: Optional[float] = None
    rate_limit: Optional[int] = None
    eta: Optional[float] = None
    begun: Optional[float] = None
    ends: Optional[float] = None
    hold: Optional[Hold] = None
    slowed: tuple[str, ...] = ()
    share: Optional[float] = None
    acting: bool = False
    copied_by: str = ""
    age: Optional[float] = None
    source_age: Optional[float] = None
    way_back: Optional[WayBack] = None
    held: Optional[tuple[HeldTime, ...]] = None


def report(migration: Migration, live: Live) -> dict[str, Any]:
    """Return the JSON-able Report of a migration."""
    m = migration
    hold = live.hold or m.hold
    copying = m.state is State.EXECUTING
    return {
        "id": m.id,
        "source": str(m.source.spec),
        "source_image_id": m.source.image_id,
        "method": m.method.value,
        "method_reason": m.method_reason or None,
        "clients": clients_use(m),
        "cutover": cutover_report(m),
        "rounds": rounds_report(m, live.age),
        "way_back": _way_back(live.way_back),
        "reverse_rounds": reverse_report(m, live.source_age),
        **import_report(m),
        "target": str(m.target.spec),
        "target_image_id": m.target.image_id,
        "plan": m.plan or None,
        "by": m.by or None,
        "state": m.state.value,
        "goal": m.goal.value,
        "percent": percent(m, live),
        "bytes_total": live.size or m.bytes_total,
        "bytes_copied": max(live.copied, m.bytes_copied),
        "rate": None if live.rate is None else int(live.rate),
        "rate_limit": live.rate_limit,
        "own_rate": m.rate,
        "window": m.window or None,
        "verify": m.verify.value,
        "soak_seconds": int(m.soak),
        "verification": None if m.verification is None else _verification(m.verification),
        "eta_seconds": None if live.eta is None else int(live.eta),
        "copy_begun": iso(live.begun),
        "copy_ends": iso(live.ends),
        "slowed": list(live.slowed),
        "objects_done": live.done if live.total and copying else None,
        "objects_total": live.total or None if copying else None,
        "hold": None if hold is None else _hold(hold),
        "held_seconds": by_reason(m.held if live.held is None else live.held),
        "failure": None if m.failure is None else _failure(m.failure),
        "attempts": m.attempts,
        "priority": m.priority,
        "paused": m.paused,
        "adopted": m.adopted,
        "acting": live.acting,
        "copied_by": live.copied_by,
        "layout": _layout(m.layout),
        "created": iso(m.created),
        "prepared": iso(m.prepared_at),
        "executed": iso(m.executed_at),
        "cut_over": iso(m.cut_over_at),
        "ended": iso(m.ended_at),
        "timeline": [
            {"at": iso(e.at), "state": e.state.value, "message": e.message, "by": e.by or None}
            for e in m.timeline
        ],
        "next": what_next(m, hold),
        "warnings": [warning.to_plain() for warning in client_warnings(m)],
    }


def brief_report(migration: Migration, live: Live) -> dict[str, Any]:
    """Return what a table of thousands shows of the Report: the rest of it takes the most time."""
    m = migration
    hold = live.hold or m.hold
    return {
        "source": str(m.source.spec),
        "target": str(m.target.spec),
        "state": m.state.value,
        "goal": m.goal.value,
        "percent": percent(m, live),
        "rate": None if live.rate is None else int(live.rate),
        "hold": None if hold is None else _hold(hold),
        "failure": None if m.failure is None else _failure(m.failure),
        "acting": live.acting,
        "copied_by": live.copied_by,
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {"reason": hold.reason.value, "message": hold.message, "until": iso(hold.until)}


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "errno": failure.errno,
        "code": errno_name(failure.errno),
        "message": failure.message,
        "at": iso(failure.at),
        "transient": failure.transient,
    }


def _layout(layout: LayoutOptions) -> dict[str, Any]:
    if layout == _NO_LAYOUT:
        return {}  # most of thousands
    return {k: v for k, v in to_plain(layout).items() if v not in (None, False)}


def percent(migration: Migration, live: Live) -> int:
    """The percentage copied, or compared while it verifies; 100 only when complete."""
    if migration.state is State.VERIFYING:
        return max(0, min(99, int(100 * (live.share or 0))))
    if migration.state in _COPIED:
        return 100
    if migration.executed_at is not None and migration.state is State.FAILED:
        return 100
    size = live.size or migration.bytes_total or 0
    copied = max(live.copied, migration.bytes_copied)
    return max(0, min(99, copied * 100 // size)) if size > 0 else 0


def what_next(migration: Migration, hold: Optional[Hold]) -> str:
    """One sentence on what happens next automatically, or what the administrator has to do."""
    m, target = migration, migration.target.spec
    if m.state.ended:
        return ""
    if m.state is State.FAILED:
        return (
            f"Fix the cause, then `ceph rbd migration retry {target}`, or give up with "
            f"`ceph rbd migration abort {target}`."
        )
    if m.target_changes.trashed:
        return waits_for_restore(m)
    if hold is not None:
        return hold.message
    if m.state is State.COMMITTING:
        if m.from_another_cluster:
            return "What we left on the source is being removed; it stays in its cluster's trash."
        removed = "The link to the source" if m.imported else "The source"
        return f"{removed} is being removed, which cannot be stopped or undone."
    if m.method is Method.WARM:
        return what_next_warm(m)
    if m.goal is Goal.ABORTED or m.state is State.ABORTING:
        back = "" if m.imported else " and the source given back"
        return f"The target is removed{back}."
    if m.state is State.EXECUTING and m.goal is Goal.PREPARED:
        return f"`ceph rbd migration execute {target}` goes on with a copy that others began."
    choice = _choice(m)
    if choice:
        return f"{choice}; `ceph rbd migration abort {target}` {_aborts(m)}."
    unfinished = m.verification is None or m.verification.outcome is None
    copied = m.state in (State.EXECUTED, State.VERIFYING)
    if copied and m.goal is Goal.COMMITTED and m.verify is not Verify.NONE and unfinished:
        return (
            f"It is compared with its source ({m.verify.value}); when nothing differs it is "
            "committed by itself."
        )
    if m.state is State.PREPARED and m.imported is not None and m.imported.later is not None:
        name = m.imported.later_name
        return f"What changed until the snapshot {name} is copied by itself; wait for that."
    if m.state is State.PREPARED:
        return f"Copying begins by itself, and goes on until it is {m.goal.value}."
    return f"It goes on by itself until it is {m.goal.value}."


def _choice(m: Migration) -> str:
    """The next step of the administrator, if the migration waits for that; else empty. Commands
    that go back instead are not included.
    """
    target = m.target.spec
    if m.state is State.PREPARED and m.goal is Goal.PREPARED and m.method is Method.COPY:
        return (
            f"Copy it with `ceph rbd migration execute {target}`, and start clients on the target "
            "when it is executed"
        )
    if m.state is State.PREPARED and m.goal is Goal.PREPARED:
        execute = f"`ceph rbd migration execute {target}`"
        if m.snapshots:
            return f"{execute} copies the data; start the clients when it is executed"
        return f"Start the clients on the target, then {execute}"
    if m.state is State.EXECUTED and m.goal in (Goal.PREPARED, Goal.EXECUTED):
        if m.imported is not None and m.imported.went_on:
            return (
                "What clients wrote to the source after that snapshot is not on the target: stop "
                f"them, take another one, and `ceph rbd migration execute {target} --snap` it"
            )
        if m.imported is not None and m.imported.changes:
            return (
                "All data is on the target, and its source changed meanwhile: `ceph rbd migration "
                f"verify {target} --mode full` compares both, which is needed before the commit"
            )
        if m.verify is Verify.NONE:
            done = f"`ceph rbd migration commit {target}` {_commits(m)}"
        else:
            mode = " --mode sample" if m.verify is Verify.SAMPLE else ""
            done = (
                f"`ceph rbd migration commit {target}` compares it with its source "
                f"({m.verify.value}) and then {_commits(m)}; `ceph rbd migration verify "
                f"{target}{mode}` only compares"
            )
        return f"All data is on the target: {done}"
    if m.state is State.VERIFIED and m.goal is not Goal.COMMITTED:
        force = "" if m.verification is None or not m.verification.reasons else " --force"
        return f"It was compared: `ceph rbd migration commit {target}{force}` {_commits(m)}"
    return ""


def _commits(m: Migration) -> str:
    return "removes the source" if m.imported is None else "makes it independent of its source"


def _aborts(m: Migration) -> str:
    return "goes back" if m.imported is None else "removes the target"


def _verification(v: Verification) -> dict[str, Any]:
    return {
        "mode": v.mode.value,
        "outcome": None if v.outcome is None else v.outcome.value,
        "reasons": list(v.reasons),
        "fraction": v.fraction,
        "seed": v.seed,
        "miss_probability": v.miss,
        "bytes": v.bytes,
        "extents": v.extents,
        "seconds": round(v.seconds, 1),
        "started": iso(v.started),
        "at": iso(v.at),
        "release": v.release,
        "views": [
            {
                "snapshot": view.name or None,
                "compared": view.done and not view.skipped,
                "skipped": view.skipped,
                "bytes": view.bytes,
                "extents": view.extents,
                "digest": view.digest,
                "different": view.different,
                "differences": to_plain(view.differences),
            }
            for view in v.views
        ],
    }


def _way_back(measured: Optional[WayBack]) -> Optional[dict[str, Any]]:
    """What an abort would copy back, as plain data; None where that was not measured."""
    if measured is None:
        return None
    seconds = None if measured.seconds is None else round(measured.seconds, 3)
    return {"bytes": measured.bytes, "seconds": seconds, "at": iso(measured.at)}


def iso(at: Optional[float]) -> Optional[str]:
    """A time for JSON: ISO 8601 in UTC, to the second; None without a time.

    Times before 1970 and after the year 9999 are shown as the nearest in between.
    """
    if at is None or at != at:  # NaN is not equal to itself  # noqa: PLR0124
        return None
    return _iso(int(min(max(at, 0.0), _LAST)))


@lru_cache(maxsize=1 << 15)
def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
