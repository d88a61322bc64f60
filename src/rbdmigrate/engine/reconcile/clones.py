"""Before an act begins: whether clones forbid it, and whether librbd would wait for a silent pool.

librbd asks every pool of the cluster for clones when it prepares and aborts, and when it removes
the protection of a snapshot. A worker that waits for a silent pool cannot be given up: its act
has begun. So the manager, whose requests end, looks before the intent is written.
"""

from __future__ import annotations

from errno import EAGAIN, EBUSY
from typing import Optional

import rados

from ...cluster import image_snapshots
from ...cluster.clones import NAMED, Clone, Clones, clone_names, clones_of, silent_pools
from ...cluster.pools import open_by_id
from ...model.errors import MigrationError, PoolMissing
from ...model.migration import Migration, Place
from ...model.states import ActKind
from ...model.verification import Verify

# Acts in which librbd moves clones to another parent, and looks for them in all pools.
_ACTS_THAT_ASK_ALL_POOLS = frozenset({ActKind.PREPARE, ActKind.UNDO_PREPARE, ActKind.ABORT})


def refuse_to_wait(client: rados.Rados, m: Migration, act: ActKind) -> None:
    """Raise MigrationError(EAGAIN) when the act would wait for a pool that does not answer."""
    takes_snapshot = act is ActKind.PREPARE and m.verify is not Verify.NONE
    if act not in _ACTS_THAT_ASK_ALL_POOLS or not (takes_snapshot or _has_snapshots(client, m)):
        return
    _refuse_silent(silent_pools(client), m.target)


def refuse_commit(client: rados.Rados, m: Migration, *, force: bool) -> None:
    """Raise MigrationError(EBUSY) when clones forbid a commit, EAGAIN when that cannot be known.

    ``force``: clones of the target do not matter. Raises ``rados.Error``.
    """
    if m.imported is None:
        left = _clones(client, m.source)
        _refuse_silent(left.silent, m.target)
        if left.all():
            raise MigrationError(
                EBUSY,
                f"The clones {_named(client, left.all())} were left behind at the source of "
                f"{m.target.spec} by a prepare that was cut off; abort this migration and prepare "
                "it again.",
            )
    if force:
        return
    clones = _clones(client, m.target)
    _refuse_silent(clones.silent, m.target)
    if clones.all():
        raise MigrationError(
            EBUSY,
            f"{m.target.spec} has the clones {_named(client, clones.all())}; those that are open "
            "read-only would not notice that their parent moved; make sure that none is, then "
            f"`ceph rbd migration commit {m.target.spec} --force`.",
        )


def look_before(client: rados.Rados, m: Migration, act: ActKind) -> Optional[MigrationError]:
    """Why an act must not begin now; None when it may. Raises ``rados.Error``."""
    try:
        if act is ActKind.COMMIT:
            refuse_commit(client, m, force=m.force_commit)
        refuse_to_wait(client, m, act)
    except MigrationError as error:
        return error
    return None


def _clones(client: rados.Rados, place: Place) -> Clones:
    try:
        with open_by_id(client, place.pool_id, place.namespace) as ioctx:
            return clones_of(client, ioctx, place.image_id)
    except PoolMissing:
        return Clones({})


def _has_snapshots(client: rados.Rados, m: Migration) -> bool:
    """Whether either end has snapshots; the comparison snapshot is one."""
    if m.comparison_snapshot:
        return True
    for place in (m.source, m.target):
        try:
            with open_by_id(client, place.pool_id, place.namespace) as ioctx:
                if place.image_id and image_snapshots.snapshots(ioctx, place.image_id):
                    return True
        except PoolMissing:
            continue  # and its snapshots with it
    return False


def _refuse_silent(silent: tuple[str, ...] | list[str], target: Place) -> None:
    if silent:
        names = ", ".join(list(silent)[:NAMED])
        raise MigrationError(
            EAGAIN,
            f"{'Pools do' if len(silent) > 1 else 'A pool does'} not answer ({names}), and librbd "
            f"asks all pools for clones in this step of {target.spec}; it waits until they answer; "
            "look at `ceph health detail`.",
        )


def _named(client: rados.Rados, clones: tuple[Clone, ...]) -> str:
    names = ", ".join(clone_names(client, clones))
    return names + (f" and {len(clones) - NAMED} more" if len(clones) > NAMED else "")
