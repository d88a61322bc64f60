"""Objects that a copy left out although librbd said that it was done.

librbd's execute takes an error EINVAL in the middle of a copy for success, on all releases: it
marks the target as executed and leaves out the object, which then reads as zeros. So what the copy
had to move is compared with the objects that the target has. That takes milliseconds with object
maps, and 16.5 s per TiB without (:mod:`..verify.extents`). Only objects that the target lacks are
read at the source: those full of zeros may be missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from errno import EBADMSG

import rados
import rbd

from ...cluster.data_objects import DataObjects
from ...control.objects.copy_cost import CopyCost
from ...control.objects.striping import Striping
from ...model.errors import MigrationError
from ...model.migration import Place
from ..repair.repair import data_ioctx
from ..session import Session
from ..verify.extents import diff
from .estimate import views

_TELL = 256  # objects read between two signs of life


def require_all_objects(
    session: Session, source: Place, target: Place, costs: CopyCost, tell: Callable[[], None]
) -> None:
    """Raise MigrationError(EBADMSG) if the target lacks an object that holds data at the source.

    ``costs`` is what the copy had to move. Call it as soon as librbd says that the target is
    executed: from then on clients that discard whole objects remove them; before that they leave
    an empty object.
    """
    with (
        session.open(target) as ioctx,
        rbd.Image(ioctx, image_id=target.image_id, read_only=True) as image,
    ):
        striping = Striping(
            1 << int(image.stat()["order"]), int(image.stripe_unit()), int(image.stripe_count())
        )
        count = min(costs.objects, striping.count(int(image.size())))  # clients may have shrunk it
        missing = [number for number in costs.objects_to_copy() if number < count]
        missing = _without(image, striping, missing)
        if missing:  # those that clients discarded exist, and are empty
            missing = _absent(session, ioctx, target, image, missing)
        for snapshot, _, _ in views(image)[:-1]:
            if missing:  # an object may be in a snapshot alone
                image.set_snap(snapshot)
                missing = _without(image, striping, missing)
    lost = _with_data(session, source, striping, missing, tell) if missing else []
    if lost:
        first = next(striping.extents(lost[0]))[0]
        raise MigrationError(
            EBADMSG,
            f"librbd reported that {target.spec} is copied, but {len(lost)} objects that hold data "
            f"of {source.spec} are missing on it, the first at byte {first}; `ceph rbd migration "
            f"abort {target.spec}` gives the source back.",
        )


def _without(image: rbd.Image, striping: Striping, numbers: list[int]) -> list[int]:
    """Those of the objects that the view which ``image`` shows does not have, by librbd."""
    there = bytearray(numbers[-1] + 1 if numbers else 0)
    for offset, length in diff(image, None, (0, int(image.size())), True, False):
        for number in striping.objects(offset, length):
            if number < len(there):
                there[number] = 1
    return [number for number in numbers if not there[number]]


def _absent(
    session: Session, ioctx: rados.Ioctx, target: Place, image: rbd.Image, numbers: list[int]
) -> list[int]:
    """Those of the target's objects that do not exist, not even empty."""
    with data_ioctx(session, ioctx, target.image_id) as pool:
        objects = DataObjects(
            session.rados,
            int(pool.get_pool_id()),
            target.namespace,
            str(image.block_name_prefix()),
            1 << int(image.stat()["order"]),
        )
    with contextlib.closing(objects):
        existing = set(objects.existing(numbers))
    return [number for number in numbers if number not in existing]


def _with_data(
    session: Session,
    source: Place,
    striping: Striping,
    numbers: list[int],
    tell: Callable[[], None],
) -> list[int]:
    """Those of the target's objects for which a view of the source has other bytes than zeros."""
    found: set[int] = set()
    with (
        session.open(source) as ioctx,
        rbd.Image(ioctx, image_id=source.image_id, read_only=True) as image,
    ):
        for snapshot, _, size in views(image):
            image.set_snap(snapshot)
            for index, number in enumerate(numbers):
                if index % _TELL == 0:
                    tell()
                if number not in found and any(
                    image.read(offset, min(length, size - offset)).strip(b"\0")
                    for offset, length in striping.extents(number)
                    if offset < size
                ):
                    found.add(number)
    return sorted(found)
