"""Looks for what keeps librbd from preparing an open image (:mod:`..model.obstacles`)."""

from __future__ import annotations

from typing import Any

import rados
import rbd

from ..cluster.clones import clone_names, clones_of
from ..model.obstacles import AdvisoryLock, Obstacles, RemovedSnapshot
from .open_image import ident_of

_OF_LIBRBD = "internal"  # the tag of locks that librbd takes for the feature exclusive-lock


def obstacles(client: rados.Rados, ioctx: rados.Ioctx, image: rbd.Image) -> Obstacles:
    """What there is."""
    groups, removed, mirroring = [], [], 0
    for snapshot in list(image.list_snaps()):
        kind = snapshot["namespace"]
        if kind == rbd.RBD_SNAP_NAMESPACE_TYPE_GROUP:
            groups.append(_group_snapshot(ioctx, snapshot["group"]))
        elif kind == rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH:
            found = clones_of(client, ioctx, ident_of(image)).of.get(int(snapshot["id"]), ())
            clones = tuple(clone_names(client, found))
            removed.append(RemovedSnapshot(_former_name(snapshot["trash"]), clones))
        elif kind == rbd.RBD_SNAP_NAMESPACE_TYPE_MIRROR:
            mirroring += 1
    return Obstacles(tuple(groups), mirroring, tuple(removed), _locks(image))


def _group_snapshot(ioctx: rados.Ioctx, group: dict[str, Any]) -> str:
    """``pool/namespace/group@snapshot``; a group of the image's pool is in its namespace."""
    parts = (ioctx.name, ioctx.get_namespace(), f"{group['name']}@{group['snap_name']}")
    return "/".join(part for part in parts if part)


def _former_name(trash: Any) -> str:
    return str(trash["original_name"] if isinstance(trash, dict) else trash)


def _locks(image: rbd.Image) -> tuple[AdvisoryLock, ...]:
    found: Any = image.list_lockers()
    if not found or found["tag"] == _OF_LIBRBD:
        return ()
    return tuple(AdvisoryLock(str(name), str(client)) for client, name, _ in found["lockers"])
