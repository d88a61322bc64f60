"""Look at both ends of a migration: a dozen small RADOS reads, no image opened."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import rados
import rbd

from ..model.migration import Migration, Place
from ..model.observation import ImageView, MigrationHeader, Observation
from ..model.spec import ImageSpec
from . import headers
from .pools import open_ioctx, pool_name


def observe(client: rados.Rados, migration: Migration) -> Observation:
    """What is there now. Raises ``rados.Error`` when RADOS does not answer."""
    client.wait_for_latest_osdmap()
    source_gone, source = _look(client, migration.source)
    target_gone, target = _look(client, migration.target)
    return Observation(
        source,
        target,
        source_gone,
        target_gone,
        source_pool=str(client.pool_reverse_lookup(migration.source.pool_id) or ""),
        target_pool=str(client.pool_reverse_lookup(migration.target.pool_id) or ""),
    )


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
            return not rbd.RBD().namespace_exists(ioctx, place.namespace), None
    return False, view


def ends_of(client: rados.Rados, migration: Migration) -> list[Place]:
    """The ends of a migration that have ids.

    A prepare that was cut off has a target that the record does not know yet: the source's header
    names it.
    """
    source, target = migration.source, migration.target
    if not target.image_id and source.image_id:
        _, view = _look(client, source)
        if view is not None and view.header is not None and view.header.is_source:
            target = replace(target, image_id=view.header.image_id)
    return [place for place in (target, source) if place.image_id]


def find_place(client: rados.Rados, spec: ImageSpec) -> tuple[Place, Optional[ImageView]]:
    """The place of ``spec`` with its ids, and the image there. MigrationError without the pool."""
    with open_ioctx(client, spec.pool, spec.namespace) as ioctx:
        view = headers.view_by_name(ioctx, spec.image)
        ident = view.image_id if view else ""
        pool_id = int(ioctx.get_pool_id())
    return Place(spec.pool, spec.namespace, spec.image, pool_id, ident), view


def other_end(client: rados.Rados, header: MigrationHeader) -> Place:
    """The place that a migration header points to. MigrationError when its pool is gone."""
    pool = pool_name(client, header.pool_id)
    return Place(pool, header.namespace, header.image, header.pool_id, header.image_id)
