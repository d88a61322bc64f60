"""Locking clients out of an image, also after the process that did it is gone.

The exclusive lock of an image is a lock ``rbd_lock`` on its header. librbd breaks one whose owner
is dead if that owner was librbd; one that has another kind of cookie it never breaks. So a client
of an image with the feature exclusive-lock writes nothing until the lock is removed (measured,
16.2.15). A client of an image without the feature is not stopped.
"""

from __future__ import annotations

from errno import EBUSY

import rados

from ..model.errors import MigrationError
from . import headers, surgery

_LOCK = "rbd_lock"
_COOKIE = "rbd_migration"


def lock_out(ioctx: rados.Ioctx, ident: str) -> None:
    """Lock out all clients. Raises MigrationError(EBUSY) when one has the lock."""
    if locked_out(ioctx, ident):
        return
    try:
        ioctx.lock_exclusive(f"rbd_header.{ident}", _LOCK, _COOKIE, "rbd_migration", None, 0)
    except rados.ObjectBusy:
        raise MigrationError(EBUSY, "A client took the image's exclusive lock.") from None


def locked_out(ioctx: rados.Ioctx, ident: str) -> bool:
    """Whether clients are locked out by :func:`lock_out`."""
    holder = headers.advisory_lock(ioctx, ident)
    return holder is not None and holder.cookie == _COOKIE


def let_in(ioctx: rados.Ioctx, ident: str) -> None:
    """The reverse of :func:`lock_out`; whoever called that. May be repeated."""
    holder = headers.advisory_lock(ioctx, ident)
    if holder is not None and holder.cookie == _COOKIE:
        surgery.break_lock(ioctx, ident, holder)
