"""What an image is, as preflight wants to know it. Opens nothing for writing."""

from __future__ import annotations

import time
from errno import ECANCELED
from typing import Optional

import rbd

from ..model.layout import FEATURES
from ..model.source_image import LUKS, LUKS_OF_CLONE, Snapshot, SourceImage
from .copy.estimate import views
from .repair import group_mirror
from .verify import object_map

# Objects of all views up to which data are counted without fast-diff: 2 s (measured, release 16).
_COUNTED = 25_000
_COUNTING = 3.0  # seconds for counting data; what is beyond is not counted
TIME = 5.0  # seconds for objects that OSDs are still trimming: a command waits for it
_LUKS = {b"\xba\xbe\x00\x01": "luks1", b"\xba\xbe\x00\x02": "luks2"}
_DIRTY_CACHE = 1 << 11  # include/rbd/features.h; the Python binding has no name for it
_NO_LIMIT = (1 << 64) - 1


def describe(image: rbd.Image, *, flatten: bool) -> SourceImage:
    """What librbd and the image itself tell of it: all but its clones, users and obstacles.

    ``flatten``: the parent's data are to be copied too.
    """
    stat = image.stat()
    bits = int(image.features())
    parent, parent_pool = _parent(image)
    luks, own_encryption = _luks(image)
    limit = int(image.get_snap_limit())
    return SourceImage(
        size=int(stat["size"]),
        object_size=1 << int(stat["order"]),
        stripe_unit=int(image.stripe_unit()),
        stripe_count=int(image.stripe_count()),
        features=frozenset(name for name, bit in FEATURES.items() if bits & bit),
        luks=luks,
        own_encryption=own_encryption,
        parent=parent,
        parent_pool=parent_pool,
        group=group_mirror.group_of(image),
        mirror_mode=group_mirror.mirror_mode_of(image),
        to_copy=_to_copy(image, flatten=flatten),
        invalid_maps=object_map.invalid_maps(image),
        snapshots=_snapshots(image),
        cache_dirty=bool(bits & _DIRTY_CACHE),
        all_snapshot_count=len(list(image.list_snaps())),
        snapshot_limit=None if limit == _NO_LIMIT else limit,
    )


def _snapshots(image: rbd.Image) -> tuple[Snapshot, ...]:
    """The user's snapshots."""
    return tuple(
        Snapshot(str(snapshot["name"]), bool(image.is_protected_snap(snapshot["name"])))
        for snapshot in list(image.list_snaps())
        if snapshot["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER
    )


def _parent(image: rbd.Image) -> tuple[str, str]:
    """The parent's spec with its snapshot, and its pool; empty without a parent."""
    try:
        spec = image.get_parent_image_spec()
    except rbd.ImageNotFound:
        return "", ""
    parts = (spec["pool_name"], spec["pool_namespace"], spec["image_name"])
    return "/".join(part for part in parts if part) + f"@{spec['snap_name']}", spec["pool_name"]


def _luks(image: rbd.Image) -> tuple[str, bool]:
    """``luks1``, ``luks2`` or empty, and whether librbd formatted it as a clone."""
    start = bytes(image.read(0, min(8, int(image.size()))))
    magic, version = start[:4], _LUKS.get(start[4:], "")
    known = magic in LUKS
    return (version, magic == LUKS_OF_CLONE) if known and version else ("", False)


def _to_copy(image: rbd.Image, *, flatten: bool) -> Optional[int]:
    """Bytes of the objects that head and snapshots hold, whole objects; None: too many to count.

    A command waits for it: an image of 16 TiB has millions of objects in each view.
    """
    found = views(image)
    size = 1 << int(image.stat()["order"])
    objects = sum(-(-length // size) for _, _, length in found)
    if objects > _COUNTED and not object_map.usable(image):
        return None
    deadline = time.monotonic() + _COUNTING
    count = _Count(deadline)
    for snapshot, before, length in found:
        image.set_snap(snapshot)
        if time.monotonic() > deadline or not count.view(image, before, length, flatten=flatten):
            return None
    return count.bytes


class _Count:
    """Counts bytes until ``deadline`` (monotonic seconds)."""

    def __init__(self, deadline: float) -> None:
        self.bytes = 0
        self._deadline = deadline
        self._told = 0
        self._late = False

    def view(self, image: rbd.Image, before: Optional[str], size: int, *, flatten: bool) -> bool:
        """Count what a view has that the snapshot ``before`` has not; False at the deadline."""
        if not size:
            return True  # librbd ends the process when asked for nothing
        parent = flatten and before is None
        try:
            image.diff_iterate(
                0, size, before, self._note, include_parent=parent, whole_object=True
            )
        except rbd.Error:
            if self._late:
                return False
            raise
        return not self._late

    def _note(self, offset: int, length: int, exists: bool) -> int:
        """librbd stops at a negative number."""
        self.bytes += length if exists else 0
        self._told += 1
        if self._told % 1024 == 0 and time.monotonic() > self._deadline:
            self._late = True
        return -ECANCELED if self._late else 0
