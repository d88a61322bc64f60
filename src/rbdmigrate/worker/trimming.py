"""Looks whether an image has objects that librbd would copy as zeros, because OSDs are still
trimming removed snapshots (:mod:`..control.objects.trimming`). Writes nothing.

The source's own objects are the only ones: what a clone has from its parent is read at the
parent's snapshot itself, and an abort copies right (both measured on release 16).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from errno import EOPNOTSUPP
from typing import Optional

import rados
import rbd

from ..cluster import headers, image_snapshots, mon_queries
from ..cluster.data_objects import object_name
from ..cluster.object_snapshots import ObjectSnapshots
from ..control.objects.striping import Striping
from ..control.objects.trimming import endangered, may_be_endangered
from ..model.errors import MigrationError
from ..model.image_ident import is_old_format
from ..model.untrimmed import Clone, Untrimmed
from .image_objects import objects_with_data, striping_of
from .open_image import ident_of
from .session import Session
from .verify.object_map import usable

BEFORE_ACT = 1800.0  # seconds that a look before an act may take: about 9 million objects
_AT_ONCE = 8
_TELL = 4096  # objects between two signs of life


def untrimmed(
    session: Session,
    ioctx: rados.Ioctx,
    image: rbd.Image,
    budget: float,
    tell: Callable[[], None] = lambda: None,
) -> Optional[Untrimmed]:
    """What librbd would copy wrong of an open image, None when nothing: it may be copied.

    Takes ``budget`` seconds at most; an image that was not looked at as a whole is not safe. Leaves
    the image at its head. Raises what RADOS and librbd raise.
    """
    ident = ident_of(image)
    newest, kept = image_snapshots.snapshot_ids(ioctx, ident)
    striping = striping_of(image)
    if not kept and not striping.fancy:
        return None
    pool_id, namespace = headers.data_pool_id(ioctx, ident), ioctx.get_namespace()
    removed = mon_queries.removed_snapshots(session.rados, pool_id)
    if not may_be_endangered(kept, newest, removed, striped=striping.fancy):
        return None
    pool = str(session.rados.pool_reverse_lookup(pool_id))
    numbers = _objects(image, kept, striping)
    with session.c_client.pool(pool_id, namespace) as handle:
        try:
            snapshots = ObjectSnapshots(handle)
        except MigrationError as error:
            if error.errno != EOPNOTSUPP:
                raise
            return Untrimmed(pool, 0, 0, len(numbers), unable=True, stopped=removed.stopped)
        prefix = str(image.block_name_prefix())
        names = (object_name(prefix, number, old_format=is_old_format(ident)) for number in numbers)
        found = looked = 0
        deadline = time.monotonic() + budget
        known = frozenset(kept)
        for clones in _each(snapshots, names):
            found += endangered(clones, known, removed, striped=striping.fancy)
            looked += 1
            if looked % _TELL == 0:
                tell()
                if time.monotonic() > deadline:
                    break
    if not found and looked == len(numbers):
        return None
    return Untrimmed(pool, found, looked, len(numbers), stopped=removed.stopped)


def _each(snapshots: ObjectSnapshots, names: Iterator[str]) -> Iterator[list[Clone]]:
    """The clones of each object, several requests at a time."""
    asked: deque[Future[list[Clone]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for name in names:
                asked.append(pool.submit(snapshots.clones, name))
                if len(asked) > 4 * _AT_ONCE:
                    yield asked.popleft().result()
            while asked:
                yield asked.popleft().result()
        finally:
            for future in asked:
                future.cancel()


def _objects(image: rbd.Image, kept: Sequence[int], striping: Striping) -> Sequence[int]:
    """The numbers of the objects that may have a clone for a kept snapshot.

    With fancy striping also those of the head: it may have clones of removed snapshots alone.
    """
    listed = list(image.list_snaps())
    ours = all(s["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER for s in listed)
    if not ours or not usable(image):  # others' snapshots cannot be opened
        return range(striping.count(max([int(image.size()), *(int(s["size"]) for s in listed)])))
    found: set[int] = set()
    for snapshot in kept:
        image.set_snap_by_id(snapshot)
        found.update(objects_with_data(image, striping))
    image.set_snap(None)
    if striping.fancy:
        found.update(objects_with_data(image, striping))
    return sorted(found)
