"""Questions about images: one function each. Nothing is changed."""

from __future__ import annotations

from dataclasses import replace

from ..model.image import Image
from ..model.jobs.answers import Examined
from ..model.jobs.protocol import Tell
from ..model.jobs.questions import Examine, InspectImage
from ..model.layout import FEATURES
from . import inspection
from .imports import ops as import_ops
from .obstacles import obstacles
from .open_image import open_image
from .repair import group_mirror
from .session import Session
from .trimming import untrimmed
from .users import writers


def examine(session: Session, question: Examine, tell: Tell) -> Examined:
    """What must be known of an image before it is acted on."""
    place = question.image
    with session.open(place) as ioctx:
        if question.blind:
            return import_ops.examine(session, ioctx, place)
        with open_image(ioctx, place.image_id, read_only=True) as image:
            return Examined(
                users=tuple(writers(session, ioctx, image, question.fenced)),
                locks=bool(image.features() & FEATURES["exclusive-lock"]),
                group=group_mirror.group_of(image),
                mirror_mode=group_mirror.mirror_mode_of(image),
            )


def inspect_image(session: Session, question: InspectImage, tell: Tell) -> Image:
    """What preflight wants to know of the source (:mod:`.inspection`), and who uses it."""
    place = question.image
    with (
        session.open(place) as ioctx,
        open_image(ioctx, place.image_id, read_only=True) as image,
    ):
        waits_for = untrimmed(session, ioctx, image, inspection.TIME)
        return replace(
            inspection.describe(image, flatten=question.flatten),
            users=tuple(writers(session, ioctx, image, question.fenced)),
            untrimmed=waits_for,
            obstacles=obstacles(session.rados, ioctx, image),
        )
