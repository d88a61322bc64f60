"""The allocated bytes of an image: what librbd says exists, not the image's size.

librbd knows where an object ends, not the holes in it: data far into a new object counts from the
object's start.
"""

from typing import Optional

import rados
import rbd

from qa.demo.content import HEAD, ZERO, Expected, stages


def allocated(ioctx: rados.Ioctx, name: str, size: int) -> int:
    """Return the allocated bytes: the first snapshot's, and what later views add or replace."""
    total = 0
    before = None
    for stage in stages(size):
        snapshot = None if stage.name == HEAD else stage.name
        extents = _extents(ioctx, name, size, snapshot, before)
        total += sum(length for _, length in extents)
        before = stage.name
    return total


def needlessly_there(ioctx: rados.Ioctx, name: str, head: Expected) -> int:
    """Return the bytes of objects that should not exist: in a hole never written by the client."""
    with rbd.Image(ioctx, name, read_only=True) as image:
        object_size = int(image.stat()["obj_size"])
    objects = {
        number
        for offset, length in _extents(ioctx, name, head.size, None, None)
        for number in range(offset // object_size, (offset + length - 1) // object_size + 1)
    }
    return object_size * sum(
        _in_hole(head, number * object_size, object_size) for number in objects
    )


def _in_hole(head: Expected, offset: int, length: int) -> bool:
    empty = set(head.generations(offset, length)) == {ZERO}
    return empty and not head.has_writes(offset, length)


def _extents(
    ioctx: rados.Ioctx, name: str, size: int, snapshot: Optional[str], since: Optional[str]
) -> list[tuple[int, int]]:
    """Offset and length of what exists in `snapshot` (None: the head) and changed `since`."""
    found: list[tuple[int, int]] = []

    def note(offset: int, length: int, exists: bool) -> None:
        if exists:
            found.append((offset, length))

    with rbd.Image(ioctx, name, read_only=True) as image:
        image.set_snap(snapshot)
        image.diff_iterate(0, size, since, note)
    return found
