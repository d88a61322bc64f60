"""Image specs: ``[pool/[namespace/]]image``, as every rbd command takes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from errno import EINVAL

from .errors import MigrationError

# librbd forbids "/" and "@" in names; a control character would break tables and logs.
_NAME = re.compile(r"[^/@\x00-\x1f\x7f]+")


@dataclass(frozen=True, order=True)
class ImageSpec:
    """The name of an image with its pool and namespace. ``namespace`` is empty for the default
    namespace.

    Without a pool it stands for an external source, and ``image`` is a name for it.
    """

    pool: str
    namespace: str
    image: str

    def __str__(self) -> str:
        if self.pool and not self.namespace:
            return f"{self.pool}/{self.image}"  # nearly all of them
        return "/".join(part for part in (self.pool, self.namespace, self.image) if part)


def parse_image_spec(text: str, default_pool: str, what: str) -> ImageSpec:
    """Return the ImageSpec of ``[pool/[namespace/]]image``.

    ``what`` ("source", "target") names it in the error's sentence. Raises
    MigrationError(EINVAL) for anything else, a snapshot spec included.
    """
    form = "[pool/[namespace/]]image"
    if "@" in text:
        raise MigrationError(
            EINVAL,
            f"The {what} {text!r} names a snapshot; a migration moves a whole image with all its "
            f"snapshots, so give {form} without '@'.",
        )
    parts = text.split("/")
    if len(parts) > 3 or not all(_NAME.fullmatch(part) for part in parts):
        raise MigrationError(
            EINVAL, f"The {what} {text!r} is not an image spec; the form is {form}."
        )
    if len(parts) == 1:
        parts = [default_pool, "", parts[0]]
    elif len(parts) == 2:
        parts = [parts[0], "", parts[1]]
    return ImageSpec(*parts)
