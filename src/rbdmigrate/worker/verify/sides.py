"""The sides of a comparison: what can be compared with a target, however it is read."""

from __future__ import annotations

from types import TracebackType
from typing import Optional, Protocol, Union

import rbd

from ...control.objects.extents import ExtentSet


class PlainReader(Protocol):
    """The head or a snapshot of a source that is not read by librbd alone. Thread-safe.

    ``in_order``: it has to be read forwards.
    """

    in_order: bool

    def size(self) -> int:
        """Bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the disk."""

    def allocated(self) -> ExtentSet:
        """What may hold data."""

    def __enter__(self) -> PlainReader: ...

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None: ...


View = Union[PlainReader, rbd.Image]


def is_in_order(view: View) -> bool:
    """Whether a view has to be read forwards, one part after another."""
    return not isinstance(view, rbd.Image) and view.in_order


class Side(Protocol):
    """An image, or a source outside, whose head and snapshots can be read."""

    def open(self, snapshot: Optional[str]) -> View:
        """A snapshot, or the head (None)."""

    def snapshots(self) -> list[str]:
        """The names of its snapshots, the oldest first."""

    def changed_since(self, comparison_snapshot: str) -> str:
        """Whether its head is another than that of the comparison snapshot: why; empty if not."""
