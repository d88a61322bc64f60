"""Letting go of the parent of a flattened target.

librbd 16 copies the parent's data with ``--flatten`` and cuts the target's link to it, but leaves
the target in the parent's list of children for good: the parent's snapshot could never be
unprotected. ``rbd flatten`` does that part, a flattening migration does not.
"""

from __future__ import annotations

from ...cluster import headers, surgery
from ...model.migration import Place
from ..session import Session


def release_parent(session: Session, source: Place, target: Place) -> None:
    """Take a flattened target from the children of the source's parent. May be repeated."""
    with session.open(source) as ioctx:
        header = headers.migration_header(ioctx, source.image_id)
        parent = headers.parent(ioctx, source.image_id)
    if parent is None or header is None or not header.flatten:
        return
    with session.open(target) as ioctx:
        if headers.parent(ioctx, target.image_id) is not None:
            return  # it still needs its parent
        surgery.forget_child(ioctx, parent, target.image_id)
    with session.rados.open_ioctx2(parent.pool_id) as ioctx:
        ioctx.set_namespace(parent.namespace)
        surgery.detach_child(ioctx, parent, target)
