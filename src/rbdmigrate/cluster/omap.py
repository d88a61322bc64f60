"""Reading omap in pages, and what else is common to reads and writes of records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import rados

# LIBRADOS_OPERATION_FULL_TRY of librados.h, which its Python binding does not have: a write of a
# pool whose quota is used up is refused or, if it adds nothing, done; else it waits forever.
FULL_TRY = 64
_PAGE = 256  # keys, so that objects with megabytes of them take little memory


def omap_value(ioctx: rados.Ioctx, oid: str, key: str) -> Optional[bytes]:
    """The value of one key; None without the key or without the object."""
    try:
        with rados.ReadOpCtx() as op:
            values, _ = ioctx.get_omap_vals_by_keys(op, (key,))
            ioctx.operate_read_op(op, oid)
            found = dict(values)
            return (found[key] or b"") if key in found else None  # empty values are None
    except rados.ObjectNotFound:
        return None


def omap_pages(ioctx: rados.Ioctx, oid: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield every key that starts with ``prefix`` and its value; nothing without the object."""
    after = ""
    while True:
        try:
            with rados.ReadOpCtx() as op:
                values, _ = ioctx.get_omap_vals(op, after, prefix, _PAGE)
                ioctx.operate_read_op(op, oid)
                page = list(values)
        except rados.ObjectNotFound:
            return
        if not page:
            return
        yield from page
        after = page[-1][0]
