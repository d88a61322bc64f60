"""Where the data of a view is: the extents that have to be read to compare it."""

from __future__ import annotations

from typing import Optional

import rbd

from ..control.areas import Extents


def allocated(image: rbd.Image, before: Optional[str], size: int) -> Extents:
    """The whole objects of an open view that hold data, or differ from the snapshot ``before``.

    Objects that were there before and are holes now count as different.
    """
    found: list[tuple[int, int]] = []

    def note(offset: int, length: int, exists: bool) -> None:
        if exists or before is not None:
            found.append((offset, offset + length))

    if size:  # librbd ends the process when asked for nothing
        image.diff_iterate(0, size, before, note, include_parent=before is None, whole_object=True)
    extents = Extents()
    for begin, end in sorted(found):
        extents.add(begin, min(end, size))
    return extents
