"""Calling a method of an object class, such as ``rbd`` or ``lock``, on a RADOS object."""

from __future__ import annotations

from typing import Optional

import rados

from .denc import Decoder

_REPLY = 1 << 20  # bytes; a header with thousands of snapshots passes 64 KiB


def call(ioctx: rados.Ioctx, oid: str, cls: str, method: str, data: bytes) -> Optional[Decoder]:
    """The reply of ``method`` of the class ``cls``; None when the object does not exist."""
    try:
        size, out = ioctx.execute(oid, cls, method, data, _REPLY)
    except rados.ObjectNotFound:
        return None
    return Decoder(out[:size])


def call_to_write(ioctx: rados.Ioctx, oid: str, cls: str, method: str, data: bytes) -> int:
    """Call a method that writes; return the object's version after this write."""
    with rados.WriteOpCtx() as op:
        op.execute(cls, method, data)
        ioctx.operate_write_op(op, oid)
    return int(ioctx.get_last_version())
