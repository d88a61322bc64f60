"""Who has images open for writing, asked by their ids: a source lies in the trash meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import rados
import rbd

from ..model.codec import from_plain
from ..model.migration import Place


def users_of(session: Any, args: dict[str, Any], progress: Any) -> dict[str, Any]:
    """The clients that have one of ``images`` (places) open for writing: their addresses.

    An image that cannot be opened, since it is half removed, tells nothing. Our own clients, and
    the dead ones that were ``fenced``, do not count.
    """
    found = [
        address
        for plain in args["images"]
        for client, address in _watchers(session, from_plain(Place, plain, "place"))
        if client not in session.clients and address not in args["fenced"]
    ]
    return {"users": found}


def _watchers(session: Any, place: Place) -> Iterator[tuple[int, str]]:
    """Number and address of each client that watches the header, as all do that may write."""
    with session.open(place) as ioctx:
        try:
            with rbd.Image(ioctx, image_id=place.image_id, read_only=True) as image:
                watchers = list(image.watchers_list())
        except (rbd.Error, rados.ObjectNotFound):
            return
        for watcher in watchers:
            yield int(watcher["id"]), str(watcher["addr"])
