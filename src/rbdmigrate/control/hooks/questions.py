"""Questions to hooks about a migration: asked, answered, withdrawn. Pure functions of its record.

A question is in the record as long as it stands. Whoever changes the record need not know of it:
one that does not fit the record any more is taken out when the record is written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Optional

from ...model.bounds import shortened
from ...model.cutover import CutoverMode
from ...model.hooks import HookEvent, Question
from ...model.migration import Hold, Migration
from ...model.states import Goal, HoldReason, Method, State
from ..lifecycle.cutover import goes_back, may_be_released, put_off, undecided, waits_for_clients
from ..lifecycle.warm import to_refresh_round

_COMMIT_FROM = frozenset({State.EXECUTED, State.CUT_OVER, State.VERIFYING, State.VERIFIED})
_HOOK = HoldReason.HOOK
_LONGEST_REASON = 500  # characters of what a hook says
_AGAIN_FIRST, _AGAIN_LONGEST = 60.0, 900.0  # seconds until a commit is asked for again


def wants_cutover(m: Migration, now: float) -> bool:
    """Whether to ask hooks now for its cutover, or for its way back."""
    return m.question is None and may_be_released(m, CutoverMode.HOOK, now)


def may_close(m: Migration, now: float) -> bool:
    """Whether all hooks said that its clients were stopped, which is checked next."""
    q = m.question
    return (
        q is not None
        and q.event is HookEvent.BEFORE_CUTOVER
        and q.ready is not None
        and may_be_released(m, CutoverMode.HOOK, now)
    )


def mode_when_closed(m: Migration, now: float) -> Optional[CutoverMode]:
    """The mode by which its image is released once no client has it open; None: it is not."""
    if may_be_released(m, CutoverMode.WHEN_CLOSED, now):
        return CutoverMode.WHEN_CLOSED
    return CutoverMode.HOOK if may_close(m, now) else None


def wants_commit(m: Migration, now: float) -> bool:
    """Whether to ask hooks for its commit, once that is what it does next."""
    if m.hold is not None and m.hold.until is not None and m.hold.until <= now:
        m = replace(m, hold=None)  # the wait after a veto or a failure is over
    return m.question is None and _may_be_committed(m)


def is_awaited(m: Migration) -> bool:
    """Whether it waits for clients, or for an answer of hooks."""
    return m.question is not None or waits_for_clients(m)


def commit_agreed(m: Migration, takers: Collection[str]) -> bool:
    """Whether its commit may begin although ``takers`` want to be asked for it."""
    if not takers or m.state is State.COMMITTING:
        return True  # what has begun is completed
    q = m.question
    return q is not None and q.event is HookEvent.BEFORE_COMMIT and q.ready is not None


def stands(m: Migration) -> bool:
    """Whether the record still fits the question that it has."""
    q = m.question
    if q is None or m.state.ended:
        return False
    if q.event is HookEvent.BEFORE_COMMIT:
        return _may_be_committed(m)
    if undecided(m):
        return True
    waits = m.cutover.mode is CutoverMode.HOOK and waits_for_clients(m)
    rests = _COMMIT_FROM if goes_back(m) else frozenset({State.EXECUTED})
    return waits and not m.paused and m.hold is None and m.state in rests


def _may_be_committed(m: Migration) -> bool:
    return commit_is_next(m) and not m.paused and m.hold is None


def commit_is_next(m: Migration) -> bool:
    """Whether it goes on with its commit, if nothing holds it."""
    return (
        m.goal is Goal.COMMITTED
        and m.state in _COMMIT_FROM
        and (m.method is not Method.WARM or m.cut_over_at is not None)
    )


def without_stale_question(m: Migration) -> Migration:
    """Return the record without a question that it does not fit any more."""
    return m if m.question is None or stands(m) else replace(m, question=None)


def asked(
    m: Migration, event: HookEvent, ident: str, hooks: Sequence[str], now: float
) -> Migration:
    """Return the record with a question to ``hooks``; unchanged where it is not wanted any more.

    Before a cutover the copy is refreshed, so that little is left when the clients are stopped.
    """
    wanted = wants_commit(m, now) if event is HookEvent.BEFORE_COMMIT else wants_cutover(m, now)
    if not wanted or not hooks:
        return m
    if event is HookEvent.BEFORE_CUTOVER and not goes_back(m):
        m = to_refresh_round(m)
    return replace(m, hold=None, question=Question(ident, event, now, tuple(hooks)))


def agreed(m: Migration, ident: str, hook: str, now: float) -> Migration:
    """Return the record after ``hook`` said yes to the question ``ident``, if that still stands."""
    q = m.question
    if q is None or q.id != ident or hook not in q.hooks or hook in q.agreed:
        return m
    what = _asks_for(q)
    q = replace(q, agreed=(*q.agreed, hook), first=now if q.first is None else q.first)
    agreed_to = replace(m, question=_ready(q, now))
    return agreed_to.logged(now, f"the hook {hook} agreed to {what}", again=False)


def vetoed(m: Migration, ident: str, hook: str, reason: str, now: float) -> Migration:
    """Return the record after ``hook`` said no, if the question stands and nothing has begun."""
    q = m.question
    if q is None or q.id != ident or hook not in q.hooks or undecided(m):
        return m
    said = shortened(" ".join(reason.split()), _LONGEST_REASON).rstrip(".")
    why = f"The hook {hook} said no: {said}." if said else f"The hook {hook} said no."
    m = replace(m, question=None).logged(
        now, f"the hook {hook} said no to {_asks_for(q)}{f': {said}' if said else ''}", again=False
    )
    if q.event is HookEvent.BEFORE_CUTOVER:
        off = put_off(m, why, now)
        return off if off.hold is None else replace(off, hold=replace(off.hold, reason=_HOOK))
    attempts = m.attempts + 1
    wait = min(_AGAIN_LONGEST, _AGAIN_FIRST * 2.0 ** min(attempts - 1, 20))
    hold = Hold(_HOOK, f"{why} The commit is tried again by itself.", now + wait)
    return replace(m, hold=hold, attempts=attempts)


def without_hooks(m: Migration, there: Collection[str], now: float) -> Migration:
    """Return the record without those asked hooks that are not ``there`` any more.

    Where none is left the cutover is put off; a commit may go on.
    """
    q = m.question
    if q is None or all(hook in there for hook in q.hooks):
        return m
    left = tuple(hook for hook in q.hooks if hook in there)
    if not left and q.event is HookEvent.BEFORE_CUTOVER:
        if undecided(m):
            return m
        return put_off(replace(m, question=None), "The hooks that were asked were removed.", now)
    said = tuple(hook for hook in q.agreed if hook in left)
    return replace(m, question=_ready(replace(q, hooks=left, agreed=said), now))


def not_closed(m: Migration, ident: str, waited: float, now: float) -> Migration:
    """Return the record put off: clients were still there ``waited`` seconds after the yes."""
    q = m.question
    if q is None or q.id != ident or q.ready is None or not may_close(m, now):
        return m
    image = (m.target if goes_back(m) else m.source).spec
    why = (
        f"All hooks said that the clients of {image} were stopped, but {waited:.0f} s later it was "
        "still open."
    )
    return put_off(replace(m, question=None), why, now)


def waits_for_hooks(m: Migration) -> str:
    """What its question waits for, in a sentence; empty: for nothing."""
    q = m.question
    if q is None:
        return ""
    left = [hook for hook in q.hooks if hook not in q.agreed]
    if left:
        names = ", ".join(left)
        who = _plural(left, "The hook", "The hooks")
        return f"{who} {names} {_has(left)} to agree to {_asks_for(q)}."
    if q.event is HookEvent.BEFORE_CUTOVER:
        image = (m.target if goes_back(m) else m.source).spec
        return f"All hooks agreed; it goes on when no client has {image} open."
    return ""


def _asks_for(q: Question) -> str:
    return "the cutover" if q.event is HookEvent.BEFORE_CUTOVER else "the commit"


def _ready(q: Question, now: float) -> Question:
    done = all(hook in q.agreed for hook in q.hooks)
    return replace(q, ready=now) if done and q.ready is None else q


def _plural(items: Sequence[str], one: str, many: str) -> str:
    return one if len(items) == 1 else many


def _has(items: Sequence[str]) -> str:
    return _plural(items, "has", "have")
