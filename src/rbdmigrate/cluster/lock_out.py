"""Locking clients out of an image, also after the process that did it is gone.

The exclusive lock of an image is a lock ``rbd_lock`` on its header. librbd breaks one whose owner
is dead if that owner was librbd; one that has another kind of cookie it never breaks. So a client
of an image with the feature exclusive-lock writes nothing until the lock is removed (measured,
16.2.15). A client of an image without the feature is not stopped. Who has the lock already can
rename its cookie: at no moment is the image unlocked then.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from errno import EBUSY

import rados

from ..model.errors import MigrationError
from . import headers, surgery
from .class_call import call_to_write
from .denc import encode_string
from .lock_info import LockHolder

_LOCK = "rbd_lock"
_COOKIE = "rbd_migration"
_EXCLUSIVE = 1  # ClsLockType
_TAG = "internal"  # that librbd gives the lock


def lock_out(ioctx: rados.Ioctx, ident: str) -> None:
    """Lock out all clients. Raises MigrationError(EBUSY) when one has the lock."""
    if locked_out(ioctx, ident):
        return
    try:
        ioctx.lock_exclusive(f"rbd_header.{ident}", _LOCK, _COOKIE, "rbd_migration", None, 0)
    except rados.ObjectBusy:
        raise MigrationError(EBUSY, "A client took the image's exclusive lock.") from None


def keep_locked(ioctx: rados.Ioctx, ident: str, clients: Collection[int]) -> None:
    """Lock out all clients, where librbd has the exclusive lock for us. May be repeated.

    ``clients``: the numbers of our RADOS clients; ``ioctx`` is of the one that has the lock. Raises
    MigrationError(EBUSY) when a client has it.
    """
    if locked_out(ioctx, ident):
        return
    holder = headers.lock_holder(ioctx, ident)
    if holder is None or holder.client not in clients:
        raise MigrationError(EBUSY, "A client took the image's exclusive lock.")
    argument = headers.versioned(_lock_of(holder) + encode_string(_COOKIE))
    try:
        call_to_write(ioctx, f"rbd_header.{ident}", "lock", "set_cookie", argument)
    except rados.ObjectBusy:
        raise MigrationError(EBUSY, "A client took the image's exclusive lock.") from None


def assertion_of(holder: LockHolder) -> bytes:
    """The argument of ``lock.assert_locked``: only if librbd has the exclusive lock as ``holder``.

    In one write with other operations it makes them fail (EBUSY) when the lock has gone.
    """
    return headers.versioned(_lock_of(holder))


def _lock_of(holder: LockHolder) -> bytes:
    cookie_and_tag = encode_string(holder.cookie) + encode_string(_TAG)
    return encode_string(_LOCK) + struct.pack("<B", _EXCLUSIVE) + cookie_and_tag


def locked_out(ioctx: rados.Ioctx, ident: str) -> bool:
    """Whether clients are locked out by :func:`lock_out`."""
    holder = headers.advisory_lock(ioctx, ident)
    return holder is not None and holder.cookie == _COOKIE


def let_in(ioctx: rados.Ioctx, ident: str) -> None:
    """The reverse of :func:`lock_out`; whoever called that. May be repeated."""
    holder = headers.advisory_lock(ioctx, ident)
    if holder is not None and holder.cookie == _COOKIE:
        surgery.break_lock(ioctx, ident, holder)
