"""How many objects a copy has under way: one where clients could read one of them half done.

More than usual where there is nearly nothing to copy.

librbd copies an object of an image with snapshots in several writes, and until the last one is
there clients read old data of it (``doc/design/recovery.rst``). Its progress callback, in which a
copy is paced, holds up whatever else is under way. With one object at a time nothing is, and
a copy that is killed leaves one such object instead of ten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

import rados
import rbd

from ...cluster import headers
from ...control.objects.copy_cost import CopyCost, in_flight
from ...control.objects.partial import in_several_writes
from ...model.jobs.acts import Execute
from ...model.migration import Place
from ..session import Session

_KEY = "rbd_concurrent_management_ops"


@contextmanager
def limited_concurrency(
    session: Session,
    ioctx: rados.Ioctx,
    target: Place,
    act: Execute,
    costs: CopyCost,
    *,
    imported: bool,
) -> Iterator[None]:
    """For a copy within it: one object at once where it has to be, else by what there is to copy.

    An import reads from a source that may not take more than librbd's usual number.
    """
    header = headers.migration_header(ioctx, target.image_id)
    usual = session.rados.conf_get(_KEY)
    if in_several_writes(
        header,
        comparison_snapshot=act.comparison_snapshot,
        no_comparison_snapshot=act.no_comparison_snapshot,
        imported=imported,
    ):
        wanted = 1
    elif imported:
        wanted = int(usual)
    else:
        wanted = in_flight(int(usual), costs, paced=act.rate is not None)
    session.rados.conf_set(_KEY, str(wanted))
    try:
        yield
    finally:
        session.rados.conf_set(_KEY, usual)


def allow_lock_owner(ioctx: rados.Ioctx, target: Place, operations: Optional[int]) -> None:
    """Limit a client that copies as holder of the exclusive lock to so many operations at once.

    None: it is left as it is.
    """
    if operations is not None:
        with rbd.Image(ioctx, image_id=target.image_id) as image:
            image.metadata_set(headers.HOLDER_OPS_KEY, str(operations))
