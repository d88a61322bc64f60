"""The fault switch: writes wrong bytes into the target's RADOS objects, bypassing librbd.

It shows that the comparison can fail: with ``--corrupt`` it has to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import rados
import rbd

from qa.demo.content import HEAD, ZERO, Expected
from qa.demo.errors import DemoError

WRONG_BYTES = 100
_AT = 1234  # offset in the object


@dataclass(frozen=True)
class Damage:
    """The place of the change."""

    object_name: str
    offset: int  # offset in the image


def corrupt(ioctx: rados.Ioctx, name: str, views: Mapping[str, Expected], which: str) -> Damage:
    """Change some bytes of only the head, or of only the last snapshot."""
    with rbd.Image(ioctx, name, read_only=True) as image:
        object_size = int(image.stat()["obj_size"])
        prefix = str(image.stat()["block_name_prefix"])
        # Newest first, as a write's snapshot context has them.
        snapshots = sorted((int(each["id"]) for each in image.list_snaps()), reverse=True)
    number = _suitable(views, object_size)
    object_name = f"{prefix}.{number:016x}"
    right = ioctx.read(object_name, WRONG_BYTES, _AT)
    wrong = bytes(byte ^ 0xFF for byte in right)
    if which == HEAD:
        ioctx.set_self_managed_snap_write(snapshots)
        ioctx.write(object_name, wrong, _AT)
    else:
        # Without the snapshots' context a write changes what they show too; with it, the right
        # bytes come back to the head alone, and the snapshots keep the wrong ones.
        ioctx.write(object_name, wrong, _AT)
        ioctx.set_self_managed_snap_write(snapshots)
        ioctx.write(object_name, right, _AT)
    return Damage(object_name, number * object_size + _AT)


def _suitable(views: Mapping[str, Expected], object_size: int) -> int:
    """Find an object with data that was written for the last snapshot and never since."""
    *_, before, last, head = views.values()
    for offset in range(0, head.size, object_size):
        there = last.generations(offset, object_size)
        if (
            ZERO not in there
            and before.generations(offset, object_size) != there
            and head.generations(offset, object_size) == there
            and not head.has_writes(offset, object_size)
        ):
            return offset // object_size
    raise DemoError("The client left no suitable object as it was: try a larger --size.")
