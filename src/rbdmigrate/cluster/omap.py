"""Reading omap in pages, so that objects with megabytes of keys take little memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import rados

_PAGE = 256


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
