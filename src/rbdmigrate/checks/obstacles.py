"""Obstacles that make a prepare of the source fail with EBUSY, or wait forever."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBUSY

from ..model.finding import Severity
from .facts import Facts
from .registry import IMAGE_METHODS, Found, Function, check

_MEANINGS = {
    "GROUP_SNAPSHOTS": "The source has snapshots that belong to snapshots of a group.",
    "MIRROR_SNAPSHOTS": "The source has snapshots created by snapshot-based mirroring.",
    "REMOVED_SNAPSHOTS_WITH_CLONES": (
        "The source has snapshots that were removed and still have clones."
    ),
    "SOURCE_LOCKED": "Somebody locked the source with `rbd lock add`.",
}


def _obstacles_of(code: str) -> Function:
    """Return the check that yields the obstacles with this code."""

    def look(facts: Facts) -> Iterator[Found]:
        if facts.image is None:
            return
        for obstacle in facts.image.obstacles.of(facts.request.rbd_source):
            if obstacle.code == code:
                yield Found(str(facts.request.source), obstacle.message, obstacle.remedy)

    return look


for _code, _meaning in _MEANINGS.items():
    check(_code, Severity.ERROR, _meaning, methods=IMAGE_METHODS, errno=EBUSY)(_obstacles_of(_code))
