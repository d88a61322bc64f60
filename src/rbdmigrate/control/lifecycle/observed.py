"""What an observation means for the record: its state, the target's id, names and changes. Pure."""

from __future__ import annotations

from dataclasses import replace

from ...model.migration import Migration
from ...model.observation import Observation
from ...model.states import Goal, Method, State
from .later_snapshot import awaits_copy
from .situation import Situation
from .target_changes import with_changes
from .verification import due

_STATES = {
    Situation.UNTOUCHED: State.QUEUED,
    Situation.TARGET_TAKEN: State.QUEUED,
    Situation.PREPARED: State.PREPARED,
    Situation.EXECUTING: State.EXECUTING,
    Situation.EXECUTED: State.EXECUTED,
    Situation.CUT_OVER: State.CUT_OVER,
}
_BEFORE = frozenset({Situation.UNTOUCHED, Situation.PREPARED, Situation.EXECUTED})
_MADE = frozenset({Situation.PREPARED, Situation.EXECUTED, Situation.CUT_OVER})
# States that are reached only when a prepare has completed.
_LINKED = (
    State.PREPARED,
    State.EXECUTING,
    State.EXECUTED,
    State.CUTTING_OVER,
    State.CUT_OVER,
    State.VERIFYING,
    State.VERIFIED,
    State.COMMITTING,
    State.ABORTING,
)


def with_observation(
    migration: Migration, situation: Situation, seen: Observation, now: float
) -> Migration:
    """Return the record updated from what was observed: state, the target's id, names, changes.

    Half-done situations leave the state as it is, since it shows whose act was interrupted.
    """
    warm = migration.method is Method.WARM
    observed = _observed_warm if warm else _observed
    return with_changes(observed(migration, situation, seen, now), situation, seen)


def _observed(
    migration: Migration, situation: Situation, seen: Observation, now: float
) -> Migration:
    m = with_pool_names(migration, seen)
    if unanswered(m, situation):
        return m
    linked = situation in (Situation.PREPARED, Situation.EXECUTING, Situation.EXECUTED)
    known = seen.target is not None and seen.target.image_id == m.target.image_id
    half = situation in (Situation.HALF_ABORTED, Situation.HALF_COMMITTED)
    if seen.target is not None and (linked or (half and known)):
        target = replace(m.target, image_id=seen.target.image_id)
        if seen.target.name:
            target = replace(target, image=seen.target.name)
        m = replace(m, target=target)
    if situation is Situation.UNTOUCHED and seen.source is not None and not was_linked(m):
        m = replace(m, source=replace(m.source, image=seen.source.name))
    if situation is Situation.HALF_COMMITTED:
        return replace(m, goal=Goal.COMMITTED)  # past the point of no return, whoever began it
    state = _STATES.get(situation)
    if state is State.EXECUTED and awaits_copy(m):
        state = State.PREPARED
    if state is None or m.state is State.FAILED or (state is State.QUEUED and was_linked(m)):
        return m
    if state is State.EXECUTED and (m.state is State.VERIFIED or _verifying(m)):
        return m  # librbd has no later state than executed
    return m.enter(state, now)


def _observed_warm(
    migration: Migration, situation: Situation, seen: Observation, now: float
) -> Migration:
    m = with_pool_names(migration, seen)
    if unanswered(m, situation):
        return m
    if situation is Situation.HALF_COMMITTED and m.state is State.ABORTING:
        return m  # the source is gone, and an abort makes the target an ordinary image
    if situation is Situation.HALF_COMMITTED:
        return replace(m, goal=Goal.COMMITTED)
    m = _names_followed(m, situation, seen)
    state = _STATES.get(situation)
    if state is None or m.state is State.FAILED or (state is State.QUEUED and was_linked(m)):
        return m
    if situation is Situation.PREPARED and m.state is State.EXECUTED:
        return m  # a round was cut off; the target still has the snapshot of the one before
    acting = {Situation.EXECUTED: State.CUTTING_OVER, Situation.CUT_OVER: State.ABORTING}
    if m.state is acting.get(situation) and not m.state.ended:
        return m  # cut off while both images had their names; clients may be locked out
    if state is State.CUT_OVER and m.state is State.CUTTING_OVER and m.goal is not Goal.ABORTED:
        return m  # its worker never told by which snapshot both are compared
    if state is State.CUT_OVER and (m.state is State.VERIFIED or _verifying(m)):
        return m
    return m.enter(state, now)


def _names_followed(m: Migration, situation: Situation, seen: Observation) -> Migration:
    """The record with the names that users gave to its images; one in place has one name."""
    source, target, in_place = seen.source, seen.target, m.in_place
    if target is not None and situation in _MADE:
        m = replace(m, target=replace(m.target, image_id=target.image_id))
    if target is not None and situation is Situation.CUT_OVER:
        m = replace(m, target=replace(m.target, image=target.name))
        return replace(m, source=replace(m.source, image=target.name)) if in_place else m
    if source is None or not source.listed or situation not in _BEFORE:
        return m
    m = replace(m, source=replace(m.source, image=source.name))
    return replace(m, target=replace(m.target, image=source.name)) if in_place else m


def _verifying(m: Migration) -> bool:
    return m.state is State.VERIFYING and due(m)


def unanswered(m: Migration, situation: Situation) -> bool:
    """Whether a prepare of ours looks complete, but its worker never reported success.

    librbd writes "prepared" into both headers before it moves the source's clones to the target: a
    prepare interrupted there would lose them at the commit.
    """
    return situation is Situation.PREPARED and m.state is State.PREPARING


def with_pool_names(m: Migration, seen: Observation) -> Migration:
    """Return the record with the current names of its pools, which may have been renamed."""
    source = replace(m.source, pool=seen.source_pool or m.source.pool)
    target = replace(m.target, pool=seen.target_pool or m.target.pool)
    return replace(m, source=source, target=target)


def was_linked(m: Migration) -> bool:
    """Whether its prepare was completed once."""
    return m.prepared_at is not None or m.state in _LINKED
