"""The feature exclusive-lock for the time of a cutover, of an image that does not have it.

Without it clients cannot be locked out. It is only added while nobody has the image open, and taken
away when the image gets its name again: several clients may write to an image without it at once.
"""

from __future__ import annotations

import rados
import rbd

from ...cluster import headers, surgery
from ...cluster.lock_out import let_in
from ...faults import fault_point
from ...model.layout import FEATURES

_LOCK = FEATURES["exclusive-lock"]


def is_lockable(ioctx: rados.Ioctx, ident: str) -> bool:
    """Whether clients can be locked out."""
    return bool(headers.features(ioctx, ident) & _LOCK)


def make_lockable(ioctx: rados.Ioctx, ident: str) -> None:
    """Add the feature, if the image does not have it."""
    if is_lockable(ioctx, ident):
        return
    with rbd.Image(ioctx, image_id=ident) as image:
        image.metadata_set(headers.LOCK_ADDED_KEY, "yes")
        fault_point("cutover.before", "feature")
        image.update_features(_LOCK, True)
    fault_point("cutover.after", "feature")


def release(ioctx: rados.Ioctx, ident: str) -> None:
    """Let clients in, and take the feature away if it was added. May be repeated."""
    let_in(ioctx, ident)
    if headers.metadata(ioctx, ident, headers.LOCK_ADDED_KEY) is None:
        return
    if headers.features(ioctx, ident) & _LOCK:
        with rbd.Image(ioctx, image_id=ident) as image:
            image.update_features(_LOCK, False)
    surgery.drop_metadata(ioctx, ident, headers.LOCK_ADDED_KEY)
