"""Questions about images: one function each. Nothing is changed."""

from __future__ import annotations

from dataclasses import replace

from ..control.mover.pieces import ExtentList
from ..model.jobs.answers import Examined, WrittenSince
from ..model.jobs.protocol import Tell
from ..model.jobs.questions import Examine, InspectImage, MeasureWritten
from ..model.layout import FEATURES
from ..model.source_image import SourceImage
from . import inspection
from .mover.candidates import maps_hold
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
            from .imports import acts as import_acts  # noqa: PLC0415 - only imports need it

            return import_acts.examine(session, ioctx, place)
        with open_image(ioctx, place.image_id, read_only=True) as image:
            return Examined(
                users=tuple(writers(session, place, ioctx, image, question.fenced)),
                locks=bool(image.features() & FEATURES["exclusive-lock"]),
                group=group_mirror.group_of(image),
                mirror_mode=group_mirror.mirror_mode_of(image),
            )


def measure_written(session: Session, question: MeasureWritten, tell: Tell) -> WrittenSince:
    """What was written since a snapshot, by object maps: whole objects, so at most as much.

    A rollback to an older snapshot does not show.
    """
    place, written = question.image, ExtentList()
    with (
        session.open(place) as ioctx,
        open_image(ioctx, place.image_id, read_only=True) as image,
    ):
        ids = [int(s["id"]) for s in image.list_snaps() if s["name"] == question.snapshot]
        size = int(image.size())
        if not ids or not maps_hold(ioctx, image, place.image_id, ids):
            return WrittenSince(None)
        if size:  # librbd ends the process when asked for nothing
            image.diff_iterate(
                0, size, question.snapshot, written.add, include_parent=False, whole_object=True
            )
    return WrittenSince(sum(extent.length for extent in written if extent.data))


def inspect_image(session: Session, question: InspectImage, tell: Tell) -> SourceImage:
    """What preflight wants to know of the source (:mod:`.inspection`), and who uses it."""
    place = question.image
    with (
        session.open(place) as ioctx,
        open_image(ioctx, place.image_id, read_only=True) as image,
    ):
        waits_for = untrimmed(session, ioctx, image, inspection.TIME)
        return replace(
            inspection.describe(image, flatten=question.flatten),
            users=tuple(writers(session, place, ioctx, image, question.fenced)),
            untrimmed=waits_for,
            obstacles=obstacles(session.rados, ioctx, image),
        )
