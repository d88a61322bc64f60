"""Diagnosis: the situation that an observation of the cluster shows. Pure.

librbd's prepare, execute, commit and abort each consist of many small writes; a process killed
between two of them leaves an intermediate situation. All of them are named here;
``doc/design/recovery.rst`` tells how they were found and what each looks like.
"""

from __future__ import annotations

import enum
from typing import Optional

from ...model.image_ident import id_in_headers, is_old_format
from ...model.migration import Migration
from ...model.observation import HeaderState, ImageView, NamesNow, Observation
from ...model.rounds import hidden_name
from ...model.states import Method


class Situation(str, enum.Enum):
    """The state of source and target on disk, in the terms that decisions need."""

    UNTOUCHED = "untouched"  # the source as it was, no target
    TARGET_TAKEN = "target-taken"  # the source as it was, the target's name is another image's
    HALF_PREPARED = "half-prepared"  # prepare was interrupted; the source is safe, not the target
    PREPARED = "prepared"
    EXECUTING = "executing"  # copying was begun; a process may still be copying
    EXECUTED = "executed"
    HALF_CUT_OVER = "half-cut-over"  # no name leads to one of the images, or not all say so yet
    CUT_OVER = "cut-over"  # the target has its name, the source is in the trash
    HALF_ABORTED = "half-aborted"  # abort was begun; the target may be incomplete
    HALF_COMMITTED = "half-committed"  # the target stands alone, the source is not quite gone
    COMMITTED = "committed"  # the target stands alone, the source is gone
    SOURCE_LOST = "source-lost"  # the target still needs a source that is gone
    SOURCE_LOST_AFTER = "source-lost-after"  # the source is gone, the target is complete
    LOST = "lost"  # neither source nor target
    SOURCE_POOL_GONE = "source-pool-gone"  # removed with its pool or namespace
    TARGET_POOL_GONE = "target-pool-gone"


HALF_DONE = frozenset({Situation.HALF_PREPARED, Situation.HALF_ABORTED, Situation.HALF_COMMITTED})

_BY_STATE = {
    HeaderState.ERROR: Situation.HALF_PREPARED,
    HeaderState.PREPARING: Situation.HALF_PREPARED,
    HeaderState.PREPARED: Situation.PREPARED,
    HeaderState.EXECUTING: Situation.EXECUTING,
    HeaderState.EXECUTED: Situation.EXECUTED,
    HeaderState.ABORTING: Situation.HALF_ABORTED,
}


def diagnose(migration: Migration, seen: Observation) -> Situation:
    """Return the situation that ``seen`` shows for ``migration``."""
    if migration.from_another_cluster:
        return _of_warm_target(migration, seen)
    if migration.imported is not None:
        return _of_import(migration, seen)
    if migration.method is Method.WARM:
        return _of_warm(migration, seen)
    if seen.target_gone:
        return _without_target_pool(migration, seen.source)
    if seen.source_gone:
        return _without_source_pool(migration, seen.target)
    source, target = seen.source, seen.target
    if source is not None and source.image_id != migration.source.image_id:
        source = None  # another image has taken the name in the meantime
    if target is not None and target.image_id == migration.source.image_id:
        target = None  # in place: the name is still the source's
    if source is None:
        return _without_source(migration, target)
    if source.header is None or not source.header.is_source:
        return _without_source_header(migration, source, target)
    return _with_source_header(source, source.header.state, target)


def _of_import(m: Migration, seen: Observation) -> Situation:
    """The situation of an import, whose source is not observed and cannot be lost."""
    linked, target = m.prepared_at is not None, seen.target
    if seen.target_gone:
        return Situation.UNTOUCHED if linked else Situation.TARGET_POOL_GONE
    if target is None:
        return Situation.UNTOUCHED
    assert m.imported is not None
    if not (_is_ours(m, target) or m.imported.made(target.image_id)):
        return Situation.TARGET_TAKEN
    if not target.exists:
        return Situation.HALF_ABORTED if linked else Situation.HALF_PREPARED
    if target.header is None:
        return Situation.COMMITTED if linked else Situation.HALF_PREPARED
    return _BY_STATE[target.header.state]


def _of_warm(m: Migration, seen: Observation) -> Situation:
    """The situation of a migration by the method ``warm``: its target is an image of its own.

    Which image has the name tells whether it is cut over. An image that somebody renamed is found
    by its id, and its name is not one that a cutover leaves.
    """
    source, target = seen.source, seen.target
    if source is not None and source.image_id != m.source.image_id:
        source = None
    if target is None or not _is_ours_warm(m, target):
        return _without_warm_target(m, seen, source)
    header = target.header
    if header is not None and header.state is HeaderState.ABORTING:
        return Situation.HALF_ABORTED
    names = seen.names or NamesNow(source=False, target=False, complete=False)
    moved = _target_renamed(m, target) and not names.source
    if source is None and not (names.target or moved):
        return Situation.SOURCE_LOST
    if source is None:
        return Situation.COMMITTED if header is None else Situation.HALF_COMMITTED
    if names.target or moved:
        return Situation.CUT_OVER if names.complete or moved else Situation.HALF_CUT_OVER
    if not (names.source or (_named(source) and source.name != m.source.image)):
        return Situation.HALF_CUT_OVER
    if header is None:
        return Situation.HALF_PREPARED if m.prepared_at is None else Situation.PREPARED
    return _BY_STATE[header.state]


