"""What a worker tells of its act: progress, and why an act failed or the worker was lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from errno import ESTALE

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
from ...control.metrics.counting import Sample
from ...model.jobs.protocol import Cause, Failed, Progress, Published, Report, Tell
from ...model.states import ActKind, Method
from ..records.registry import Count, Registry, TrackedMigration
from .verification import on_checkpoint
from .worker_slot import Job

log = logging.getLogger(__name__)


def lost_reason(job: Job, error: WorkerLost) -> FailureReason:
    """Why a worker that nobody stopped is gone."""
    m = job.tracked.migration
    if error.gave_up:
        return FailureReason(str(error), False)
    if m.opens_source and m.executed_at is None:
        crashed = source_crashed(job.act, error.signal, m.source.spec, m.target.spec)
        if crashed is not None:
            return crashed
    lost = worker_lost(job.act, str(error), m.target.spec)
    return crash_reason(m, job.act, error.signal, lost)


def listener(registry: Registry, tracked: TrackedMigration, act: ActKind) -> Tell:
    """Takes over what the worker tells while it does ``act``."""
    if act is ActKind.VERIFY:
        return on_checkpoint(registry, tracked)
    if act is ActKind.COMPLETE_OBJECTS:
        return on_sign_of_life(tracked)
    if act is ActKind.CUT_OVER:
        return on_published(tracked, registry.wake)
    return on_progress(tracked, registry.count)


def on_sign_of_life(tracked: TrackedMigration) -> Tell:
    """Takes events over that only say that the worker is alive."""

    def on_event(report: Report) -> None:
        tracked.progressed_at = time.monotonic()

    return on_event


def on_published(tracked: TrackedMigration, told: Callable[[], None]) -> Tell:
    """Takes over that clients may use the target; ``told`` wakes those that wait for it."""

    def on_event(report: Report) -> None:
        if isinstance(report, Published):
            tracked.published = True
            told()

    return on_event


def copied_more(tracked: TrackedMigration, copied: int) -> list[Sample]:
    """Samples of what a copy did since it was last asked; ``copied``: bytes on the target."""
    more = copied - tracked.copied
    if more <= 0:
        return []
    return [Sample("copied_bytes_total", (tracked.migration.method.value,), float(more))]


def on_progress(tracked: TrackedMigration, count: Count) -> Tell:
    """Takes the progress events of a copy over, and counts its bytes."""

    def on_event(report: Report) -> None:
        if not isinstance(report, Progress):
            return
        now = time.monotonic()
        tracked.lock_shared |= not report.alone
        if report.done > tracked.done:
            tracked.progressed_at = now
        tracked.done, tracked.total = report.done, report.total
        if report.bytes_total:
            count(*copied_more(tracked, report.bytes))
            tracked.copied, tracked.size = report.bytes, report.bytes_total
            tracked.throughput.observe(now, tracked.copied)

    return on_event


def explained(act: ActKind, failed: Failed, tracked: TrackedMigration) -> FailureReason:
    """What the administrator is told of an act that its worker says has failed."""
    errno = failed.errno
    if failed.cause is Cause.REFUSED:
        warm = tracked.migration.method is Method.WARM  # a client has to go first
        waits = act in (ActKind.VERIFY, ActKind.COMMIT, ActKind.FINISH_COMMIT)
        looked = waits or warm or tracked.migration.imported is not None
        return FailureReason(failed.message, errno == ESTALE or (looked and errno in TRANSIENT))
    if failed.cause is Cause.IN_USE:
        return FailureReason(failed.message, True)
    if failed.cause is Cause.BUG:
        log.error("the worker failed at %s:\n%s", act.value, failed.message)
        text = "An error in the module stopped it; the manager's log has the details."
        return FailureReason(text, False)
    m = tracked.migration
    if m.opens_source and m.executed_at is None:
        return explain_import(act, errno, m.source.spec, m.target.spec)
    return explain(act, errno, m.target.spec)
