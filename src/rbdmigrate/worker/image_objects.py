"""The data objects of an open image: its layout, which of them hold data, and where they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import rados
import rbd

from ..cluster import headers
from ..cluster.data_objects import DataObjects
from ..control.objects.striping import Striping
from ..model.image_ident import is_old_format
from .open_image import ident_of
from .session import Session
from .verify.extents import diff


def striping_of(image: rbd.Image) -> Striping:
    """The image's layout."""
    return Striping(
        1 << int(image.stat()["order"]), int(image.stripe_unit()), int(image.stripe_count())
    )


def objects_with_data(image: rbd.Image, striping: Striping) -> Iterator[int]:
    """The numbers of the objects in which the view that ``image`` shows has data, by librbd.

    With object maps where there are any (:mod:`.verify.extents`). Numbers may come more than once.
    """
    for offset, length in diff(image, None, (0, int(image.size())), True, False):
        yield from striping.objects(offset, length)


def objects_by_header(session: Session, ioctx: rados.Ioctx, ident: str) -> Optional[DataObjects]:
    """The same as :func:`data_objects` without an open image; None without one of format 2."""
    prefix = headers.object_prefix(ioctx, ident)
    if prefix is None:
        return None
    pool_id, namespace = headers.data_pool_id(ioctx, ident), str(ioctx.get_namespace())
    size = headers.object_size(ioctx, ident)
    return DataObjects(
        cluster=session.rados, pool_id=pool_id, namespace=namespace, prefix=prefix, size=size
    )


def data_objects(
    session: Session, ioctx: rados.Ioctx, image: rbd.Image, snapshot: Optional[int] = None
) -> DataObjects:
    """The image's objects as RADOS has them; close it after use.

    ``ioctx``: where the image is. ``snapshot``: as in :class:`DataObjects`.
    """
    ident = ident_of(image)
    return DataObjects(
        cluster=session.rados,
        pool_id=headers.data_pool_id(ioctx, ident),
        namespace=str(ioctx.get_namespace()),
        prefix=str(image.block_name_prefix()),
        size=1 << int(image.stat()["order"]),
        snapshot=snapshot,
        old_format=is_old_format(ident),
    )
