"""Adoption: taking over a migration that plain ``rbd migration prepare`` made."""

from __future__ import annotations

import secrets
import time
from errno import EBUSY, EOPNOTSUPP
from typing import Optional

import rados

from ..cluster.observe import find_place, observe, other_end
from ..control.lifecycle import absorb
from ..control.situation import diagnose
from ..model.errors import MigrationError
from ..model.migration import Goal, Migration, State
from ..model.observation import HeaderState
from ..model.spec import ImageSpec

_SETTLED = (HeaderState.PREPARED, HeaderState.EXECUTING, HeaderState.EXECUTED)


def adoptable(client: rados.Rados, target: ImageSpec) -> Optional[Migration]:
    """The record for a migration to ``target`` that we have none of; None when there is none.

    Its goal is where it is, so that adopting starts nothing. Raises MigrationError when somebody
    is in the middle of preparing or aborting it, or when it is of a kind that we cannot carry on.
    """
    client.wait_for_latest_osdmap()
    place, view = find_place(client, target)
    if view is None or view.header is None or view.header.is_source:
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
    now = time.time()
    migration = Migration(
        id=secrets.token_hex(6),
        source=other_end(client, header),
        target=place,
        goal=Goal.PREPARED,
        state=State.PREPARED,
        created=now,
        adopted=True,
    ).enter(State.PREPARED, now, "taken over from plain rbd migration")
    seen = observe(client, migration)
    return absorb(migration, diagnose(migration, seen), seen, now)
