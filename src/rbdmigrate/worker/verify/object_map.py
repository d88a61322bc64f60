"""Whether librbd's object maps of an image may be trusted."""

from __future__ import annotations

import rbd

from ...model.layout import FEATURES

_OBJECT_MAP_INVALID, _FAST_DIFF_INVALID = 1 << 0, 1 << 1  # librbd.h: RBD_FLAG_..._INVALID


def flagged_invalid(image: rbd.Image) -> bool:
    """Whether librbd says that the object map of the view that is open, or of any other, is wrong.

    Leaves the image at its head.
    """
    if not int(image.features()) & FEATURES["object-map"]:
        return False
    found = _flagged(image)
    for snapshot in list(image.list_snaps()):
        image.set_snap_by_id(int(snapshot["id"]))
        found = found or _flagged(image)
    image.set_snap(None)
    return found


def usable(image: rbd.Image) -> bool:
    """Whether fast-diff tells which objects exist, in every view. Leaves the image at its head."""
    fast = bool(int(image.features()) & FEATURES["fast-diff"])
    return fast and not flagged_invalid(image)


def _flagged(image: rbd.Image) -> bool:
    return bool(int(image.flags()) & (_OBJECT_MAP_INVALID | _FAST_DIFF_INVALID))
