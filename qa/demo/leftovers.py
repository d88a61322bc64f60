"""What is left of the source after the commit, which must be nothing."""

import rados

from qa.devcluster import Cluster, CommandFailed


def leftovers(cluster: Cluster, ioctx: rados.Ioctx, pool: str, name: str, ident: str) -> list[str]:
    """A sentence for each trace of the source image with this name and id."""
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
    """The trash as RADOS has it: 'rbd trash ls' does not show what a migration put there."""
    try:
        return cluster.rados("-p", pool, "listomapkeys", "rbd_trash").split()
    except CommandFailed as error:
        if "No such file" in error.stderr:
            return []  # nothing was ever in the trash
        raise


def _exists(ioctx: rados.Ioctx, key: str) -> bool:
    """Objects of removed snapshots are listed until an OSD has trimmed them; they do not count."""
    try:
        ioctx.stat(key)
    except rados.ObjectNotFound:
        return False
    return True
