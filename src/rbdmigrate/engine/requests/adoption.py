"""Adoption: taking over a migration that plain ``rbd migration prepare`` made."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import replace
from errno import EBUSY, EOPNOTSUPP
from typing import Optional

import rados

from ...cluster import headers, old_format
from ...cluster.observe import find_place, observe, other_end
from ...cluster.osdmap import wait_for_latest_osdmap
from ...cluster.pools import open_by_id
from ...control.lifecycle.observed import with_observation
from ...control.lifecycle.situation import diagnose
from ...model.errors import MigrationError
from ...model.import_source import Import, host_of
from ...model.migration import Migration, Place
from ...model.observation import HeaderState, MigrationHeader
from ...model.source_spec import parse_source_spec
from ...model.spec import ImageSpec
from ...model.states import Goal, State

_ADOPTABLE = (HeaderState.PREPARED, HeaderState.EXECUTING, HeaderState.EXECUTED)


def adoptable(client: rados.Rados, target: ImageSpec) -> Optional[Migration]:
    """The record for a migration to ``target`` that we have none of; None when there is none.

    Also for a source of that name whose target's pool was removed: it is to be given back.

    Its goal is where it is, so that adopting starts nothing. Raises MigrationError when somebody
    is in the middle of preparing or aborting it, or when it is of a kind that we cannot carry on.
    """
    wait_for_latest_osdmap(client)
    place, view = find_place(client, target)
    if view is None:
        return _orphan(client, place)
    header = view.header
    if header is None:
        return None
    if header.is_source:
        return _orphan_of(client, place, header)
    if header.state not in _ADOPTABLE:
        raise MigrationError(
            EBUSY,
            f"{target} is {header.state.name.lower()} by another client right now; wait until "
            "it is done, then try again.",
        )
    if header.import_only:
        return _import(client, header.source_spec, place)
    source = other_end(client, header)
    if header.old_format_source:
        source = _old_format(client, source, target)
    return _record(client, source, place)


def _old_format(client: rados.Rados, source: Place, target: ImageSpec) -> Place:
    """A source of format 1 with its identity. MigrationError when the target has its name."""
    if source.spec == target:
        raise MigrationError(
            EOPNOTSUPP,
            f"{target} is being migrated in place with plain rbd from an image of format 1, which "
            "cannot be read together with a target of the same name; use `rbd migration execute`, "
            f"`rbd migration commit` and `rbd migration abort` for {target}.",
        )
    with open_by_id(client, source.pool_id, source.namespace) as ioctx:
        return replace(source, image_id=old_format.ident_of(ioctx, source.image) or "")


def _import(client: rados.Rados, text: str, target: Place) -> Migration:
    """The record for an import. Its secrets are in the target's header: we keep none of them."""
    try:
        spec = parse_source_spec(text)
    except MigrationError as error:
        raise MigrationError(
            EOPNOTSUPP,
            f"{target.spec} is being imported from a source that this version does not know; use "
            "`rbd migration` for it.",
        ) from error
    if spec.format == "native":
        raise MigrationError(
            EOPNOTSUPP,
            f"{target.spec} is being imported from {spec.label()} with plain rbd, which copies the "
            "image's live head in place of the snapshot; `rbd migration abort` it, and import it "
            "again with `ceph rbd migration prepare --import-only`.",
        )
    shown = json.dumps(spec.redacted())
    source = Place("", "", spec.label())
    return _record(client, source, target, Import(shown, host=host_of(spec)))


def _orphan(client: rados.Rados, source: Place) -> Optional[Migration]:
    """The record for a source whose target was removed with its pool, and our record with it."""
    with open_by_id(client, source.pool_id, source.namespace) as ioctx:
        for ident, entry in headers.trash(ioctx):
            header = headers.migration_header(ioctx, ident) if entry.by_migration else None
            if header is not None and entry.name == source.image:
                return _orphan_of(client, replace(source, image_id=ident), header)
    return None


def _orphan_of(client: rados.Rados, source: Place, header: MigrationHeader) -> Optional[Migration]:
    """The record for a source with this header, if its target's pool was removed."""
    if client.pool_reverse_lookup(header.pool_id):
        return None
    name = f"(pool {header.pool_id}, removed)"
    target = Place(name, header.namespace, header.image, header.pool_id, header.image_id)
    return _record(client, source, target)


def _record(
    client: rados.Rados, source: Place, target: Place, imported: Optional[Import] = None
) -> Migration:
    now = time.time()
    migration = Migration(
        id=secrets.token_hex(6),
        source=source,
        target=target,
        goal=Goal.PREPARED,
        state=State.PREPARED,
        created=now,
        adopted=True,
        imported=imported,
    ).enter(State.PREPARED, now, "taken over from plain rbd migration")
    seen = observe(client, migration)
    return with_observation(migration, diagnose(migration, seen), seen, now)
