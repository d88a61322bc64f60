"""A later snapshot for an import by the method ``copy``: only the difference is copied. Pure.

The mover copies the snapshots of an image one after another, so a target that holds one of them can
go on to a later one. What clients wrote to the target since would be mixed with it, which the guard
refuses; the worker asks again right before it writes (:mod:`rbdmigrate.worker.imports`).
"""

from __future__ import annotations

from dataclasses import replace
from errno import EAGAIN, EBUSY, EINVAL, EPERM

from ...model.bounds import shortened
from ...model.errors import MigrationError
from ...model.import_source import Import, LaterSnapshot
from ...model.jobs.answers import Copied
from ...model.migration import Migration
from ...model.source_spec import parse_source_spec
from ...model.states import Goal, Method, State
from ...model.watchers import name_users
from .abort_guard import TargetFound, why_touched
from .requests import (
    cleared_for_retry,
    refuse_aborting,
    refuse_committing,
    refuse_failed,
    without_consent,
)
from .situation import Situation

_COPIED = (State.EXECUTED, State.VERIFYING, State.VERIFIED)


def awaits_copy(m: Migration) -> bool:
    """Whether a later snapshot was asked for, and is not copied yet: it is prepared until then."""
    return m.imported is not None and m.imported.later is not None


def require_later_possible(m: Migration) -> Import:
    """The import of ``m``, which can go on to a later snapshot now. MigrationError."""
    refuse_aborting(m)
    refuse_committing(m)
    target = m.target.spec
    if m.method is Method.WARM:
        raise MigrationError(
            EINVAL,
            "A warm migration follows its source by itself, with its snapshots; leave out --snap.",
        )
    if m.imported is None or not m.imported.native or m.method is not Method.COPY:
        raise MigrationError(
            EINVAL,
            f"The import of {target} cannot go on to a later snapshot: only imports of a snapshot "
            "of an RBD image by the method copy can; leave out --snap."
            if m.imported is not None
            else f"{target} is not an import, so there is no snapshot to choose; leave out --snap.",
        )
    if m.imported.later is None and m.failed_in not in _COPIED:
        refuse_failed(m)
    failed = m.state is State.FAILED and m.failure is not None
    waits = m.state is State.PREPARED and m.imported.later is not None
    if not failed and not waits and m.state not in _COPIED:
        raise MigrationError(
            EAGAIN,
            f"{target} is {m.state.value}, and goes on to a later snapshot only when it is "
            "executed; wait for that.",
        )
    return m.imported


def guard_later(m: Migration, situation: Situation, found: TargetFound, *, force: bool) -> None:
    """Raise MigrationError(EBUSY, EPERM) unless the target of ``m`` is as it was copied.

    One whose copy of a later snapshot was cut off is not compared: it is not complete.
    """
    target = m.target.spec
    if found.users:
        raise MigrationError(
            EBUSY,
            f"The target {target} is open for writing by {name_users(found.users)}; what they "
            "write would be mixed with the later snapshot; stop the client first.",
        )
    reason = why_touched(m, found)
    if reason and situation is Situation.EXECUTED and not force:
        raise MigrationError(
            EPERM,
            f"{reason}; that would be mixed with the later snapshot; add --force if no client "
            "wrote to it.",
        )


def to_later(m: Migration, later: LaterSnapshot, situation: Situation, now: float) -> Migration:
    """The record with the request to go on to a later snapshot; with its own one: not to.

    Raises MigrationError(EBUSY, EAGAIN, EINVAL).
    """
    imported = require_later_possible(m)
    goal = Goal.EXECUTED if m.goal is Goal.PREPARED else m.goal
    m = replace(without_consent(cleared_for_retry(m)), goal=goal, paused=m.paused)
    if later.spec == imported.spec:
        if situation is not Situation.EXECUTED:
            raise MigrationError(
                EINVAL,
                f"The copy of a later snapshot to {m.target.spec} has begun already, and cannot "
                "go back; choose that one again, or another later one.",
            )
        held = replace(m, state=State.EXECUTED, imported=replace(imported, later=None))
        return replace(held, executed_at=m.executed_at or now)
    asked = replace(m, state=State.PREPARED, imported=replace(imported, later=later))
    return replace(asked, verification=None, executed_at=None)


def holds_later(m: Migration, answer: Copied) -> Migration:
    """The record when the target holds the snapshot that was asked for last."""
    imported = m.imported
    if imported is None or imported.later is None:
        return m
    spec = imported.later.spec
    name = parse_source_spec(spec).name.image
    return replace(
        m,
        verification=None,  # one that ended during the request is of what it held before
        source=replace(m.source, image=name),
        snapshots=len(answer.snapshots),
        imported=replace(
            imported,
            spec=spec,
            later=None,
            size=answer.size,
            snapshots=answer.snapshots,
            went_on=shortened(answer.went_on),
        ),
    )
