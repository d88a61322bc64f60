"""How many objects a copy has under way: one where clients could read one of them half done.

librbd copies an object of an image with snapshots in several writes, and until the last one is
there clients read old data of it (``doc/design/recovery.rst``). Its progress callback, in which a
copy is paced, holds up whatever is under way beside it. With one object at a time nothing is, and
a copy that is killed leaves one such object instead of ten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rados

from ...cluster import headers
from ...control.objects.partial import in_several_writes
from ...model.migration import Place
from ..session import Session

_KEY = "rbd_concurrent_management_ops"


@contextmanager
def limited_concurrency(
    session: Session, ioctx: rados.Ioctx, target: Place, args: dict[str, Any]
) -> Iterator[None]:
    """For a copy within it: one object at once where it has to be, librbd's usual number else."""
    header = headers.migration_header(ioctx, target.image_id)
    point, no_point, imported = args["point"], args["no_point"], args["import"] is not None
    if not in_several_writes(header, point=point, no_point=no_point, imported=imported):
        yield
        return
    usual = session.rados.conf_get(_KEY)
    session.rados.conf_set(_KEY, "1")
    try:
        yield
    finally:
        session.rados.conf_set(_KEY, usual)
