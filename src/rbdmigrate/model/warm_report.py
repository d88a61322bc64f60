"""What the Report says of migrations by the method ``warm``: the next step, and the rounds."""

from __future__ import annotations

from typing import Any, Optional

from .cutover import CutoverMode
from .migration import Migration
from .reverse_rounds import ReverseRounds
from .states import Goal, Method, State
from .verification import Verify


def clients_use(m: Migration) -> str:
    """The image that clients use now: ``source`` or ``target``."""
    since = {
        Method.LIVE: m.prepared_at,
        Method.COPY: m.executed_at,
        Method.WARM: m.cut_over_at,
    }[m.method]
    return "source" if since is None or m.state is State.ABORTED else "target"


def rounds_report(m: Migration, age: Optional[float]) -> Optional[dict[str, Any]]:
    """The rounds as plain data; None before the first one. ``age`` of the content, in seconds."""
    r = m.rounds
    if r is None or m.method is not Method.WARM:
        return None
    return {
        "count": r.count,
        "bytes": r.bytes,
        "seconds": round(r.seconds, 3),
        "age_seconds": None if age is None else int(age),
        "pause_seconds": None if r.pause is None else round(r.pause, 3),
        "pause_estimate_seconds": None if r.pause is not None else round(r.estimate, 3),
    }


def reverse_report(m: Migration, age: Optional[float]) -> Optional[dict[str, Any]]:
    """The reverse rounds as plain data; None where there are none. ``age`` of the source's content.

    Seconds.
    """
    if m.reverse is None and not m.refresh_source:
        return None
    r = m.reverse or ReverseRounds()
    return {
        "every_seconds": int(m.refresh_source) or None,
        "count": r.count,
        "bytes": r.bytes,
        "seconds": round(r.seconds, 3),
        "age_seconds": None if age is None else int(age),
        "problem": r.problem or None,
    }


def cutover_report(m: Migration) -> Optional[dict[str, Any]]:
    """How the cutover is done, as plain data; None where clients are stopped before the prepare."""
    if m.method is not Method.WARM and m.cutover.mode is CutoverMode.REFUSE:
        return None
    pause = None if m.rounds is None else m.rounds.pause
    return {
        "mode": m.cutover.mode.value,
        "max_pause_seconds": m.cutover.max_pause,
        "name_changes": m.cutover.name_changes,
        "window": m.cutover_window or None,
        "pause_seconds": None if pause is None else round(pause, 3),
    }


def what_next_warm(m: Migration) -> str:
    """One sentence on what happens next by itself, or what the administrator has to do."""
    source, target = m.source.spec, m.target.spec
    if m.state is State.CUTTING_OVER:
        return f"The last difference is copied, then {target} takes over; start no client now."
    if m.goal is Goal.ABORTED or m.state is State.ABORTING:
        return _going_back(m)
    if m.cut_over_at is not None:
        return _after(m)
    stop = f"stop its clients, then `ceph rbd migration cutover {target}`"
    undo = f"`ceph rbd migration abort {target}` removes the copy"
    if m.state is State.PREPARED and m.goal is Goal.PREPARED:
        return (
            f"Clients go on with {source}, and `ceph rbd migration execute {target}` copies it "
            f"meanwhile; {undo}."
        )
    if m.state is State.EXECUTED and m.goal in (Goal.PREPARED, Goal.EXECUTED):
        return (
            f"Clients go on with {source}, and the copy is kept fresh. To change to {target}, "
            f"{stop}; {undo}."
        )
    if m.goal in (Goal.PREPARED, Goal.EXECUTED):
        return f"Copying goes on by itself until it is {m.goal.value}; after that {stop}."
    if m.cutover.mode is CutoverMode.AGENT:
        return (
            f"When it is in step the guest that has {source} open is paused for a moment, and goes "
            f"on with {target}; the migration goes on until it is {m.goal.value}."
        )
    if m.cutover.mode is CutoverMode.WHEN_CLOSED:
        return (
            f"When it is in step it waits until the last client closes {source}, changes to "
            f"{target}, and goes on until it is {m.goal.value}."
        )
    if m.cutover.mode is CutoverMode.HOOK:
        return (
            f"When it is in step hooks are asked to stop the clients of {source}; it changes to "
            f"{target}, and goes on until it is {m.goal.value}."
        )
    return (
        f"It cuts over by itself when it is in step, if nobody has {source} open at that moment, "
        f"and goes on until it is {m.goal.value}; start no client before it is cut over."
    )


def clients_awaited(m: Migration, reason: str) -> str:
    """One sentence on what a cutover that waits for its clients waits for."""
    source, target = m.source.spec, m.target.spec
    used = target if m.goal is Goal.ABORTED else source
    if m.cutover.mode is CutoverMode.WHEN_CLOSED:
        return f"It changes to {target} at the moment when the last client closes {source}."
    if m.cutover.mode is CutoverMode.HOOK:
        return reason or f"Hooks are asked to stop the clients of {used}."
    return reason or (
        f"No agent has reported a guest that has {used} open; look at `ceph rbd migration agent "
        f"ls`, and start rbd-migration-agent on the host of the guest."
    )


def _going_back(m: Migration) -> str:
    if m.cut_over_at is None:
        return "The copy is removed; nothing else changes."
    if m.cutover.mode is CutoverMode.AGENT:
        return (
            f"The guest that has {m.target.spec} open is paused while what it wrote is copied "
            f"back, and goes on with {m.source.spec}."
        )
    if m.cutover.mode is CutoverMode.HOOK and m.state is not State.ABORTING:
        return (
            f"Hooks are asked to stop the clients of {m.target.spec}; what they wrote is copied "
            f"back, and {m.source.spec} takes over."
        )
    return (
        f"What clients wrote to {m.target.spec} is copied back, then {m.source.spec} takes over; "
        "start no client now."
    )


def _after(m: Migration) -> str:
    target = m.target.spec
    undo = (
        f"`ceph rbd migration abort {target}`, with its clients stopped, goes back and takes along "
        "what they wrote"
    )
    ends = _commits(m)
    if m.state is State.VERIFIED and m.goal is not Goal.COMMITTED:
        force = "" if m.verification is None or not m.verification.reasons else " --force"
        return f"It was compared: `ceph rbd migration commit {target}{force}` {ends}; {undo}."
    if m.state is State.CUT_OVER and m.goal not in (Goal.VERIFIED, Goal.COMMITTED):
        compared = f"compares both ({m.verify.value}) and {ends}"
        does = ends if m.verify is Verify.NONE else compared
        return (
            f"Clients may start on {target}. `ceph rbd migration commit {target}` {does}; {undo}."
        )
    return (
        f"Clients may start on {target}. It goes on by itself until it is {m.goal.value}; {undo}."
    )


def _commits(m: Migration) -> str:
    if m.from_another_cluster:
        return "leaves the source in the trash of its cluster"
    return "removes the source"
