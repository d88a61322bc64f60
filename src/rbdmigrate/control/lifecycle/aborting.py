"""Records of aborts: what a request covers, and the state to return to when it is refused. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ...model.migration import AbortRequest, Failure, Hold, Migration
from ...model.states import Goal, HoldReason, State
from .abort_guard import TargetFound

_GOALS = {
    State.EXECUTED: Goal.EXECUTED,
    State.CUT_OVER: Goal.CUT_OVER,
    State.VERIFYING: Goal.VERIFIED,
    State.VERIFIED: Goal.VERIFIED,
}


def request_abort(
    former: Migration, cleared: Migration, found: Optional[TargetFound], *, forced: bool
) -> Migration:
    """Return the record of a migration that goes on to be aborted.

    ``former`` is the record before the request, ``cleared`` the result of
    ``requests.cleared_for_retry`` for it. ``found``: the target at the time of the request, None
    where there is none yet.
    """
    request = _request(former)
    if found is not None:
        request = replace(request, version=found.version, header=found.header)
    return replace(cleared, goal=Goal.ABORTED, abort=replace(request, forced=forced, refusal=None))


def abort_refused(m: Migration, errno: int, message: str, now: float) -> Migration:
    """Return the record of a migration whose abort is refused: its former state, paused.

    It waits for the administrator. Its former goal may remove the source, which must not happen
    while somebody wants to abort.
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
        intent=None,
        release=None,
        hold=Hold(HoldReason.OPERATOR, message),
        failure=request.failure,
        failed_in=request.failed_in,
        attempts=0,
    )


def refusal_of(m: Migration) -> Optional[Failure]:
    """The reason why the last requested abort was refused; None if it was not, or not yet."""
    if m.goal is Goal.ABORTED or m.abort is None:
        return None
    return m.abort.refusal


def written_by_us_alone(m: Migration, version: Optional[int]) -> Migration:
    """Return the record after a copy during which nobody else wrote the target's header.

    ``version``: the header's version at the end of the copy.
    """
    m = replace(m, target_version=version)
    if m.abort is None or m.abort.version is None:
        return m
    return replace(m, abort=replace(m.abort, version=version))


def _request(m: Migration) -> AbortRequest:
    """The state to return to; derived from the goal and state in records of older versions."""
    if m.goal is Goal.ABORTED and m.abort is not None:
        return m.abort
    if m.goal is Goal.ABORTED:
        state = m.state if m.state is not State.ABORTING else State.PREPARED
        return AbortRequest(_GOALS.get(state, Goal.PREPARED), state)
    return AbortRequest(m.goal, m.state, m.failure, m.failed_in)
