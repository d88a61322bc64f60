"""Finds remains of the source after the commit; there must be none."""

import rados

from qa.devcluster import Cluster, CommandFailed


def leftovers(cluster: Cluster, ioctx: rados.Ioctx, pool: str, name: str, ident: str) -> list[str]:
    """Return a sentence for each remaining trace of the source image with this name and id."""
    found = []
    if name in cluster.rbd("ls", pool).split():
        found.append(f"'rbd ls {pool}' still lists {name}.")
    if any(ident in key for key in trash_keys(cluster, pool)):
        found.append(f"The trash of {pool} still holds {ident}.")
    objects = [each.key for each in ioctx.list_objects() if ident in each.key]
    there = [key for key in objects if _exists(ioctx, key)]
    if there:
        found.append(f"{len(there)} RADOS objects of {name} are left, such as {there[0]}.")
    return found


def trash_keys(cluster: Cluster, pool: str) -> list[str]:
    """Return the keys of the trash: 'rbd trash ls' does not show entries of migrations."""
    try:
        return cluster.rados("-p", pool, "listomapkeys", "rbd_trash").split()
    except CommandFailed as error:
        if "No such file" in error.stderr:
            return []  # the trash was never used
        raise


def _exists(ioctx: rados.Ioctx, key: str) -> bool:
    """Whether an object exists; it may be listed only for a removed, untrimmed snapshot."""
    try:
        ioctx.stat(key)
    except rados.ObjectNotFound:
        return False
    return True
