"""Reverse rounds: when one follows, and what comes of it. Pure.

Between cutover and commit they copy what clients write to the target to the kept source, so that an
abort has less to copy while clients wait. Nothing depends on them: one that fails is tried again
later, and neither commit nor abort waits for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ...model.bounds import shortened
from ...model.jobs.answers import CopiedBack
from ...model.migration import Migration
from ...model.reverse_rounds import ReverseRounds
from ...model.states import ActKind, Goal, Method, State

_PATIENCE = 20  # times as long as a round took nothing is copied after it
_RARELY = 86400.0  # seconds, the time after which rounds that copy nothing become no rarer
_AGAIN = (60.0, 3600.0)  # seconds after which one that failed is tried again, doubled each time
_STATES = frozenset({State.CUT_OVER, State.VERIFIED})


def keeps_source(m: Migration) -> bool:
    """Whether reverse rounds can be copied: clients use the target, and the source is kept."""
    after = m.method is Method.WARM and m.cut_over_at is not None
    return after and m.goal is not Goal.ABORTED and m.state in _STATES


def reverse_at(m: Migration) -> Optional[float]:
    """When a reverse round is due, in seconds since the epoch; None: none will be."""
    r = m.reverse or ReverseRounds()
    if not keeps_source(m) or m.paused or not (m.refresh_source or r.wanted):
        return None
    if r.wanted:
        return r.retry_at
    least = max(m.refresh_source, _PATIENCE * r.seconds)
    rarer: float = least * 2.0 ** min(r.idle, 32)
    last = r.at or m.cut_over_at or 0.0
    return max(r.retry_at, last + max(least, min(rarer, _RARELY)))


def reverse_due(m: Migration, now: float) -> bool:
    """Whether a reverse round begins now; also where the clock was ahead at the last one."""
    at = reverse_at(m)
    if at is None:
        return False
    r = m.reverse or ReverseRounds()
    return now >= at or now < r.at or now + _AGAIN[1] < r.retry_at


def is_reverse(m: Migration, act: ActKind) -> bool:
    """Whether ``act`` is a reverse round."""
    return act is ActKind.EXECUTE and m.method is Method.WARM and m.cut_over_at is not None


def to_reverse(m: Migration) -> Migration:
    """Return the record with a reverse round wanted at once; any other one unchanged."""
    if not keeps_source(m):
        return m
    return replace(m, reverse=replace(m.reverse or ReverseRounds(), wanted=True, retry_at=0.0))


def copied_back(m: Migration, answer: CopiedBack) -> Migration:
    """Return the record after a reverse round."""
    before = m.reverse or ReverseRounds()
    reverse = ReverseRounds(
        count=before.count + 1,
        bytes=answer.bytes,
        seconds=answer.seconds,
        at=answer.at,
        scan=answer.scan,
        snapshot=answer.snapshot,
        idle=0 if answer.bytes else before.idle + 1,
    )
    return replace(m, reverse=reverse)


def reverse_failed(m: Migration, message: str, now: float) -> Migration:
    """Return the record after a reverse round that failed: nothing else is held up by that."""
    r = m.reverse or ReverseRounds()
    first, longest = _AGAIN
    wait = min(longest, first * 2.0 ** min(r.failures, 20))
    reverse = replace(r, problem=shortened(message), failures=r.failures + 1, retry_at=now + wait)
    return replace(m, reverse=reverse, intent=None)


def common_snapshot(m: Migration) -> str:
    """The name of the newest snapshot since the cutover that both images are known to have."""
    return (m.reverse.snapshot if m.reverse is not None else "") or m.comparison_snapshot
