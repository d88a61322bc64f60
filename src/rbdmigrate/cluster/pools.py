"""Pools and namespaces: which there are, and ioctxs on them."""

from __future__ import annotations

from errno import ENOENT

import rados
import rbd

from ..model.errors import MigrationError, PoolMissing


def open_ioctx(client: rados.Rados, pool: str, namespace: str) -> rados.Ioctx:
    """An ioctx on a pool and RBD namespace. Raises MigrationError(ENOENT) for a missing pool."""
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
        if namespace and not rbd.RBD().namespace_exists(ioctx, namespace):
            raise MigrationError(
                ENOENT,
                f"The pool {pool!r} has no namespace {namespace!r}; create it with "
                f"`rbd namespace create {pool}/{namespace}`.",
            )
        return int(ioctx.get_pool_id())


def rbd_places(client: rados.Rados) -> list[tuple[str, str]]:
    """Every (pool, namespace) that may hold images: the pools with the application ``rbd``."""
    client.wait_for_latest_osdmap()
    places = []
    for pool in client.list_pools():
        try:
            with client.open_ioctx(pool) as ioctx:
                if "rbd" in ioctx.application_list():
                    places.append((pool, ""))
                    places += [(pool, name) for name in namespaces(ioctx)]
        except rados.ObjectNotFound:
            continue  # deleted since it was listed
    return places


def namespaces(ioctx: rados.Ioctx) -> list[str]:
    """The RBD namespaces of the ioctx's pool."""
    try:
        return list(rbd.RBD().namespace_list(ioctx))
    except rbd.ImageNotFound:
        return []


def pool_name(client: rados.Rados, pool_id: int) -> str:
    """The name of a pool by id. Raises MigrationError(ENOENT)."""
    name = client.pool_reverse_lookup(pool_id)
    if not name:
        raise MigrationError(ENOENT, f"The pool with id {pool_id} does not exist.")
    return str(name)