def _of_warm_target(m: Migration, seen: Observation) -> Situation:
    """The situation of a migration from another cluster, by its target alone.

    An abort ends with the removal of the target, and only its answer tells that the source is as it
    was (the record has no ``comparison_snapshot`` then).
    """
    target = seen.target
    if target is None or not _is_ours_warm(m, target):
        if m.comparison_snapshot:
            return Situation.HALF_ABORTED
        lost = seen.target_gone and m.prepared_at is None
        return Situation.TARGET_POOL_GONE if lost else Situation.UNTOUCHED
    if not target.exists:
        return Situation.HALF_PREPARED if m.prepared_at is None else Situation.HALF_ABORTED
    names = seen.names or NamesNow(source=False, target=False, complete=False)
    moved = _target_renamed(m, target)
    if (names.target or moved) and target.header is None:
        return Situation.COMMITTED
    if names.target or moved:
        return Situation.CUT_OVER if names.complete or moved else Situation.HALF_CUT_OVER
    if target.header is None:
        return Situation.HALF_PREPARED if m.prepared_at is None else Situation.PREPARED
    return _BY_STATE[target.header.state]


def _is_ours_warm(m: Migration, target: ImageView) -> bool:
    """By its id; until the prepare answered, by the name that only we give."""
    if m.target.image_id:
        return _is_ours(m, target)
    return target.name == hidden_name(m.id)


def _target_renamed(m: Migration, target: ImageView) -> bool:
    """Whether somebody gave the target another name after the cutover."""
    other = target.name not in (hidden_name(m.id), m.target.image)
    return m.cut_over_at is not None and other and _named(target)


def _named(image: ImageView) -> bool:
    return image.listed and not image.trashed


def _without_warm_target(m: Migration, seen: Observation, source: Optional[ImageView]) -> Situation:
    if source is None:
        return Situation.SOURCE_POOL_GONE if seen.source_gone else Situation.LOST
    untouched = _named(source) or not m.target.image_id
    if seen.target_gone:
        return (
            Situation.UNTOUCHED if untouched and m.target.image_id else Situation.TARGET_POOL_GONE
        )
    if not untouched:
        return Situation.HALF_ABORTED
    taken = seen.target is not None and seen.target.image_id != source.image_id
    return Situation.TARGET_TAKEN if taken and not m.in_place else Situation.UNTOUCHED


def _without_target_pool(migration: Migration, source: Optional[ImageView]) -> Situation:
    whole = source is not None and source.listed and not source.trashed and not source.header
    given_back = whole and migration.target.image_id
    return Situation.UNTOUCHED if given_back else Situation.TARGET_POOL_GONE


def _without_source_pool(migration: Migration, target: Optional[ImageView]) -> Situation:
    found = _without_source(migration, target)
    return Situation.SOURCE_POOL_GONE if found is Situation.LOST else found


def _without_source(migration: Migration, target: Optional[ImageView]) -> Situation:
    if target is None or not _is_ours(migration, target):
        return Situation.LOST
    if target.header is None:
        return Situation.COMMITTED
    whole = target.header.state is HeaderState.EXECUTED
    return Situation.SOURCE_LOST_AFTER if whole else Situation.SOURCE_LOST


def _without_source_header(
    migration: Migration, source: ImageView, target: Optional[ImageView]
) -> Situation:
    if source.trashed:
        # In the trash and not linked to a target: before the link, or after its final removal.
        ours = target is not None and target.header is None and _is_ours(migration, target)
        return Situation.HALF_COMMITTED if ours else Situation.HALF_PREPARED
    if target is None:
        return Situation.UNTOUCHED
    if target.header is not None and _points_to(target, source):
        return Situation.HALF_ABORTED
    return Situation.TARGET_TAKEN


def _with_source_header(
    source: ImageView, state: HeaderState, target: Optional[ImageView]
) -> Situation:
    assert source.header is not None
    linked = target is not None and target.image_id == source.header.image_id
    if state in (HeaderState.PREPARING, HeaderState.ERROR):
        return Situation.HALF_PREPARED
    if target is None or not linked:
        return Situation.HALF_ABORTED
    if target.header is None:
        executed = state is HeaderState.EXECUTED
        return Situation.HALF_COMMITTED if executed else Situation.HALF_ABORTED
    if HeaderState.ABORTING in (state, target.header.state):
        return Situation.HALF_ABORTED
    # The two headers are written one after the other: the earlier of their states is the current.
    return _BY_STATE[min(state, target.header.state)]


def _is_ours(migration: Migration, target: ImageView) -> bool:
    return bool(migration.target.image_id) and target.image_id == migration.target.image_id


def _points_to(target: ImageView, source: ImageView) -> bool:
    if target.header is None or target.header.image_id != id_in_headers(source.image_id):
        return False
    return not is_old_format(source.image_id) or target.header.image == source.name
