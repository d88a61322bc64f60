"""Reading omap, in pages, so that an object with megabytes of keys costs no more than a page."""

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
            return (found[key] or b"") if key in found else None  # it gives None for empty values
    except rados.ObjectNotFound:
        return None


def omap_pages(ioctx: rados.Ioctx, oid: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Every key that starts with ``prefix`` and its value; nothing without the object."""
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
