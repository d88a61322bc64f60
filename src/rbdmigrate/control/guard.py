"""The abort guard: would aborting throw away what clients did on the target? A pure decision.

librbd's abort copies the target's head back into the source, ignores errors at it, and loses
snapshots, resizes and discards that were made on the target (measured, release 16; see
``doc/design/recovery.rst``). So an abort needs proof that nobody touched the target, or to be
forced.
"""

from __future__ import annotations

from collections.abc import Sequence
from errno import EBUSY, EPERM
from typing import Any, Optional

from ..model.errors import MigrationError
from ..model.migration import Migration
from ..model.users import name_users

_LOST = (
    "aborting loses snapshots, resizes and discards made on the target, and may lose writes; "
    "add --force to abort all the same"
)
_LOST_IMPORT = (
    "aborting removes the target, and what clients wrote to it is lost; add --force to abort all "
    "the same"
)


def guard_abort(
    m: Migration,
    users: Sequence[dict[str, Any]],
    version: Optional[int],
    *,
    locks: bool,
    force: bool,
) -> None:
    """Raise MigrationError unless aborting ``m`` is safe, or forced.

    ``users`` are the clients that have the target open for writing now, ``version`` is its
    header's version now, ``locks`` says that it has the feature exclusive-lock: without it a
    write leaves no trace in the header. An open target cannot be aborted at all, forced or not.
    """
    target = m.target.spec
    lost = _LOST if m.imported is None else _LOST_IMPORT
    if users:
        raise MigrationError(
            EBUSY,
            f"The target {target} is open for writing by {name_users(users)}; stop the client "
            f"first, and know that {lost}.",
        )
    if force:
        return
    if m.touched or not locks or m.target_version is None or version != m.target_version:
        raise MigrationError(
            EPERM,
            f"Clients wrote to {target} since it was prepared, or it cannot be ruled out; {lost}.",
        )
