"""Opening images by their ids; those of format 1, which have none, by name and data objects."""

from __future__ import annotations

import rados
import rbd

from ..model.image_ident import is_old_format, old_format_ident, old_format_name


def open_image(ioctx: rados.Ioctx, ident: str, *, read_only: bool = False) -> rbd.Image:
    """The image ``ident`` at its head, to be closed. Raises ``rbd.Error``.

    ImageNotFound also when the name of an image of format 1 leads to another image.
    """
    if not is_old_format(ident):
        return rbd.Image(ioctx, image_id=ident, read_only=read_only)
    image = rbd.Image(ioctx, old_format_name(ident), read_only=read_only)
    try:
        if ident_of(image) != ident:
            raise rbd.ImageNotFound(f"another image has the name of {ident}")
    except BaseException:
        image.close()
        raise
    return image


def ident_of(image: rbd.Image) -> str:
    """The id of an open image, or what stands for it in one of format 1."""
    if image.old_format():
        return old_format_ident(str(image.block_name_prefix()), str(image.get_name()))
    return str(image.id())
