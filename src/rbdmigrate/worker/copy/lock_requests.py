"""Clients that want the exclusive lock of a target while our worker copies.

librbd gives the lock up between two objects, but not while a progress callback runs, and there the
copy is paced. So the copy is not paced while somebody asks for the lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import rados

from ...cluster.denc import requests_lock
from .throttle import CopyThrottle

_HURRY = 5.0  # seconds; clients ask again when they get no answer


@contextmanager
def yielding_lock(ioctx: rados.Ioctx, image_id: str, pace: CopyThrottle) -> Iterator[None]:
    """For a copy within it: not paced while a client asks for the lock of the image."""

    def notified(notify_id: int, notifier: str, watch_id: int, data: bytes) -> None:
        if requests_lock(data):
            pace.hurry(_HURRY)

    watch = ioctx.watch(f"rbd_header.{image_id}", notified)
    try:
        yield
    finally:
        with suppress(rados.Error):  # our client is shut out, and its watch is gone
            watch.close()
