"""What the engine does about verifications: their beginning, their checkpoints and their end."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from errno import EBADMSG
from typing import Optional

import rados

from ...cluster import image_snapshots
from ...cluster.pools import open_by_id
from ...control.lifecycle.decide import failed
from ...control.lifecycle.verification import (
    begun,
    describe_differences,
    due,
    left_behind,
    needs_full_verification,
    passed,
    soak_ends,
)
from ...model.jobs.protocol import Report, Tell, VerifyProgress
from ...model.migration import Hold, Migration
from ...model.states import ActKind, Goal, HoldReason, Method, State
from ...model.verification import Outcome, Verification
from ..records.registry import Registry, TrackedMigration

_COMPLETE = frozenset({State.EXECUTED, State.CUT_OVER, State.VERIFIED})
_CHECKPOINT = 3.0  # seconds between two checkpoints in the record


def begin(m: Migration, act: ActKind, fraction: float) -> Migration:
    """The record with the intent of a verification: with what seed it chooses."""
    if act is not ActKind.VERIFY:
        return m
    return begun(m, fraction, secrets.randbits(32), time.time())


def on_checkpoint(registry: Registry, tracked: TrackedMigration) -> Tell:
    """Takes a verification's progress events over, and writes a checkpoint now and then."""
    written = time.monotonic()

    def on_event(report: Report) -> None:
        nonlocal written
        if not isinstance(report, VerifyProgress):
            return
        now = time.monotonic()
        if report.bytes > tracked.compared:
            tracked.progressed_at = now
        tracked.compared, tracked.share = report.bytes, report.share
        tracked.throughput.observe(now, tracked.compared)
        if now - written >= _CHECKPOINT:
            written = now
            registry.update(tracked, lambda m: replace(m, verification=report.verification))

    return on_event


def with_outcome(m: Migration, v: Verification, now: float) -> Migration:
    """The record after a verification: verified, or failed where contents differ."""
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


def has_point(client: rados.Rados, m: Migration) -> bool:
    """Whether the source has the comparison snapshot."""
    with open_by_id(client, m.source.pool_id, m.source.namespace) as ioctx:
        return m.comparison_snapshot in image_snapshots.snapshot_names(ioctx, m.source.image_id)


def waits(m: Migration, now: float) -> Optional[Hold]:
    """Why a verified migration is not committed yet."""
    if m.goal is not Goal.COMMITTED or m.state not in _COMPLETE or due(m):
        return None
    if m.method is Method.WARM and m.cut_over_at is None:
        return None
    target, v = m.target.spec, m.verification
    if left_behind(m) and not m.force_commit:
        return Hold(
            HoldReason.OPERATOR,
            f"{left_behind(m)}. `ceph rbd migration execute {target} --snap` copies a later "
            f"snapshot, `ceph rbd migration commit {target} --force` commits all the same, `ceph "
            f"rbd migration abort {target}` gives it up.",
        )
    if needs_full_verification(m) and m.imported is not None and not m.force_commit:
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
