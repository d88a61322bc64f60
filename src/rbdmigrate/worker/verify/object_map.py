"""Whether librbd's object maps of an image may be trusted."""

from __future__ import annotations

import rbd

from ...model.layout import FEATURES
from ...model.source_image import InvalidMap

_FLAGS = {"object map invalid": 1 << 0, "fast diff invalid": 1 << 1}  # librbd.h: RBD_FLAG_...


def invalid_maps(image: rbd.Image) -> tuple[InvalidMap, ...]:
    """The views of the image whose object map librbd has flagged as wrong, the head ("") first.

    A view is the name of a snapshot; the flags are called as ``rbd info`` does. Leaves the image at
    its head.
    """
    if not int(image.features()) & FEATURES["object-map"]:
        return ()
    found = [("", _flags(image))]
    for snapshot in list(image.list_snaps()):
        image.set_snap_by_id(int(snapshot["id"]))
        found.append((str(snapshot["name"]), _flags(image)))
    image.set_snap(None)
    return tuple(InvalidMap(name, flags) for name, flags in found if flags)


def flagged_invalid(image: rbd.Image) -> bool:
    """Whether librbd says that an object map of the image is wrong. Leaves it at its head."""
    return bool(invalid_maps(image))


def usable(image: rbd.Image) -> bool:
    """Whether fast-diff tells which objects exist, in every view. Leaves the image at its head."""
    fast = bool(int(image.features()) & FEATURES["fast-diff"])
    return fast and not flagged_invalid(image)


def _flags(image: rbd.Image) -> tuple[str, ...]:
    """The flags of the view that is open."""
    bits = int(image.flags())
    return tuple(name for name, bit in _FLAGS.items() if bits & bit)
