"""Objects that a copy left out although librbd said that it was done.

librbd's execute takes an error EINVAL in the middle of a copy for success, on all releases: it
marks the target as executed and leaves out the object, which then reads as zeros. So what the copy
had to move is compared with the objects that the target has. That takes milliseconds with object
maps, and 16.5 s per TiB without (:mod:`..verify.extents`). Only objects that the target lacks are
read at the source: those full of zeros may be missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from errno import EBADMSG
from itertools import islice, takewhile

import rados
import rbd

from ...control.objects.copy_cost import CopyCost
from ...control.objects.striping import Striping
from ...model.errors import MigrationError
from ...model.migration import Place
from ..image_objects import (
    data_objects,
    objects_by_header,
    objects_with_data,
    striping_of,
)
from ..open_image import open_image
from ..session import Session
from .estimate import views

_TELL = 256  # objects read between two signs of life
_FEW = 64  # objects for which RADOS is asked sooner than an image is opened


def require_all_objects(
    session: Session, source: Place, target: Place, costs: CopyCost, tell: Callable[[], None]
) -> None:
    """Raise MigrationError(EBADMSG) if the target lacks an object that holds data at the source.

    ``costs`` is what the copy had to move. Call it as soon as librbd says that the target is
    executed: from then on clients that discard whole objects remove them; before that they leave
    an empty object.
    """
    if _all_there(session, target, costs):
        return
    with (
        session.open(target) as ioctx,
        rbd.Image(ioctx, image_id=target.image_id, read_only=True) as image,
    ):
        striping = striping_of(image)
        missing = _missing(session, ioctx, image, striping, costs)
    lost = _with_data(session, source, striping, missing, tell) if missing else []
    if lost:
        first = next(striping.extents(lost[0]))[0]
        raise MigrationError(
            EBADMSG,
            f"librbd reported that {target.spec} is copied, but {len(lost)} objects that hold data "
            f"of {source.spec} are missing on it, the first at byte {first}; `ceph rbd migration "
            f"abort {target.spec}` gives the source back.",
        )


def _all_there(session: Session, target: Place, costs: CopyCost) -> bool:
    """Whether the objects are few and RADOS has them all, which is found out without librbd.

    False means nothing: an object may be in a snapshot alone.
    """
    numbers = list(islice(costs.objects_to_copy(), _FEW + 1))
    if len(numbers) > _FEW:
        return False
    with session.open(target) as ioctx:
        found = objects_by_header(session, ioctx, target.image_id)
        if found is None:
            return False
        with contextlib.closing(found) as objects:
            return len(objects.existing(numbers)) == len(numbers)


def _missing(
    session: Session, ioctx: rados.Ioctx, image: rbd.Image, striping: Striping, costs: CopyCost
) -> list[int]:
    """The objects with costs that the target, which is open as ``image``, does not have."""
    count = min(costs.objects, striping.count(int(image.size())))  # clients may have shrunk it
    if not costs.total:
        return []
    missing = _without(image, striping, takewhile(count.__gt__, costs.objects_to_copy()), count)
    if not missing:
        return []
    with contextlib.closing(data_objects(session, ioctx, image)) as objects:
        empty = set(objects.existing(missing))  # what clients discarded
    missing = [number for number in missing if number not in empty]
    for snapshot, _, _ in views(image)[:-1]:  # an object may be in a snapshot alone
        if not missing:
            break
        image.set_snap(snapshot)
        missing = _without(image, striping, missing, count)
    return missing


def _without(image: rbd.Image, striping: Striping, numbers: Iterable[int], count: int) -> list[int]:
    """Those of the objects in which the view that ``image`` shows has no data.

    All numbers are below ``count``; there may be millions, so one byte of memory for each.
    """
    there = bytearray(count)
    for number in objects_with_data(image, striping):
        if number < count:
            there[number] = 1
    return [number for number in numbers if not there[number]]


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
        open_image(ioctx, source.image_id, read_only=True) as image,
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
