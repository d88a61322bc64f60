"""Gathers what the abort guard decides on, by a few raw reads of the target's header."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Optional

import rados

from ...cluster import headers
from ...cluster.pools import open_by_id
from ...cluster.target_header import target_header
from ...control.lifecycle.abort_guard import TargetFound
from ...control.lifecycle.situation import Situation
from ...model.errors import PoolMissing
from ...model.layout import FEATURES
from ...model.migration import Migration
from ...model.states import ActKind, Method
from ...model.watchers import Watcher

GUARDED = frozenset({Situation.PREPARED, Situation.EXECUTING, Situation.EXECUTED})
"""Where clients may use the target, and an abort would remove it."""


def find_target(
    client: rados.Rados,
    m: Migration,
    situation: Situation,
    *,
    own_clients: Collection[int] = (),
    fenced: Collection[str] = (),
    users: Optional[Sequence[Watcher]] = None,
) -> TargetFound:
    """The target as it is now. Raises ``rados.Error`` and PoolMissing.

    ``users``: who has it open for writing, where that is known already; None: the holder of its
    exclusive lock is looked up. Clients that are ours (``own_clients``, by number) or were
    (``fenced``, by address) are no users.
    """
    ident = m.target.image_id
    with open_by_id(client, m.target.pool_id, m.target.namespace) as ioctx:
        # The version first: what is written while the rest is read makes it differ later.
        version = headers.version(ioctx, ident)
        header = target_header(ioctx, ident, own_metadata(m))
        features = headers.features(ioctx, ident)
        if users is None:
            users = _lock_users(ioctx, ident, own_clients, fenced)
    return TargetFound(
        users=users,
        locks=bool(features & FEATURES["exclusive-lock"]),
        version=version,
        header=header,
        own_act_writes=m.intent is not None and m.intent.act is ActKind.EXECUTE,
        copied=situation is not Situation.PREPARED,
    )


def blind(m: Migration) -> bool:
    """Whether the target must not be opened: librbd would open its source too, which may be gone,
    or crash the process."""
    return m.opens_source and m.executed_at is None


def own_metadata(m: Migration) -> tuple[str, ...]:
    """The image metadata keys that the target has from us."""
    return (*headers.OWN_KEYS, *([headers.HOLDER_OPS_KEY] if m.holder_ops is not None else []))


def _lock_users(
    ioctx: rados.Ioctx, ident: str, own_clients: Collection[int], fenced: Collection[str]
) -> list[Watcher]:
    holder = headers.lock_holder(ioctx, ident)
    if holder is None or holder.client in own_clients or holder.address in fenced:
        return []
    return [Watcher(holder.client, holder.address, lock=True)]


def may_be_touched(client: rados.Rados, m: Migration) -> bool:
    """Whether anybody but us may have written the target's header since our last act on it."""
    if m.touched or not m.target.image_id or m.method is Method.WARM:
        return m.touched
    return m.target_version is None or _version_now(client, m) != m.target_version


def _version_now(client: rados.Rados, m: Migration) -> Optional[int]:
    """The version of the target's header; None when there is no target."""
    try:
        with open_by_id(client, m.target.pool_id, m.target.namespace) as ioctx:
            return headers.version(ioctx, m.target.image_id)
    except PoolMissing:
        return None
