"""A migration of the test double: what requests and the passing of time make of it."""

import time
from dataclasses import replace
from errno import EAGAIN, EBUSY, EINVAL, EPERM
from typing import Any, Callable

from rbdmigrate.control.lifecycle.reverse import to_reverse
from rbdmigrate.control.pace.timetable import parse_rate
from rbdmigrate.control.pace.window import parse_window
from rbdmigrate.model.errors import MigrationError
from rbdmigrate.model.migration import Hold, Migration
from rbdmigrate.model.report import Live
from rbdmigrate.model.reverse_rounds import parse_interval
from rbdmigrate.model.states import Goal, HoldReason, State
from rbdmigrate.model.units import parse_seconds
from rbdmigrate.model.verification import Outcome, Verification, Verify

from .scenes import MIB, Item

_RATE = 100 * MIB  # bytes per second of a running copy

SETTABLE = ("rate", "priority", "window", "verify", "soak", "goal", "refresh_source")
"""The options that :func:`set_options` takes."""

Args = dict[str, Any]


def target_of(one: Item) -> str:
    """The target's image spec."""
    return str(one.migration.target.spec)


def set_options(one: Item, body: Args) -> Any:
    """Change options and return the report. Raises MigrationError."""
    m = one.migration
    if "rate" in body:
        m = replace(m, rate=parse_rate(str(body["rate"]), "rate"))
    if "window" in body:
        text = body["window"]
        m = replace(m, window="" if text == "off" else str(parse_window(text)))
    if "soak" in body:
        m = replace(m, soak=parse_seconds(str(body["soak"]), "soak"))
    if "refresh_source" in body:
        every = parse_interval(str(body["refresh_source"]), "refresh_source")
        m = replace(m, refresh_source=every)
    m = replace(m, priority=body.get("priority", m.priority),
                verify=Verify(body.get("verify", m.verify.value)),
                goal=Goal(body.get("goal", m.goal.value)))  # fmt: skip
    one.migration = m
    return one.report()


def act(one: Item, action: str, body: Args, *, guarded: bool) -> None:
    """Carry out a request. ``guarded``: commit and abort require force. Raises MigrationError."""
    if action not in _ACTIONS:
        raise MigrationError(EINVAL, f"{action} is not known.")
    if guarded and not body.get("force"):
        _refuse_without_force(target_of(one), action)
    _ACTIONS[action](one, body, time.time())


def _refuse_without_force(target: str, action: str) -> None:
    if action == "commit":
        raise MigrationError(EBUSY, f"{target} has the clones nvme/child; those that are open "
                             "read-only would not notice that their parent moved; make sure "
                             "that none is, then `ceph rbd migration commit "
                             f"{target} --force`.")  # fmt: skip
    if action in ("abort", "cancel"):
        raise MigrationError(
            EPERM,
            f"Clients wrote to {target} since it was prepared, or it cannot be ruled out; "
            "aborting loses snapshots, resizes and discards made on the target, and may lose "
            'writes; add `"force": true` to abort anyway.',
        )


def _execute(one: Item, body: Args, now: float) -> None:
    m = one.migration
    one.migration = replace(m, goal=Goal.EXECUTED) if m.cut_over_at is None else to_reverse(m)


def _cut_over(one: Item, body: Args, now: float) -> None:
    m = one.migration.enter(State.CUTTING_OVER, now).enter(State.CUT_OVER, now)
    one.migration = replace(m, goal=Goal.CUT_OVER)


def _commit(one: Item, body: Args, now: float) -> None:
    m = one.migration
    if m.executed_at is None:
        raise MigrationError(EAGAIN, f"{target_of(one)} is {m.state.value}, not executed yet, so "
                             "committing would lose data.")  # fmt: skip
    m = m.enter(State.COMMITTING, now).enter(State.COMMITTED, now)
    one.migration, one.live = replace(m, goal=Goal.COMMITTED), Live()


def _abort(one: Item, body: Args, now: float) -> None:
    m = one.migration.enter(State.ABORTING, now).enter(State.ABORTED, now)
    one.migration, one.live = replace(m, goal=Goal.ABORTED), Live()


def _pause(one: Item, body: Args, now: float) -> None:
    one.migration = replace(one.migration, paused=True)
    if one.live.copied_by and not body.get("force"):
        return  # the client continues
    hold = Hold(HoldReason.PAUSED, f"It is paused; `ceph rbd migration resume {target_of(one)}` "
                "goes on.")  # fmt: skip
    one.live = replace(one.live, hold=hold, rate=None, eta=None, acting=False, copied_by="")


def _resume(one: Item, body: Args, now: float) -> None:
    one.migration = replace(one.migration, paused=False)
    one.live = replace(one.live, hold=None)


def _retry(one: Item, body: Args, now: float) -> None:
    m = one.migration
    one.migration = replace(m.enter(State.EXECUTING, now), failure=None, executed_at=None)
    one.live = replace(one.live, hold=None, copied=0, size=m.bytes_total or 0)


def _verify(one: Item, body: Args, now: float) -> None:
    done = Verification(Verify(body.get("mode", "full")), 1, 1.0, now, 0.1,
                        outcome=Outcome.PASSED, at=now)  # fmt: skip
    m = one.migration.enter(State.VERIFYING, now).enter(State.VERIFIED, now)
    one.migration = replace(m, verification=done, verify=done.mode, goal=Goal.VERIFIED)


_ACTIONS: "dict[str, Callable[[Item, Args, float], None]]" = {
    "execute": _execute,
    "cutover": _cut_over,
    "commit": _commit,
    "abort": _abort,
    "cancel": _abort,
    "pause": _pause,
    "resume": _resume,
    "retry": _retry,
    "verify": _verify,
}


def pass_time(one: Item, passed: float, now: float) -> None:
    """Let ``passed`` seconds pass: copies make progress, and a completed step leads to the next."""
    m = one.migration
    if _held(one):
        return
    if m.state is State.PREPARED and m.goal is not Goal.PREPARED:
        one.migration = m.enter(State.EXECUTING, now)
        one.live = Live(size=m.bytes_total or 0, begun=now)
    elif m.state is State.EXECUTING and one.live.size:
        _copy(one, m, passed, now)


def _held(one: Item) -> bool:
    return one.live.hold is not None or one.migration.paused


def _copy(one: Item, m: Migration, passed: float, now: float) -> None:
    live = one.live
    rate = live.rate or _RATE
    if m.rate is not None:
        rate = min(rate, float(m.rate)) or 1.0
    copied = min(live.size, live.copied + int(rate * passed))
    left = (live.size - copied) / rate
    one.live = replace(live, copied=copied, rate=rate, eta=left, ends=now + left, acting=True)
    if copied == live.size:
        one.migration = replace(m.enter(State.EXECUTED, now), bytes_copied=copied)
        one.live = Live()
