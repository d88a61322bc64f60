"""The abort guard: whether an abort would lose changes that clients made on the target. Pure.

librbd's abort copies the target's head back into the source, ignores errors while it does so, and
loses snapshots, resizes, discards and settings that were made on the target (measured, release 16;
see ``doc/design/recovery.rst``). So an abort needs proof that nobody touched the target, or has to
be forced. The guard decides when the abort is requested, and again right before it begins, since a
client may have opened the target in between. Force covers changes made until the request, not later
ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from errno import EBUSY, EPERM
from typing import Optional

from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.states import Method
from ...model.target_header import TargetHeader
from ...model.watchers import Watcher, name_users

_LOST = "aborting loses snapshots, resizes and discards made on the target, and may lose writes"
_LOST_IMPORT = "aborting removes the target, and what clients wrote to it is lost"


@dataclass(frozen=True)
class TargetFound:
    """The target as observed, for the guard.

    ``users``: the clients that have it open for writing. ``locks``: it has the feature
    exclusive-lock; without it writes leave no trace in the header. ``version``: of its header
    object. ``own_act_writes``: our own copy runs and writes the header all the time, so the version
    shows nothing. ``copied``: a copy was begun at some time.
    """

    users: Sequence[Watcher]
    locks: bool
    version: Optional[int]
    header: Optional[TargetHeader]
    own_act_writes: bool = False
    copied: bool = True


def guard_abort(m: Migration, found: TargetFound, *, force: bool) -> None:
    """Raise MigrationError unless aborting ``m`` is safe, or forced: EBUSY or EPERM.

    An open target cannot be aborted at all, forced or not.
    """
    _refuse_open(m, found)
    reason = "" if force else why_touched(m, found)
    if reason:
        raise MigrationError(EPERM, f"{reason}; {_lost(m)}; add --force to abort anyway.")


def guard_abort_again(m: Migration, found: TargetFound) -> None:
    """Raise MigrationError unless the abort that was accepted for ``m`` is safe to begin now.

    It is when the target is untouched, or exactly as it was when the abort was forced.
    """
    _refuse_open(m, found)
    reason = why_touched(m, found)
    if not reason:
        return
    if m.abort is not None and m.abort.forced:
        if _same(m, found):
            return
        reason = f"{m.target.spec} was changed after its abort was forced, or may have been"
    raise MigrationError(
        EPERM,
        f"The abort was not begun: {reason}; {_lost(m)}; `ceph rbd migration abort "
        f"{m.target.spec} --force` aborts anyway, `ceph rbd migration resume "
        f"{m.target.spec}` goes on.",
    )


def _refuse_open(m: Migration, found: TargetFound) -> None:
    if found.users:
        raise MigrationError(
            EBUSY,
            f"The target {m.target.spec} is open for writing by {name_users(found.users)}; stop "
            f"the client, then abort again; note that {_lost(m)}.",
        )


def _lost(m: Migration) -> str:
    return _LOST if m.imported is None else _LOST_IMPORT


def _same(m: Migration, found: TargetFound) -> bool:
    """Whether the target is unchanged since its abort was forced."""
    abort = m.abort
    return (
        abort is not None
        and abort.version is not None
        and (abort.version, abort.header) == (found.version, found.header)
    )


def why_touched(m: Migration, found: TargetFound) -> str:
    """How the target was, or may have been, changed since it was prepared; else empty."""
    target, before, now = m.target.spec, m.target_header, found.header
    by_mover = m.method is Method.COPY and m.executed_at is None  # it gives the target snapshots
    if not by_mover and before is not None and now is not None and before != now:
        return f"{_changes(before, now)} of {target} changed since it was prepared"
    if not found.locks:
        return f"Writes to {target} leave no trace, because it lacks the feature exclusive-lock"
    if before is None and found.copied:
        return f"It is not known what {target} was like when it was prepared"
    same = found.own_act_writes or (
        m.target_version is not None and found.version == m.target_version
    )
    if m.touched or not same:
        return f"Clients wrote to {target} since it was prepared, or it cannot be ruled out"
    return ""


def _changes(before: TargetHeader, now: TargetHeader) -> str:
    """The parts of a header that changed, as in ``The size, the snapshots``."""
    changed = [
        name
        for name, was, is_now in (
            ("the size", before.size, now.size),
            ("the snapshots", before.snapshots, now.snapshots),
            ("the image metadata", before.metadata, now.metadata),
            ("the features", before.features, now.features),
            ("the group", before.group, now.group),
        )
        if was != is_now
    ]
    text = ", ".join(changed)
    return text[0].upper() + text[1:]
