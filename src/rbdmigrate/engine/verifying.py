"""What the engine does about verifications: their beginning, their checkpoints and their end."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from errno import EAGAIN, EBADMSG, EPERM
from typing import Any, Optional

import rados

from ..cluster import headers
from ..cluster.pools import open_by_id
from ..control.lifecycle import failed
from ..control.verification import (
    at_least,
    begun,
    covers,
    describe_differences,
    doubtful,
    due,
    passed,
    soak_ends,
)
from ..model.codec import from_plain, to_plain
from ..model.errors import MigrationError
from ..model.migration import Goal, Hold, HoldReason, Migration, Op, State
from ..model.verification import Outcome, Verification, Verify
from .registry import Registry, Tracked

_CHECKPOINT = 3.0  # seconds between two checkpoints in the record


def begin(m: Migration, op: Op, fraction: float) -> Migration:
    """The record with the intent of a verification: with what seed it chooses."""
    if op is not Op.VERIFY:
        return m
    return begun(m, fraction, secrets.randbits(32), time.time())


def verify_arguments(m: Migration) -> dict[str, Any]:
    """What the worker needs of the record, beside what every act needs."""
    return {
        "point": m.point,
        "no_point": m.no_point,
        "untouched": None if m.touched else m.target_version,
        "verification": None if m.verification is None else to_plain(m.verification),
    }


def on_checkpoint(registry: Registry, tracked: Tracked) -> Callable[[dict[str, Any]], None]:
    """Takes a verification's progress events over, and writes a checkpoint now and then."""
    written = time.monotonic()

    def on_event(event: dict[str, Any]) -> None:
        nonlocal written
        now = time.monotonic()
        if int(event["bytes"]) > tracked.compared:
            tracked.moved_at = now
        tracked.compared, tracked.share = int(event["bytes"]), float(event["share"])
        tracked.throughput.observe(now, tracked.compared)
        if now - written >= _CHECKPOINT:
            written = now
            reached = from_plain(Verification, event["verification"], "verification")
            registry.update(tracked, lambda m: replace(m, verification=reached))

    return on_event


def settled(m: Migration, result: dict[str, Any], now: float) -> Migration:
    """The record with the result of a verification: verified, or failed where contents differ."""
    v = from_plain(Verification, result["verification"], "verification")
    m = replace(m, verification=v)
    if v.outcome is not Outcome.FAILED:
        word = "all is equal" if v.outcome is Outcome.PASSED else "; ".join(v.reasons)
        return m.enter(State.VERIFIED, now, f"{v.mode.value}: {word}")
    target = m.target.spec
    message = (
        f"{target} differs from its source: {describe_differences(v)} (bytes); the source is "
        f"untouched, and a commit is refused."
    )
    return failed(m, EBADMSG, message, now)


def refuse_unverified(m: Migration) -> None:
    """Raise MigrationError unless what the policy wants compared was found equal."""
    v, target = m.verification, m.target.spec
    if v is not None and v.outcome is Outcome.FAILED:
        raise MigrationError(
            EPERM,
            f"{target} differs from its source ({describe_differences(v)}), so committing would "
            f"lose data; look at `ceph rbd migration status {target}`, verify again with "
            "`retry`, or add --force.",
        )
    if doubtful(m) and m.imported is not None:
        raise MigrationError(
            EPERM,
            f"{m.imported.changes[0][:-1]}; compare it with `ceph rbd migration verify {target} "
            "--mode full`, import it again, or add --force.",
        )
    if passed(m):
        return
    if v is None or v.outcome is None or not covers(v.mode, m.verify):
        mode = " --mode sample" if m.verify is Verify.SAMPLE else ""
        raise MigrationError(
            EAGAIN,
            f"{target} is to be compared with its source before ({m.verify.value}) and is not yet; "
            f"`ceph rbd migration verify {target}{mode}` does it, `ceph rbd migration set {target} "
            "--verify none` or --force do without.",
        )
    raise MigrationError(
        EPERM,
        f"{target} was compared in part only ({'; '.join(v.reasons)}); add --force if what was "
        "compared is enough.",
    )


def require_executed(m: Migration) -> None:
    """Raise MigrationError when there is nothing to compare yet."""
    comparable = m.state in (State.EXECUTED, State.VERIFYING, State.VERIFIED)
    again = m.state is State.FAILED and m.failed_in in (State.VERIFYING, State.COMMITTING)
    if not comparable and not again:
        raise MigrationError(
            EAGAIN,
            f"{m.target.spec} is {m.state.value}, so there is nothing to compare; verify it when "
            "it is executed.",
        )


def asked_to_verify(m: Migration, mode: Verify) -> Migration:
    """The record of a migration whose contents are to be compared (again)."""
    goal = m.goal if m.goal is Goal.COMMITTED else Goal.VERIFIED
    m = m.enter(State.VERIFYING, time.time())
    return replace(m, verify=mode, verification=None, goal=goal, force_commit=False)


def stricter(m: Migration, verify: Verify) -> Migration:
    """The record of a migration that is asked for once more: with more to compare, if so."""
    verify = at_least(m.goal, verify)
    return m if covers(m.verify, verify) else replace(m, verify=verify)


def has_point(client: rados.Rados, m: Migration) -> bool:
    """Whether the source has the comparison snapshot."""
    with open_by_id(client, m.source.pool_id, m.source.namespace) as ioctx:
        return m.point in headers.snapshot_names(ioctx, m.source.image_id)


def to_commit(m: Migration, *, force: bool) -> Migration:
    """The record of a migration that is to be committed now: no soak time holds it."""
    return replace(m, goal=Goal.COMMITTED, force_commit=force, soak=0.0)


def again(m: Migration) -> Migration:
    """The record without a verification that failed: a retry compares anew."""
    v = m.verification
    return replace(m, verification=None) if v is not None and v.outcome is Outcome.FAILED else m


def waits(m: Migration, now: float) -> Optional[Hold]:
    """Why a verified migration is not committed yet."""
    if m.goal is not Goal.COMMITTED or m.state not in (State.EXECUTED, State.VERIFIED) or due(m):
        return None
    target, v = m.target.spec, m.verification
    if doubtful(m) and m.imported is not None and not m.force_commit:
        return Hold(
            HoldReason.OPERATOR,
            f"{m.imported.changes[0]} `ceph rbd migration verify {target} --mode full` compares "
            f"it, `ceph rbd migration commit {target} --force` commits all the same, `ceph rbd "
            f"migration abort {target}` gives it up.",
        )
    if not passed(m) and v is not None and not m.force_commit:
        return Hold(
            HoldReason.OPERATOR,
            f"Not all of it was compared ({'; '.join(v.reasons)}); `ceph rbd migration commit "
            f"{target} --force` commits all the same, `ceph rbd migration abort {target}` goes "
            "back.",
        )
    until = soak_ends(m, now)
    if until is not None:
        return Hold(
            HoldReason.SOAK,
            f"It is committed when its soak time is over; `ceph rbd migration set {target} "
            "--soak 0` ends it.",
            until,
        )
    return None
