"""Changes that clients made to a target, as the record keeps them. Pure."""

from __future__ import annotations

from dataclasses import replace

from ...model.migration import Migration
from ...model.observation import Observation, TargetNow
from ...model.target_changes import NAMED, TargetChanges
from .situation import Situation


def with_changes(m: Migration, situation: Situation, seen: Observation) -> Migration:
    """Return the record with the changes of its target that ``seen`` shows."""
    target = seen.target
    if target is None or not m.target.image_id or target.image_id != m.target.image_id:
        return m
    changes = replace(m.target_changes, trashed=target.trashed_by_user)
    now = seen.target_now
    if now is not None:
        changes = _seen_now(m, changes, now)
        m = replace(m, snapshots=now.snapshots)
    if situation is Situation.EXECUTED:  # forbidden until then, harmless from now on
        lasting = changes if changes.grown_again else TargetChanges()
        changes = replace(lasting, removed=(), trashed=changes.trashed)
    return m if changes == m.target_changes else replace(m, target_changes=changes)


def _seen_now(m: Migration, changes: TargetChanges, now: TargetNow) -> TargetChanges:
    whole = m.target_header.size if m.target_header is not None else now.prepared_size
    smallest = changes.shrunk_to
    if now.size < (whole if smallest is None else smallest):
        smallest = now.size
    size = None if smallest is None else now.size
    return replace(changes, removed=now.removed[:NAMED], shrunk_to=smallest, size=size)
