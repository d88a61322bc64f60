"""What a copy has to move: the bytes of each object, read before the copy starts.

The head and every snapshot are compared with the snapshot before them (``diff_iterate``). With
fast-diff that takes milliseconds whatever the size, but tells only which objects differ; their
extents are then looked up one by one while they are few. A 100 GiB image with 64 MiB of data takes
10 ms that way, and 2 s a snapshot without fast-diff (measured, release 16). Object maps may miss
changes (:mod:`..verify.extents`): the copy is then a little larger than it was told to be, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Optional

import rbd

from ...cluster import headers
from ...control.objects.copy_cost import CopyCost
from ...model.migration import Place
from ..image_objects import striping_of
from ..session import Session
from ..verify.extents import diff

# Differing objects of a snapshot up to which the extents within each are looked up: about 2 s.
EXACT_OBJECTS = 20_000


@dataclass(frozen=True)
class CopyEstimate:
    """``to_copy``: what each object of the target still costs. In bytes, ``total``: all that the
    source holds; what is not in ``to_copy`` of it is on the target already."""

    to_copy: CopyCost
    total: int

    @property
    def present(self) -> int:
        """Bytes that an earlier copy, or clients' writes, brought to the target.

        Costs are rounded up to units, so that they may be more than what the source holds.
        """
        return max(0, self.total - self.to_copy.total)


def survey(session: Session, source: rbd.Image, target: Place) -> CopyEstimate:
    """Look at both ends of a linked migration; the source is open, and is left at its head.

    Raises ``rbd.Error`` and ``rados.Error``.
    """
    with session.open(target) as ioctx:
        header = headers.migration_header(ioctx, target.image_id)
        with rbd.Image(ioctx, image_id=target.image_id, read_only=True) as image:
            present = _Present(image)
            layout = striping_of(image)
    found = views(source)
    size = max(size for _, _, size in found)
    to_copy = CopyCost(
        size=size,
        object_size=layout.object_size,
        stripe_unit=layout.stripe_unit,
        stripe_count=layout.stripe_count,
    )
    total = 0
    for snapshot, before, _ in found:
        source.set_snap(snapshot)
        parent = header is not None and header.flatten and before is None
        for offset, length in changed(source, before, parent):
            total += length
            for part in present.missing(offset, length):
                to_copy.add(*part)
    return CopyEstimate(to_copy, total)


def survey_import(
    session: Session, target: Place, source: Optional[Iterable[tuple[int, int]]] = None
) -> CopyEstimate:
    """The same for a target without a source image.

    ``source`` are the extents of all views of an external source: librbd ends the process when it
    is asked for them (16.2.15: SIGFPE in ``diff_iterate`` with ``include_parent``). None: what the
    target reads from its parent.
    """
    with (
        session.open(target) as ioctx,
        rbd.Image(ioctx, image_id=target.image_id, read_only=True) as image,
    ):
        size = int(image.size())
        present = _Present(image)
        layout = striping_of(image)
        to_copy = CopyCost(
            size=size,
            object_size=layout.object_size,
            stripe_unit=layout.stripe_unit,
            stripe_count=layout.stripe_count,
        )
        if source is None:
            source = diff(image, None, (0, size), True, True)
        total = 0
        for offset, length in source:
            total += length
            for part in present.missing(offset, length):
                to_copy.add(*part)
    return CopyEstimate(to_copy, total)


_View = tuple[Optional[str], Optional[str], int]


def views(image: rbd.Image) -> list[_View]:
    """Each snapshot and the head (None), with the snapshot before it and its size in bytes.

    Snapshots that groups and mirroring made for themselves cannot be opened, and are left out.
    """
    names = [
        (str(s["name"]), int(s["size"]))
        for s in image.list_snaps()
        if s["namespace"] == rbd.RBD_SNAP_NAMESPACE_TYPE_USER
    ]
    head = int(image.size())
    found: list[_View] = []
    before: Optional[str] = None
    for name, size in names:
        found.append((name, before, size))
        before = name
    return [*found, (None, before, head)]


def changed(image: rbd.Image, before: Optional[str], parent: bool) -> Iterator[tuple[int, int]]:
    """The extents that a view adds to the one before it."""
    object_size = 1 << int(image.stat()["order"])
    coarse = diff(image, before, (0, int(image.size())), True, parent)
    exact = sum(-(-length // object_size) for _, length in coarse) <= EXACT_OBJECTS
    for offset, length in coarse:
        if exact:
            yield from diff(image, before, (offset, length), False, parent)
        else:
            yield offset, length


class _Present:
    """Which parts of the target are there already, object by object (without fancy striping)."""

    def __init__(self, image: rbd.Image) -> None:
        found = diff(image, None, (0, int(image.size())), True, False)
        self._size = 1 << int(image.stat()["order"])
        self._bits = bytearray()
        if len(found) and int(image.stripe_count()) == 1:
            self._bits = bytearray(-(-int(image.size()) // self._size) // 8 + 1)
            for offset, length in found:
                for number in range(offset // self._size, -(-(offset + length) // self._size)):
                    self._bits[number // 8] |= 1 << number % 8

    def missing(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """The parts of an extent that are not there yet."""
        if not self._bits:
            yield offset, length
            return
        end = offset + length
        while offset < end:
            number = offset // self._size
            part = min(end, (number + 1) * self._size) - offset
            there = number // 8 < len(self._bits) and self._bits[number // 8] >> number % 8 & 1
            if not there:
                yield offset, part
            offset += part
