"""What an image is, as preflight wants to know it. Opens nothing for writing."""

from __future__ import annotations

from typing import Any, Optional

import rbd

from ..model.layout import FEATURES
from . import company
from .survey import diff, views

# Objects of all views up to which data are counted without fast-diff: 2 s (measured, release 16).
_COUNTED = 25_000
_LUKS = {b"LUKS\xba\xbe\x00\x01": "luks1", b"LUKS\xba\xbe\x00\x02": "luks2"}
_FLAG_FAST_DIFF_INVALID = 1 << 1  # librbd: RBD_FLAG_FAST_DIFF_INVALID


def describe(image: rbd.Image, *, flatten: bool) -> dict[str, Any]:
    """The fields of ``checks.facts.Image`` but for its users, as plain data.

    ``flatten``: the parent's data are to be copied too.
    """
    stat = image.stat()
    bits = int(image.features())
    parent, parent_pool = _parent(image)
    return {
        "size": int(stat["size"]),
        "object_size": 1 << int(stat["order"]),
        "stripe_unit": int(image.stripe_unit()),
        "stripe_count": int(image.stripe_count()),
        "features": [name for name, bit in FEATURES.items() if bits & bit],
        "luks": _luks(image),
        "parent": parent,
        "parent_pool": parent_pool,
        "group": company.group_of(image),
        "mirror_mode": company.mirror_mode_of(image),
        "to_copy": _to_copy(image, flatten=flatten),
        "snapshots": _snapshots(image),
    }


def clones(image: rbd.Image) -> list[str]:
    """Image specs of the clones of all snapshots. Leaves the image at some snapshot."""
    return sorted(
        spec for snapshot in image.list_snaps() for spec in _children(image, int(snapshot["id"]))
    )


def _children(image: rbd.Image, snapshot: int) -> list[str]:
    image.set_snap_by_id(snapshot)
    return [
        "/".join(part for part in (c["pool"], c["pool_namespace"], c["image"]) if part)
        for c in image.list_children2()
    ]


def _snapshots(image: rbd.Image) -> list[dict[str, Any]]:
    """Comes last: it leaves the image at some snapshot."""
    return [
        {
            "name": str(snapshot["name"]),
            "protected": bool(image.is_protected_snap(snapshot["name"])),
            "clones": _children(image, int(snapshot["id"])),
        }
        for snapshot in list(image.list_snaps())
        if snapshot["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER
    ]


def _parent(image: rbd.Image) -> tuple[str, str]:
    """The parent's spec with its snapshot, and its pool; empty without a parent."""
    try:
        spec = image.get_parent_image_spec()
    except rbd.ImageNotFound:
        return "", ""
    parts = (spec["pool_name"], spec["pool_namespace"], spec["image_name"])
    return "/".join(part for part in parts if part) + f"@{spec['snap_name']}", spec["pool_name"]


def _luks(image: rbd.Image) -> str:
    """``luks1``, ``luks2``, or empty."""
    start = bytes(image.read(0, min(8, int(image.size()))))
    return _LUKS.get(start, "")


def _to_copy(image: rbd.Image, *, flatten: bool) -> Optional[int]:
    """Bytes of the objects that head and snapshots hold, whole objects; None: too many to count."""
    found = views(image)
    size = 1 << int(image.stat()["order"])
    fast = bool(int(image.features()) & FEATURES["fast-diff"])
    fast = fast and not int(image.flags()) & _FLAG_FAST_DIFF_INVALID
    if not fast and sum(-(-length // size) for _, _, length in found) > _COUNTED:
        return None
    total = 0
    for snapshot, before, length in found:
        image.set_snap(snapshot)
        extents = diff(image, before, (0, length), True, flatten and before is None)
        total += sum(part for _, part in extents)
    return total
