"""What hooks are told because a record changed: a pure function of it before and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from ...model.cutover import CutoverMode
from ...model.hooks import Hook, HookEvent
from ...model.migration import Migration
from ...model.plan import Plan, PlanState
from ...model.states import Method, State
from ..lifecycle.cutover import changed_over

_ENTERED = {
    State.COMMITTED: HookEvent.COMMITTED,
    State.ABORTED: HookEvent.ABORTED,
    State.FAILED: HookEvent.FAILED,
}


@dataclass(frozen=True)
class Notice:
    """An event for ``hooks``, or for all that take it (None); ``question``: the one it asks.

    ``back``: it is about the way back of an abort after the cutover.
    """

    event: HookEvent
    hooks: Optional[tuple[str, ...]] = None
    question: str = ""
    back: bool = False


def notices(before: Migration, after: Migration) -> list[Notice]:
    """Return what the change means to hooks, in the order in which it happened."""
    found: list[Notice] = []
    former, now = before.question, after.question
    ended = former is not None and (now is None or now.id != former.id)
    back = changed_over(before)
    told = False
    if former is not None and ended and former.event is HookEvent.BEFORE_CUTOVER:
        done = _is_back(after) if back else changed_over(after)
        if not done:
            found.append(Notice(HookEvent.CUTOVER_FAILED, former.hooks, back=back))
        elif back:
            found.append(Notice(HookEvent.AFTER_CUTOVER, back=True))
        told = True
    if changed_over(after) and not back and (told or _has_cutover(after)):
        found.append(Notice(HookEvent.AFTER_CUTOVER))
    elif not told and before.state is State.CUTTING_OVER and after.state is State.EXECUTED:
        found.append(Notice(HookEvent.CUTOVER_FAILED))
    if before.executed_at is None and after.executed_at is not None:
        found.append(Notice(HookEvent.EXECUTED))
    if now is not None and (former is None or now.id != former.id):
        asks_back = now.event is HookEvent.BEFORE_CUTOVER and changed_over(after)
        found.append(Notice(now.event, now.hooks, now.id, back=asks_back))
    if after.state is not before.state and after.state in _ENTERED:
        found.append(Notice(_ENTERED[after.state]))
    return found


def _has_cutover(m: Migration) -> bool:
    """Whether clients change to the target at a moment of its own, not when somebody prepares."""
    return m.method is Method.WARM or m.cutover.mode is not CutoverMode.REFUSE


def _is_back(m: Migration) -> bool:
    return m.state is State.ABORTED


def ended_question(before: Migration, after: Migration) -> str:
    """The id of the question that the change ends: its messages need no answer; or empty."""
    former, now = before.question, after.question
    return former.id if former is not None and (now is None or now.id != former.id) else ""


def plan_notices(before: Optional[Plan], after: Plan) -> list[Notice]:
    """Return what the change of a plan means to hooks."""
    was = before.state if before is not None else None
    done = after.state is PlanState.DONE and was is not PlanState.DONE
    return [Notice(HookEvent.PLAN_DONE)] if done else []


def takers(hooks: Iterable[Hook], event: HookEvent, pools: Iterable[str]) -> list[Hook]:
    """Return those of ``hooks`` that take an event about images of ``pools``, by name."""
    there = set(pools)
    found = [h for h in hooks if event in h.events and (not h.pool or h.pool in there)]
    return sorted(found, key=lambda h: h.name)


def pools_of(m: Migration) -> frozenset[str]:
    """The pools of a migration by which hooks are chosen: its ends, and where its data go."""
    pools = (m.source.pool, m.target.pool, m.layout.data_pool)
    return frozenset(pool for pool in pools if pool)
