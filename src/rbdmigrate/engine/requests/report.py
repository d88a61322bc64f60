"""A tracked migration as a Report: its record, and what only the running engine knows of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Optional, Union

from ...control.hooks.questions import waits_for_hooks
from ...control.lifecycle.cutover import by_prepare, waits_for_clients
from ...control.lifecycle.schedule import PACED_ACTS
from ...control.lifecycle.standstill import source_rests, standstill
from ...control.lifecycle.warm import is_refresh_round, may_go_back
from ...control.objects.copy_cost import eta
from ...control.query import Row
from ...model.migration import Hold, Migration
from ...model.report import Live, brief_report, report
from ...model.states import ActKind, HoldReason, State
from ...model.warm_report import clients_awaited
from ..pace.lock_owner import copy_continues_message
from ..reconcile.verification import waits
from ..records.registry import TrackedMigration

_STALLED = 30.0  # seconds without progress after which a copy is said to have stalled
_WITH_RATE = (ActKind.EXECUTE, ActKind.VERIFY)  # acts whose throughput is shown
_NOTICED = 1.0  # seconds of waiting for a slot before that is reported


def view(tracked: TrackedMigration) -> dict[str, Any]:
    """The Report of a migration under way."""
    intent = tracked.migration.intent
    act = None if intent is None else intent.act
    moving = act in _WITH_RATE
    live = _brief_live(tracked)
    left = eta(tracked.size, tracked.copied, live.rate) if act is ActKind.EXECUTE else None
    live = replace(
        live,
        done=tracked.done,
        total=tracked.total,
        rate_limit=tracked.rate_limit if moving else None,
        eta=left,
        begun=intent.started if intent is not None and act is ActKind.EXECUTE else None,
        ends=None if left is None else time.time() + left,
        slowed=tracked.slowed if moving else (),
        age=_age(tracked.migration),
        source_age=_source_age(tracked.migration),
        way_back=tracked.way_back if may_go_back(tracked.migration) else None,
        held=tracked.held_times(),
    )
    return report(tracked.migration, live)


def _age(m: Migration) -> Optional[float]:
    """Seconds since the source was as the target is, before the cutover; None: not known."""
    if m.rounds is None or not m.rounds.count or m.cut_over_at is not None:
        return None
    return max(0.0, time.time() - m.rounds.at)


def _source_age(m: Migration) -> Optional[float]:
    """Seconds since the target was as the kept source is; None: no source is kept."""
    if not may_go_back(m) or m.cut_over_at is None:
        return None
    refreshed = 0.0 if m.reverse is None else m.reverse.at
    return max(0.0, time.time() - (refreshed or m.cut_over_at))


def row(tracked: TrackedMigration) -> Row:
    """It among many, of which most are not shown."""
    t, m = tracked, tracked.migration
    moving = m.intent is not None and m.intent.act in PACED_ACTS
    rate = t.throughput.rate if moving else None
    return Row(t, m, t.copied, t.size, t.share, rate, live_hold)


def render(item: Union[TrackedMigration, Migration]) -> dict[str, Any]:
    """The Report of a migration under way, or of one that has ended."""
    return view(item) if isinstance(item, TrackedMigration) else report(item, Live())


def brief(item: Union[TrackedMigration, Migration]) -> dict[str, Any]:
    """What a table shows of the Report of a migration under way, or of one that has ended."""
    if isinstance(item, Migration):
        return brief_report(item, Live())
    return brief_report(item.migration, _brief_live(item))


def _brief_live(tracked: TrackedMigration) -> Live:
    """What only the running engine knows of what a table shows."""
    intent = tracked.migration.intent
    act = None if intent is None else intent.act
    return Live(
        copied=tracked.copied,
        size=tracked.size,
        rate=tracked.throughput.rate if act in _WITH_RATE else None,
        share=tracked.share if act is ActKind.VERIFY else None,
        hold=live_hold(tracked),
        acting=act is not None,
        copied_by=tracked.copied_by,
    )


def _paused(tracked: TrackedMigration) -> str:
    if tracked.copied_by:
        return copy_continues_message(tracked.copied_by, tracked)
    target = tracked.migration.target.spec
    resume = f"It was paused; `ceph rbd migration resume {target}` continues it."
    return tracked.uncontrolled or resume


def _held(hold: Optional[Hold]) -> bool:
    """Whether a hold in the record has not passed."""
    return hold is not None and (hold.until is None or hold.until > time.time())


def live_hold(tracked: TrackedMigration) -> Optional[Hold]:
    """Why a migration does not move right now, where that is not in its record."""
    m = tracked.migration
    if m.state.ended:
        return None
    if tracked.conflict:
        return Hold(HoldReason.OPERATOR, tracked.conflict)
    if m.paused and m.hold is not None and m.hold.reason is HoldReason.OPERATOR:
        return m.hold  # somebody has to decide, and it says what
    if m.paused:
        return Hold(HoldReason.PAUSED, _paused(tracked))
    paced = m.intent is not None and m.intent.act in PACED_ACTS
    still = time.monotonic() - tracked.progressed_at
    if paced and still > _STALLED:
        return standstill(m, still)
    if not tracked.busy and tracked.rests():
        return source_rests(m)
    if tracked.note:
        return Hold(HoldReason.HEALTH, tracked.note)
    held = tracked.held_back()
    if held and not tracked.busy:
        return held
    rests = m.state is State.EXECUTED or m.cut_over_at is not None
    rests = rests or (by_prepare(m) and m.state is State.QUEUED)
    in_record = _held(m.hold)
    free = m.intent is None and not in_record
    asks = waits_for_hooks(m)
    if asks and not in_record and (m.intent is None or is_refresh_round(m, m.intent.act)):
        return Hold(HoldReason.HOOK, asks)
    if free and rests and waits_for_clients(m) and tracked.cutover_held is not None:
        return tracked.cutover_held
    if free and rests and waits_for_clients(m):
        return Hold(HoldReason.CLIENTS, clients_awaited(m, tracked.waits_for))
    waited = time.monotonic() - tracked.wanted_since
    if tracked.wanted is not None and not tracked.busy and waited > _NOTICED:
        return Hold(
            HoldReason.LIMIT,
            "It waits for a free slot (`ceph rbd migration limit get`); others go first.",
        )
    return waits(m, time.time())
