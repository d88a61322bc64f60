"""Observing a migration by the method ``warm``: two ordinary images, and where names lead."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Optional

import rados

from ..model.copy_mark import CopyMark
from ..model.errors import PoolMissing, RecordError
from ..model.migration import Migration, Place
from ..model.observation import (
    HeaderState,
    ImageView,
    MigrationHeader,
    NamesNow,
    Observation,
)
from ..model.rounds import hidden_name
from . import headers
from .pools import open_by_id


def observe_warm(client: rados.Rados, m: Migration) -> Observation:
    """Observe source and target. Raises ``rados.Error`` when RADOS does not answer."""
    with ExitStack() as stack:
        pools = [_open(client, place, stack) for place in (m.source, m.target)]
        source = None if pools[0] is None else headers.view_by_id(pools[0], m.source.image_id)
        target = None if pools[1] is None else _target(pools[1], m)
        names = None
        if pools[0] is not None and pools[1] is not None and target is not None:
            names = _names(pools[0], pools[1], m, target.image_id)
    return Observation(
        source,
        target,
        source_gone=pools[0] is None,
        target_gone=pools[1] is None,
        source_pool=str(client.pool_reverse_lookup(m.source.pool_id) or ""),
        target_pool=str(client.pool_reverse_lookup(m.target.pool_id) or ""),
        names=names,
    )


def observe_warm_target(client: rados.Rados, m: Migration) -> Observation:
    """Observe the target of a migration from another cluster, whose source only workers see.

    Raises ``rados.Error`` when RADOS does not answer.
    """
    with ExitStack() as stack:
        pool = _open(client, m.target, stack)
        target = None if pool is None else _target(pool, m)
        names = None
        if pool is not None and target is not None:
            published, complete = _published(pool, m, target.image_id)
            names = NamesNow(source=not published, target=published, complete=complete)
    return Observation(
        None,
        target,
        target_gone=pool is None,
        target_pool=str(client.pool_reverse_lookup(m.target.pool_id) or ""),
        names=names,
    )


def _open(client: rados.Rados, place: Place, stack: ExitStack) -> Optional[rados.Ioctx]:
    """None: the pool or the namespace is gone."""
    try:
        return stack.enter_context(open_by_id(client, place.pool_id, place.namespace))
    except PoolMissing:
        return None


def _target(ioctx: rados.Ioctx, m: Migration) -> Optional[ImageView]:
    """The target, with what its marks say as a migration header; without an id by its name."""
    ident = m.target.image_id
    if not ident:
        hidden = hidden_name(m.id)
        ident = headers.image_id(ioctx, hidden) or headers.listed_id(ioctx, hidden) or ""
    found = headers.view_by_id(ioctx, ident) if ident else None
    if found is None or not found.exists:
        return found
    return replace(found, header=_header(ioctx, ident))


def _header(ioctx: rados.Ioctx, ident: str) -> Optional[MigrationHeader]:
    if headers.metadata(ioctx, ident, headers.WARM_KEY) is None:
        return None
    try:
        mark = CopyMark.from_json(headers.metadata(ioctx, ident, headers.COPY_KEY) or "")
    except RecordError:
        mark = None  # the next act that needs it says so
    done = mark is not None and mark.synchronized
    state = HeaderState.EXECUTED if done else HeaderState.PREPARED
    return MigrationHeader(False, -1, "", "", "", state)


def _names(source: rados.Ioctx, target: rados.Ioctx, m: Migration, ident: str) -> NamesNow:
    named = headers.image_id(source, m.source.image) == m.source.image_id
    published, complete = _published(target, m, ident)
    complete = complete and headers.image_name(source, m.source.image_id) is None
    return NamesNow(named, published, complete)


def _published(ioctx: rados.Ioctx, m: Migration, ident: str) -> tuple[bool, bool]:
    """Whether the target has its name, and whether its directory says so alone."""
    published = headers.image_id(ioctx, m.target.image) == ident
    complete = (
        published
        and headers.image_name(ioctx, ident) == m.target.image
        and headers.image_id(ioctx, hidden_name(m.id)) is None
    )
    return published, complete
