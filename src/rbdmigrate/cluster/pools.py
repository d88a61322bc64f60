"""Pools and RBD namespaces: listing them, and opening ioctxs on them."""

from __future__ import annotations

from errno import ENOENT

import rados

from ..model.errors import MigrationError, PoolMissing
from .omap import omap_pages, omap_value
from .osdmap import wait_for_latest_osdmap

_NAMESPACES, _NAMESPACE_PREFIX = "rbd_namespace", "name_"


def open_ioctx(client: rados.Rados, pool: str, namespace: str) -> rados.Ioctx:
    """Open an ioctx on a pool and RBD namespace. MigrationError(ENOENT) for a missing pool."""
    try:
        ioctx = client.open_ioctx(pool)
    except rados.ObjectNotFound as error:
        raise PoolMissing(
            ENOENT, f"The pool {pool!r} does not exist; `ceph osd lspools` lists those that do."
        ) from error
    ioctx.set_namespace(namespace)
    return ioctx


def require_namespace(client: rados.Rados, pool: str, namespace: str) -> int:
    """The id of ``pool``; MigrationError(ENOENT) when it or its RBD namespace does not exist."""
    with open_ioctx(client, pool, "") as ioctx:
        if namespace and not has_namespace(ioctx, namespace):
            raise MigrationError(
                ENOENT,
                f"The pool {pool!r} has no namespace {namespace!r}; create it with "
                f"`rbd namespace create {pool}/{namespace}`.",
            )
        return int(ioctx.get_pool_id())


def open_by_id(client: rados.Rados, pool_id: int, namespace: str) -> rados.Ioctx:
    """Open an ioctx on a pool by its id, which survives renames. Raises PoolMissing."""
    try:
        ioctx = client.open_ioctx2(pool_id)
    except rados.ObjectNotFound as error:
        raise PoolMissing(ENOENT, f"The pool with id {pool_id} does not exist.") from error
    ioctx.set_namespace(namespace)
    return ioctx


def rbd_pools(client: rados.Rados) -> dict[int, str]:
    """Id and name of every pool with the application ``rbd``; needs no OSD to answer.

    Raises ``rados.Error``, and MigrationError when the monitors do not answer.
    """
    wait_for_latest_osdmap(client)
    found = {}
    for pool in client.list_pools():
        try:
            with client.open_ioctx(pool) as ioctx:
                if "rbd" in ioctx.application_list():
                    found[int(ioctx.get_pool_id())] = str(pool)
        except rados.ObjectNotFound:
            continue  # deleted since the listing
    return found


def namespaces(client: rados.Rados, pool_id: int) -> list[str]:
    """The pool's RBD namespaces, the default one (``""``) first. Raises ``rados.Error``."""
    with open_by_id(client, pool_id, "") as ioctx:
        names = omap_pages(ioctx, _NAMESPACES, _NAMESPACE_PREFIX)
        return ["", *(key[len(_NAMESPACE_PREFIX) :] for key, _ in names)]


def has_namespace(ioctx: rados.Ioctx, namespace: str) -> bool:
    """Whether the pool has this RBD namespace; ``ioctx`` is on the default one.

    Like librbd's look-up, but errors of RADOS are raised as ``rados.Error``.
    """
    return omap_value(ioctx, _NAMESPACES, _NAMESPACE_PREFIX + namespace) is not None


def pool_name(client: rados.Rados, pool_id: int) -> str:
    """The name of a pool by id. Raises MigrationError(ENOENT)."""
    name = client.pool_reverse_lookup(pool_id)
    if not name:
        raise MigrationError(ENOENT, f"The pool with id {pool_id} does not exist.")
    return str(name)
