"""What a worker tells of its act: progress, and why an act failed or the worker was lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from errno import ESTALE
from typing import Any

from ...cluster.worker_process import WorkerLost
from ...control.lifecycle.crashes import crash_reason
from ...control.lifecycle.failures import (
    TRANSIENT,
    FailureReason,
    explain,
    explain_import,
    source_crashed,
    worker_lost,
)
from ...model.migration import Op
from ..records.tracked import TrackedMigration
from .worker_slot import Job

log = logging.getLogger(__name__)


def lost_reason(job: Job, error: WorkerLost) -> FailureReason:
    """Why a worker that nobody stopped is gone."""
    m = job.tracked.migration
    if error.gave_up:
        return FailureReason(str(error), False)
    if m.imported is not None and not m.imported.native and m.executed_at is None:
        crashed = source_crashed(job.op, error.signal, m.source.spec, m.target.spec)
        if crashed is not None:
            return crashed
    lost = worker_lost(job.op, str(error), m.target.spec)
    return crash_reason(m, job.op, error.signal, lost)


def on_sign_of_life(tracked: TrackedMigration) -> Callable[[dict[str, Any]], None]:
    """Takes events over that only say that the worker is alive."""

    def on_event(event: dict[str, Any]) -> None:
        tracked.moved_at = time.monotonic()

    return on_event


def on_progress(tracked: TrackedMigration) -> Callable[[dict[str, Any]], None]:
    """Takes the progress events of a copy over."""

    def on_event(event: dict[str, Any]) -> None:
        now = time.monotonic()
        tracked.lock_shared |= not event.get("alone", True)
        if int(event["done"]) > tracked.done:
            tracked.moved_at = now
        tracked.done, tracked.total = int(event["done"]), int(event["total"])
        if event["bytes_total"]:
            tracked.copied, tracked.size = int(event["bytes"]), int(event["bytes_total"])
            tracked.throughput.observe(now, tracked.copied)

    return on_event


def explained(op: Op, event: dict[str, Any], tracked: TrackedMigration) -> FailureReason:
    """What the administrator is told of an act that its worker says has failed."""
    if event["cause"] == "refused":
        text = str(event["message"])
        errno = int(event["errno"])
        looked = op is Op.VERIFY or tracked.migration.imported is not None
        return FailureReason(text, errno == ESTALE or (looked and errno in TRANSIENT))
    if event["cause"] == "bug":
        log.error("the worker failed at %s:\n%s", op.value, event["message"])
        text = "An error in the module stopped it; the manager's log has the details."
        return FailureReason(text, False)
    errno = int(event["errno"])
    m = tracked.migration
    if m.imported is not None and not m.imported.native and m.executed_at is None:
        return explain_import(op, errno, m.source.spec, m.target.spec)
    return explain(op, errno, m.target.spec)
