"""What an image belongs to besides its pool: its group and its mirroring.

librbd takes an image out of its group and disables its mirroring on the way, and remembers that
only in memory: an act that is cut off loses it. So both are noted before, and given back after.
"""

from __future__ import annotations

from typing import Optional

import rbd

from ...model.migration import Place
from ..identity import require_same_image
from ..open_image import open_image
from ..session import Session


def group_of(image: rbd.Image) -> str:
    """``<pool id>/<name>`` of the image's group, which has the image's namespace; or empty."""
    group = image.group()
    return f"{group['pool']}/{group['name']}" if group.get("name") else ""


def mirror_mode_of(image: rbd.Image) -> Optional[int]:
    """librbd's number for the image's mirroring mode; None when it is not mirrored."""
    if image.mirror_image_get_info()["state"] != rbd.RBD_MIRROR_IMAGE_ENABLED:
        return None
    return int(image.mirror_image_get_mode())


def give_back(session: Session, source: Place, group: str, mirror_mode: Optional[int]) -> None:
    """Put the source back into its group and mirror it again, where that was lost."""
    if not group and mirror_mode is None:
        return
    with session.open(source) as ioctx:
        with open_image(ioctx, source.image_id) as image:
            if mirror_mode is not None and mirror_mode_of(image) is None:
                image.mirror_image_enable(mirror_mode)
            missing = bool(group) and not group_of(image)
        if missing:
            pool_id, _, name = group.partition("/")
            with session.rados.open_ioctx2(int(pool_id)) as group_ioctx:
                group_ioctx.set_namespace(source.namespace)
                require_same_image(ioctx, source)
                rbd.Group(group_ioctx, name).add_image(ioctx, source.image)
