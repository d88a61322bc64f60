"""Compares the target, read through librbd, with the expected content."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import rados
import rbd

from qa.demo.content import HEAD, WRITE, Expected
from qa.demo.errors import DemoError
from qa.demo.sizes import MIB

_PIECE = 4 * MIB
_SHOWN = 5


@dataclass(frozen=True)
class Difference:
    """The first wrong byte of a 4 KiB block, and the number of wrong bytes in the block."""

    view: str
    offset: int
    count: int


@dataclass
class Comparison:
    """The result of a comparison."""

    bytes_read: int = 0
    bytes_differ: int = 0
    differing: dict[str, int] = field(default_factory=dict)  # view -> bytes
    first: list[Difference] = field(default_factory=list)


def compare(ioctx: rados.Ioctx, name: str, views: Mapping[str, Expected]) -> Comparison:
    """Compare all views. The snapshots of the image have to be exactly the expected ones."""
    result = Comparison(differing=dict.fromkeys(views, 0))
    with ExitStack() as stack:
        images = {}
        for view in views:
            images[view] = stack.enter_context(rbd.Image(ioctx, name, read_only=True))
            images[view].set_snap(None if view == HEAD else view)
        _same_shape(images, views)
        size = views[HEAD].size
        for offset in range(0, size, _PIECE):
            length = min(_PIECE, size - offset)
            for view, expected in views.items():
                actual = images[view].read(offset, length)
                result.bytes_read += len(actual)
                _note(result, view, offset, actual, expected)
    return result


def _same_shape(images: Mapping[str, rbd.Image], views: Mapping[str, Expected]) -> None:
    names = {snapshot["name"] for snapshot in images[HEAD].list_snaps()}
    wanted = set(views) - {HEAD}
    if names != wanted:
        raise DemoError(
            f"The target has the snapshots {sorted(names)} and should have {sorted(wanted)}."
        )
    for view, image in images.items():
        if image.size() != views[view].size:
            raise DemoError(
                f"The target's {view} has {image.size()} bytes and should have {views[view].size}."
            )


def _note(result: Comparison, view: str, offset: int, actual: bytes, expected: Expected) -> None:
    right = expected.read(offset, len(actual))
    if actual == right:
        return
    if expected.is_unsure(offset, len(actual)):
        hoped = expected.read(offset, len(actual), hoped=True)
        if count_differing(actual, hoped) < count_differing(actual, right):
            right = hoped
    count = count_differing(actual, right)
    result.bytes_differ += count
    result.differing[view] += count
    if len(result.first) < _SHOWN:
        result.first += list(_places(view, offset, actual, right))[: _SHOWN - len(result.first)]


def _places(view: str, offset: int, actual: bytes, right: bytes) -> "list[Difference]":
    found = []
    for at in range(0, len(actual), WRITE):
        mine, other = actual[at : at + WRITE], right[at : at + WRITE]
        if mine != other:
            first = next(i for i, (a, b) in enumerate(zip(mine, other)) if a != b)
            found.append(Difference(view, offset + at + first, count_differing(mine, other)))
    return found


def count_differing(one: bytes, other: bytes) -> int:
    """Return the number of bytes that differ between two strings of the same length."""
    size = len(one)
    odd = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return size - odd.to_bytes(size, "little").count(0)
