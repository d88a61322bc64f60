"""Admission: everything that can be refused before a migration exists. Changes nothing."""

from __future__ import annotations

import secrets
import time
from errno import EBUSY, EEXIST, ENOENT, EOPNOTSUPP
from typing import Optional

import rados

from ..cluster import headers
from ..cluster.observe import find_place, other_end
from ..cluster.pools import open_ioctx, require_namespace
from ..model.errors import MigrationError
from ..model.layout import LayoutOptions
from ..model.migration import Migration, Place, State
from ..model.observation import ImageView, MigrationHeader
from ..model.policy import Policy
from ..model.spec import ImageSpec


def admit(
    client: rados.Rados,
    source: ImageSpec,
    target: ImageSpec,
    layout: LayoutOptions,
    policy: Policy,
) -> Migration:
    """The new record for migrating ``source`` to ``target``. Raises MigrationError."""
    client.wait_for_latest_osdmap()
    for spec in (source, target):
        require_namespace(client, spec.pool, spec.namespace)
    for pool in (layout.data_pool, layout.journal_pool):
        if pool is not None:
            require_namespace(client, pool, "")
    source_place, view = find_place(client, source)
    if view is None:
        _refuse_missing_source(client, source)
    else:
        _refuse_migrating(client, source, view)
    target_place, existing = find_place(client, target)
    if existing is not None and source != target:
        hint = " (it is the target of a migration)" if existing.header else ""
        raise MigrationError(
            EEXIST, f"The target {target} exists already{hint}; choose another name or remove it."
        )
    if source != target:
        _refuse_reserved_name(client, target)
    now = time.time()
    migration = Migration(
        id=secrets.token_hex(6),
        source=source_place,
        target=Place(target.pool, target.namespace, target.image, target_place.pool_id),
        goal=policy.goal,
        state=State.QUEUED,
        created=now,
        layout=layout,
        priority=policy.priority,
        rate=policy.rate,
        window=policy.window,
    )
    return migration.enter(State.QUEUED, now, "asked for")


def _refuse_missing_source(client: rados.Rados, source: ImageSpec) -> None:
    with open_ioctx(client, source.pool, source.namespace) as ioctx:
        if headers.is_old_format(ioctx, source.image):
            raise MigrationError(
                EOPNOTSUPP,
                f"The source {source} is an image of format 1; copy it to format 2 with "
                "`rbd deep cp` first.",
            )
        header = _trashed_by_migration(ioctx, source.image)
    if header is not None:
        other = other_end(client, header).spec
        raise MigrationError(
            EBUSY,
            f"The source {source} is already migrating, to {other}; see "
            f"`ceph rbd migration status {other}`.",
        )
    raise MigrationError(
        ENOENT,
        f"The source {source} does not exist; `rbd ls {source.pool}"
        f"{'/' + source.namespace if source.namespace else ''}` lists the images there.",
    )


def _refuse_reserved_name(client: rados.Rados, target: ImageSpec) -> None:
    """The name of a source that migrates is free, and needed if that migration is aborted."""
    with open_ioctx(client, target.pool, target.namespace) as ioctx:
        header = _trashed_by_migration(ioctx, target.image)
    if header is not None:
        raise MigrationError(
            EEXIST,
            f"The target's name {target} belongs to an image that is migrating to "
            f"{other_end(client, header).spec} and gets it back if that is aborted; choose "
            "another name, or commit that migration first.",
        )


def _trashed_by_migration(ioctx: rados.Ioctx, name: str) -> Optional[MigrationHeader]:
    """The header of the image called ``name`` that a migration put into the trash."""
    for ident, entry in headers.trash(ioctx):
        if entry.by_migration and entry.name == name:
            header = headers.migration_header(ioctx, ident)
            if header is not None:
                return header
    return None


def _refuse_migrating(client: rados.Rados, source: ImageSpec, view: ImageView) -> None:
    if view.header is None:
        return
    other = other_end(client, view.header).spec
    role = "already migrating, to" if view.header.is_source else "the target of a migration from"
    raise MigrationError(
        EBUSY,
        f"The source {source} is {role} {other}; commit or abort that migration first.",
    )
