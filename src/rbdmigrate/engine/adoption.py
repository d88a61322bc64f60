"""Adoption: taking over a migration that plain ``rbd migration prepare`` made."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from errno import EBUSY, EOPNOTSUPP
from typing import Optional

import rados

from ..cluster import headers
from ..cluster.observe import find_place, observe, other_end
from ..cluster.pools import open_by_id
from ..control.lifecycle import absorb
from ..control.situation import diagnose
from ..model.errors import MigrationError
from ..model.migration import Goal, Migration, Place, State
from ..model.observation import HeaderState
from ..model.spec import ImageSpec

_SETTLED = (HeaderState.PREPARED, HeaderState.EXECUTING, HeaderState.EXECUTED)


def adoptable(client: rados.Rados, target: ImageSpec) -> Optional[Migration]:
    """The record for a migration to ``target`` that we have none of; None when there is none.

    Also for a source of that name whose target's pool was removed: it is to be given back.

    Its goal is where it is, so that adopting starts nothing. Raises MigrationError when somebody
    is in the middle of preparing or aborting it, or when it is of a kind that we cannot carry on.
    """
    client.wait_for_latest_osdmap()
    place, view = find_place(client, target)
    if view is None:
        return _orphan(client, place)
    if view.header is None or view.header.is_source:
        return None
    header = view.header
    if header.import_only:
        raise MigrationError(
            EOPNOTSUPP,
            f"{target} is being imported from outside the cluster, which this version cannot "
            "take over; use `rbd migration` for it.",
        )
    if header.state not in _SETTLED:
        raise MigrationError(
            EBUSY,
            f"{target} is {header.state.name.lower()} by another client right now; wait until "
            "it is done, then try again.",
        )
    return _record(client, other_end(client, header), place)


def _orphan(client: rados.Rados, source: Place) -> Optional[Migration]:
    """The record for a source whose target was removed with its pool, and our record with it."""
    with open_by_id(client, source.pool_id, source.namespace) as ioctx:
        for ident, entry in headers.trash(ioctx):
            header = headers.migration_header(ioctx, ident) if entry.by_migration else None
            if header is None or entry.name != source.image:
                continue
            if client.pool_reverse_lookup(header.pool_id):
                return None
            name = f"(pool {header.pool_id}, removed)"
            target = Place(name, header.namespace, header.image, header.pool_id, header.image_id)
            return _record(client, replace(source, image_id=ident), target)
    return None


def _record(client: rados.Rados, source: Place, target: Place) -> Migration:
    now = time.time()
    migration = Migration(
        id=secrets.token_hex(6),
        source=source,
        target=target,
        goal=Goal.PREPARED,
        state=State.PREPARED,
        created=now,
        adopted=True,
    ).enter(State.PREPARED, now, "taken over from plain rbd migration")
    seen = observe(client, migration)
    return absorb(migration, diagnose(migration, seen), seen, now)
