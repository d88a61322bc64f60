"""Whether clients went on with the source of an import after the snapshot that was copied."""

from __future__ import annotations

from collections.abc import Callable

import rados
import rbd

from ...cluster import image_snapshots
from ...model.watchers import name_users
from ..mover.candidates import exact_within, since
from ..users import other_writers

_SPAN = 64 << 30  # bytes; to look at each object of that many takes a second


def went_on(
    client: rados.Rados, ioctx: rados.Ioctx, ident: str, snap_id: int, alive: Callable[[], None]
) -> str:
    """What they did to the image after its snapshot ``snap_id``, a clause about it; empty: nothing.

    ``client`` is one of the image's cluster, and only has to be allowed to read. Without object
    maps, or with newer snapshots, each object is looked at: 16.5 s per TiB. ``alive`` is called
    every few seconds then. A rollback to an older snapshot is not always noticed. Raises what
    RADOS and librbd raise.
    """
    with rbd.Image(ioctx, image_id=ident, read_only=True) as image:
        users = other_writers(ioctx, image, (int(client.get_instance_id()),))
        if users:
            return f"it is open for writing by {name_users(users)}"
        there = [s for s in image_snapshots.of_users(ioctx, ident) if s.snap_id == snap_id]
        if not there:
            return "that snapshot was removed"
        (snapshot,) = there
        if int(image.size()) != snapshot.size:
            return f"its size became {image.size()} bytes"
        written = 0
        for offset, length in since(ioctx, image, ident, snap_id, ()):
            for at in range(offset, offset + length, _SPAN):
                part = [(at, min(_SPAN, offset + length - at))]
                found = exact_within(image, snapshot.name, part, parent=False)
                written += sum(extent.length for extent in found)
                alive()
        return f"clients wrote {written} bytes to it" if written else ""
