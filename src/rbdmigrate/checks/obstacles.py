"""What keeps librbd from preparing the source: it would answer EBUSY, or wait for ever."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBUSY

from ..model.finding import Severity
from .facts import Facts
from .registry import Found, check


def _found(facts: Facts, code: str) -> Iterator[Found]:
    if facts.image is None:
        return
    for obstacle in facts.image.obstacles.of(facts.wish.source):
        if obstacle.code == code:
            yield Found(str(facts.wish.source), obstacle.message, obstacle.remedy)


@check(
    "GROUP_SNAPSHOTS",
    Severity.ERROR,
    "The source has snapshots that belong to snapshots of a group.",
    errno=EBUSY,
)
def of_groups(facts: Facts) -> Iterator[Found]:
    """librbd moves snapshots that users made, and no others."""
    return _found(facts, "GROUP_SNAPSHOTS")


@check(
    "MIRROR_SNAPSHOTS",
    Severity.ERROR,
    "The source has snapshots that snapshot-based mirroring made.",
    errno=EBUSY,
)
def of_mirroring(facts: Facts) -> Iterator[Found]:
    """The same for mirroring."""
    return _found(facts, "MIRROR_SNAPSHOTS")


@check(
    "REMOVED_SNAPSHOTS_WITH_CLONES",
    Severity.ERROR,
    "The source has snapshots that were removed and still have clones.",
    errno=EBUSY,
)
def removed(facts: Facts) -> Iterator[Found]:
    """Clones of format 2 keep a snapshot that was removed."""
    return _found(facts, "REMOVED_SNAPSHOTS_WITH_CLONES")


@check(
    "SOURCE_LOCKED",
    Severity.ERROR,
    "Somebody locked the source with `rbd lock add`.",
    errno=EBUSY,
)
def locked(facts: Facts) -> Iterator[Found]:
    """librbd waits for such a lock for ever."""
    return _found(facts, "SOURCE_LOCKED")
