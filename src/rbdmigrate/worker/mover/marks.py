"""Reading the copy mark of an image."""

from __future__ import annotations

from errno import EUCLEAN
from typing import Optional

import rados

from ...cluster import headers, image_snapshots
from ...model.copy_mark import CopyMark
from ...model.errors import MigrationError, RecordError
from ...model.migration import Place


def read_mark(ioctx: rados.Ioctx, place: Place) -> CopyMark:
    """The image's copy mark. Raises MigrationError(EUCLEAN) when it cannot be read."""
    text = headers.metadata(ioctx, place.image_id, headers.COPY_KEY)
    try:
        return CopyMark.from_json(text or "")
    except RecordError as error:
        raise MigrationError(
            EUCLEAN,
            f"The image metadata {headers.COPY_KEY} of {place.spec}, which say how far its copy "
            "is, were changed or removed; abort this migration, and begin another one.",
        ) from error


def brought_to(ioctx: rados.Ioctx, place: Place) -> Optional[str]:
    """The name of the image's snapshot that its head holds by its copy mark; None without a mark.

    Empty: a copy to it was cut off, or the mark or the snapshot is gone, so its head is not known.
    """
    if headers.metadata(ioctx, place.image_id, headers.COPY_KEY) is None:
        return None
    try:
        mark = read_mark(ioctx, place)
    except MigrationError:
        return ""
    held = dict(zip(mark.sources, mark.targets)).get(mark.base or 0)
    if held is None or mark.view is not None or mark.mixed:
        return ""
    for snapshot in image_snapshots.of_users(ioctx, place.image_id):
        if snapshot.snap_id == held:
            return snapshot.name
    return ""
