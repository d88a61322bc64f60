"""The record of an abort from the request to the act: what it covers, and the way back. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ...model.migration import (
    AbortRequest,
    Failure,
    Goal,
    Hold,
    HoldReason,
    Migration,
    State,
)
from .abort_guard import TargetFound

_GOALS = {
    State.EXECUTED: Goal.EXECUTED,
    State.VERIFYING: Goal.VERIFIED,
    State.VERIFIED: Goal.VERIFIED,
}


def asked_to_abort(
    former: Migration, awake: Migration, found: Optional[TargetFound], *, forced: bool
) -> Migration:
    """The record of a migration that is to be aborted.

    ``former`` is the record before the request, ``awake`` the same without what holds it back.
    ``found``: the target that the request is about, None where there is none yet.
    """
    request = _request(former)
    if found is not None:
        request = replace(request, version=found.version, header=found.header)
    return replace(awake, goal=Goal.ABORTED, abort=replace(request, forced=forced, refusal=None))


def abort_refused(m: Migration, errno: int, message: str, now: float) -> Migration:
    """The record of a migration whose abort must not begin: back to where it was, and paused.

    It waits for the administrator: it does not go on towards its former goal, which may remove the
    source, while somebody wants to go back.
    """
    if m.goal is not Goal.ABORTED:
        return m
    request = _request(m)
    back = m.enter(request.state, now, message) if m.state is not request.state else m
    return replace(
        back,
        goal=request.goal,
        abort=replace(request, refusal=Failure(errno, message, now)),
        paused=True,
        step=None,
        hold=Hold(HoldReason.OPERATOR, message),
        failure=request.failure,
        failed_in=request.failed_in,
        attempts=0,
    )


def refusal_of(m: Migration) -> Optional[Failure]:
    """Why the abort that was asked for last was not begun; None while that is not decided."""
    if m.goal is Goal.ABORTED or m.abort is None:
        return None
    return m.abort.refusal


def copied_by_us_alone(m: Migration, version: Optional[int]) -> Migration:
    """The record after a copy during which nobody else wrote the target's header.

    ``version`` is what the header's version was at its end.
    """
    m = replace(m, target_version=version)
    if m.abort is None or m.abort.version is None:
        return m
    return replace(m, abort=replace(m.abort, version=version))


def _request(m: Migration) -> AbortRequest:
    """What to go back to; of a record without it (an older version's) as far as it tells."""
    if m.goal is Goal.ABORTED and m.abort is not None:
        return m.abort
    if m.goal is Goal.ABORTED:
        state = m.state if m.state is not State.ABORTING else State.PREPARED
        return AbortRequest(_GOALS.get(state, Goal.PREPARED), state)
    return AbortRequest(m.goal, m.state, m.failure, m.failed_in)
