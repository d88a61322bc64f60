"""Reading the copy mark of an image."""

from __future__ import annotations

from errno import EUCLEAN

import rados

from ...cluster import headers
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
