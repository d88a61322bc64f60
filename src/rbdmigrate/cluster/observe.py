"""Observing source and target of a migration: a dozen small RADOS reads, no image opened."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import rados

from ..model.copy_mark import CopyMark
from ..model.errors import RecordError
from ..model.migration import Migration, Place
from ..model.observation import HeaderState, ImageView, MigrationHeader, Observation
from ..model.spec import ImageSpec
from ..model.states import Method
from . import headers
from .observe_warm import observe_warm, observe_warm_target
from .osdmap import wait_for_latest_osdmap
from .pools import has_namespace, open_by_id, open_ioctx, pool_name
from .target_now import target_now


def observe(client: rados.Rados, migration: Migration) -> Observation:
    """Observe source and target. Raises ``rados.Error`` when RADOS does not answer."""
    wait_for_latest_osdmap(client)
    if migration.from_another_cluster:
        return observe_warm_target(client, migration)
    if migration.imported is not None:
        return _observe_import(client, migration)
    if migration.method is Method.WARM:
        return observe_warm(client, migration)
    source_gone, source = _look(client, migration.source)
    target_gone, target = _look(client, migration.target)
    return Observation(
        source,
        target,
        source_gone,
        target_gone,
        source_pool=str(client.pool_reverse_lookup(migration.source.pool_id) or ""),
        target_pool=str(client.pool_reverse_lookup(migration.target.pool_id) or ""),
        target_now=target_now(client, migration, source, target),
    )


def _observe_import(client: rados.Rados, m: Migration) -> Observation:
    """Observe the target of an import, whose source is not observed."""
    assert m.imported is not None
    gone, target = _look(client, m.target)
    if not gone:
        with open_by_id(client, m.target.pool_id, m.target.namespace) as ioctx:
            if target is None:
                target = _half_named(ioctx, m)
            elif not m.opens_source:
                target = replace(target, header=mark_header(ioctx, target.image_id))
    return Observation(
        None,
        target,
        target_gone=gone,
        target_pool=str(client.pool_reverse_lookup(m.target.pool_id) or ""),
    )


def _half_named(ioctx: rados.Ioctx, m: Migration) -> Optional[ImageView]:
    """A target that only the directory lists: its creation was interrupted."""
    ident = headers.listed_id(ioctx, m.target.image)
    if ident is None or m.imported is None or not m.imported.made(ident):
        return None
    return ImageView(ident, m.target.image, True, False, None, exists=False)


def mark_header(ioctx: rados.Ioctx, ident: str) -> Optional[MigrationHeader]:
    """What the header of a migration would say about the target of a native import.

    It is marked as long as the import is not committed. One that is copied is executed when its
    copy mark says so; one of method ``live`` is a clone which is flattened (see
    ``worker.imports.native``), and executed when it has no parent any more.
    """
    if headers.metadata(ioctx, ident, headers.IMPORT_KEY) is None:
        return None
    mark = headers.metadata(ioctx, ident, headers.COPY_KEY)
    whole = _copied(mark) if mark is not None else headers.parent(ioctx, ident) is None
    state = HeaderState.EXECUTED if whole else HeaderState.PREPARED
    return MigrationHeader(False, -1, "", "", "", state, import_only=True)


def _copied(mark: str) -> bool:
    """Whether a copy mark says that all is on the target; one that cannot be read does not."""
    try:
        return CopyMark.from_json(mark).complete
    except RecordError:
        return False


def _look(client: rados.Rados, place: Place) -> tuple[bool, Optional[ImageView]]:
    try:
        ioctx = client.open_ioctx2(place.pool_id)
    except rados.ObjectNotFound:
        return True, None
    with ioctx:
        ioctx.set_namespace(place.namespace)
        view = headers.view_by_id(ioctx, place.image_id) if place.image_id else None
        view = view or headers.view_by_name(ioctx, place.image)
        if view is None and place.namespace:
            ioctx.set_namespace("")
            return not has_namespace(ioctx, place.namespace), None
    return False, view


def ends_of(client: rados.Rados, migration: Migration) -> list[Place]:
    """Return those of source and target that have ids.

    After an interrupted prepare the record does not have the target's id yet: the source's header
    has it.
    """
    source, target = migration.source, migration.target
    if migration.from_another_cluster:
        seen = observe(client, migration).target
        ident = target.image_id or (seen.image_id if seen is not None else "")
        return [replace(target, image_id=ident)] if ident else []
    if migration.imported is not None:
        seen = observe(client, migration).target
        ident = seen.image_id if seen is not None and migration.imported.made(seen.image_id) else ""
        target = replace(target, image_id=target.image_id or ident)
        return [target] if target.image_id else []
    if not target.image_id and source.image_id:
        _, view = _look(client, source)
        if view is not None and view.header is not None and view.header.is_source:
            target = replace(target, image_id=view.header.image_id)
    return [place for place in (target, source) if place.image_id]


def find_place(client: rados.Rados, spec: ImageSpec) -> tuple[Place, Optional[ImageView]]:
    """Return the place of ``spec`` with its ids, and the image there. MigrationError without the
    pool.
    """
    with open_ioctx(client, spec.pool, spec.namespace) as ioctx:
        view = headers.view_by_name(ioctx, spec.image)
        ident = view.image_id if view else ""
        pool_id = int(ioctx.get_pool_id())
    return Place(spec.pool, spec.namespace, spec.image, pool_id, ident), view


def other_end(client: rados.Rados, header: MigrationHeader) -> Place:
    """Return the place that a migration header points to. MigrationError when its pool is gone."""
    pool = pool_name(client, header.pool_id)
    return Place(pool, header.namespace, header.image, header.pool_id, header.image_id)
