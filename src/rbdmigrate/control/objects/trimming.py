"""Objects that librbd would copy incorrectly while OSDs trim removed snapshots. Pure.

An object's *clone* keeps its content for some snapshots. librbd reads a clone at the newest
snapshot that the clone has. Until the OSDs have trimmed it, a removed snapshot stays among them,
and a read at a removed snapshot finds nothing: librbd takes that for a hole and copies zeros.
Measured on releases 16, 18 and 20.

A clone that has only removed snapshots is never read, but it is among the differences between the
views before and after it. Where it is larger than the view after it, because the image was shrunk,
librbd reads beyond the end of that view. With fancy striping this fails with EINVAL, which librbd
takes for success: it copies nothing of the object. Measured on release 16; 18 and 20 copy such
objects correctly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from ...model.migration import Hold, Migration, TimelineEntry
from ...model.states import HoldReason
from ...model.untrimmed import Clone, RemovedSnapshots, Untrimmed

_FIRST_WAIT, _LONGEST_WAIT = 10.0, 300.0  # seconds between two checks
_NOTED = "waits until OSDs have trimmed removed snapshots"


def may_be_endangered(
    kept: Collection[int], newest: int, removed: RemovedSnapshots, *, striped: bool = False
) -> bool:
    """Whether the objects of an image have to be examined.

    ``kept``: the ids of the image's snapshots; ``newest``: the highest id that the image ever had.
    Ids belong to the pool: removed snapshots of other images count until the objects were
    examined. A clone is endangered by a removed snapshot that is newer than a kept one; with fancy
    striping (``striped``) by any, even if the image has no snapshots.
    """
    if striped:
        return removed.between(0, newest)
    remaining = [snapshot for snapshot in kept if snapshot not in removed]
    return bool(remaining) and removed.between(min(remaining), newest)


def endangered(
    clones: Iterable[Clone],
    kept: Collection[int],
    removed: RemovedSnapshots,
    *,
    striped: bool = False,
) -> bool:
    """Whether librbd would copy an object incorrectly.

    ``clones``: the oldest first, the head last. ``striped``: the image has fancy striping.
    """
    largest_removed = 0  # bytes, of the clones since the last one that is read
    for clone in clones:
        is_head = not clone.snapshots
        read = is_head or any(s in kept and s not in removed for s in clone.snapshots)
        if not read:
            largest_removed = max(largest_removed, clone.size)
            continue
        if not is_head and clone.snapshots[-1] in removed:
            return True
        if striped and largest_removed > clone.size:
            return True
        largest_removed = 0
    return False


def waiting(m: Migration, found: Untrimmed, now: float) -> Migration:
    """Return the record of a migration whose act has to wait, because librbd would copy it
    incorrectly.

    The check is repeated automatically, the later the longer a check takes. The timeline gets one
    entry for all of them.
    """
    intent, timeline = m.intent, m.timeline
    took = 0.0 if intent is None else max(0.0, now - intent.started)
    if intent is not None and len(timeline) > 1 and timeline[-1].at == intent.started:
        timeline = timeline[:-1]  # the entry of the act's start
    state = timeline[-1].state if timeline else m.state
    if not any(entry.message == _NOTED for entry in timeline[-1:]):
        timeline = (*timeline, TimelineEntry(now, state, _NOTED))
    until = now + min(_LONGEST_WAIT, max(_FIRST_WAIT, 5 * took))
    hold = Hold(HoldReason.HEALTH, f"{found.reason} It then goes on by itself.", until)
    return replace(m, state=state, timeline=timeline, intent=None, hold=hold, failure=None)
