"""What is written into the record of a migration before an act, and while it is under way."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Optional

from ...cluster.worker_process import WorkerProcess
from ...control.lifecycle.aborting import written_by_us_alone
from ...control.lifecycle.decide import ACTING
from ...control.lifecycle.verification import comparison_snapshot_name
from ...control.lifecycle.warm import is_refresh_round, kept_hold
from ...model.migration import Actor, Intent, Migration
from ...model.states import ActKind, Method
from ...model.verification import Verify
from ..records.tracked import TrackedMigration
from .verification import begin


def actor_of(worker: WorkerProcess, manager: str, host: str) -> Actor:
    """Who does the acts of this worker, to find and to fence it later."""
    return Actor(
        manager, host, worker.pid, worker.addresses, worker.clients, worker.process_identity
    )


def with_intent(
    m: Migration, act: ActKind, actor: Actor, touched: bool, fraction: float
) -> Migration:
    """The record with the intent of ``act``, which is written before the act begins."""
    now = time.time()
    state = m.state if is_refresh_round(m, act) else ACTING.get(act, m.state)
    acting = begin(m.enter(state, now), act, fraction)
    if act is ActKind.PREPARE and m.imported is not None:
        acting = replace(acting, imported=m.imported.to_be_made(actor.clients))
    if act is ActKind.EXECUTE:
        by_librbd = m.method is Method.LIVE and m.imported is None
        acting = replace(acting, objects_complete=False, copy_checked=not by_librbd)
    head = m.imported is not None and not m.imported.native and m.method is Method.COPY
    if act is ActKind.PREPARE and (
        head or (m.verify is not Verify.NONE and m.method is Method.LIVE)
    ):
        acting = replace(acting, comparison_snapshot=comparison_snapshot_name(m.id))
    return replace(acting, intent=Intent(act, now, actor), hold=kept_hold(m, act), touched=touched)


def with_bytes(m: Migration, tracked: TrackedMigration) -> Migration:
    """The record with how much of the copy is done, as its worker told last.

    A round that refreshes a target tells only of itself.
    """
    if is_refresh_round(m, ActKind.EXECUTE):
        return m
    return replace(m, bytes_copied=tracked.copied, bytes_total=tracked.size or m.bytes_total)


def with_copy_cut_off(m: Migration, tracked: TrackedMigration, version: Optional[int]) -> Migration:
    """The record after a copy that was cut off.

    ``version`` is that of the write that took the lock from the copy's worker; None where
    that did not hold it. Nobody else had the lock until then, unless the copy was seen to begin
    again. What a client does from then on makes the version another one.
    """
    m = with_bytes(m, tracked)
    if tracked.lock_shared:
        return replace(m, touched=True)
    return m if version is None else written_by_us_alone(m, version)


def with_change(m: Migration, sentence: str) -> Migration:
    """What was copied may be of something else: only a full comparison clears that."""
    if m.imported is None:
        return m
    return replace(m, imported=m.imported.changed([sentence]))
