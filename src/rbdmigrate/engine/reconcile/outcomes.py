"""What a worker's answer to an act means for the record of the migration."""

from __future__ import annotations

from dataclasses import replace

from ...control.lifecycle.aborting import written_by_us_alone
from ...control.lifecycle.crashes import after_success
from ...control.lifecycle.cutover import cut_over, prepare_to_undo
from ...control.lifecycle.later_snapshot import holds_later
from ...control.lifecycle.reverse import copied_back
from ...control.lifecycle.warm import is_refresh_round, kept_hold, removes_snapshots, synchronized
from ...control.objects.trimming import waiting
from ...model.jobs.answers import (
    Answer,
    Armed,
    Copied,
    CopiedBack,
    CutOverDone,
    NotTrimmed,
    ObjectsCompleted,
    Prepared,
    Synchronized,
    Verified,
)
from ...model.migration import Migration
from ...model.states import ActKind, State
from .verification import with_outcome


def with_answer(m: Migration, act: ActKind, answer: Answer, now: float) -> Migration:
    """The record after an act that was done, or that has to wait for OSDs to trim snapshots."""
    if isinstance(answer, NotTrimmed):  # a guest does not wait for that
        return waiting(replace(m, release=None), answer.untrimmed, now)
    if act is ActKind.UNDO_PREPARE and prepare_to_undo(m):
        return replace(m, intent=None)
    if isinstance(answer, ObjectsCompleted):  # the attempts to copy are counted on
        return replace(m, intent=None, objects_complete=True)
    m = after_success(_cleared(m, act), act)
    if isinstance(answer, Prepared):
        return _prepared(m.enter(State.PREPARED, now), answer)
    if isinstance(answer, Copied):
        return _copied(m, answer)
    if isinstance(answer, Synchronized):
        return synchronized(m, answer)
    if isinstance(answer, Armed):
        return synchronized(m, answer.last)
    if isinstance(answer, CopiedBack):
        return copied_back(m, answer)
    if isinstance(answer, CutOverDone):
        return cut_over(m, answer, now)
    if isinstance(answer, Verified):
        return with_outcome(m, answer.verification, now)
    return replace(m, comparison_snapshot="") if removes_snapshots(m, act) else m


def _cleared(m: Migration, act: ActKind) -> Migration:
    """The record after an act that was done: no failure, and no hold of former attempts.

    What came up while a round refreshed the target is another matter, such as a cutover that was
    put off: it stays, with its count of attempts.
    """
    if not is_refresh_round(m, act):
        return replace(m, intent=None, hold=kept_hold(m, act), failure=None, attempts=0)
    return replace(m, intent=None, failure=None, attempts=0 if m.failure else m.attempts)


def _prepared(m: Migration, answer: Prepared) -> Migration:
    return replace(
        m,
        release=None,
        target=replace(m.target, image_id=answer.target_id),
        target_version=answer.version,
        target_header=answer.header,
        no_comparison_snapshot=answer.no_comparison_snapshot,
        comparison_snapshot="" if answer.no_comparison_snapshot else m.comparison_snapshot,
    )


def _copied(m: Migration, answer: Copied) -> Migration:
    m = holds_later(replace(m, copy_checked=True), answer)
    if answer.alone:
        m = written_by_us_alone(m, answer.version)
    else:
        m = replace(m, target_version=answer.version, touched=True)
    if m.imported is not None:
        m = replace(m, imported=m.imported.changed(answer.changes))
    if answer.header is not None:
        m = replace(m, target_header=answer.header)
    size = answer.bytes_total
    return replace(m, bytes_copied=size, bytes_total=size or m.bytes_total)
