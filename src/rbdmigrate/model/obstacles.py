"""Obstacles to the prepare of an image: snapshots that are not a user's, and locks.

librbd answers EBUSY without a reason, or waits forever. No target can have such snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass

from .spec import ImageSpec


@dataclass(frozen=True)
class RemovedSnapshot:
    """A snapshot that was removed while images were cloned from it. ``name``: its former name."""

    name: str
    clones: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdvisoryLock:
    """A lock of ``rbd lock add``: its name and the client that took it (``client.4711``)."""

    name: str
    client: str


@dataclass(frozen=True)
class Obstacle:
    """``code`` of the check; ``message`` is a sentence, ``remedy`` the command that resolves it."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Obstacles:
    """The obstacles of an image. ``groups``: snapshots of groups that the image is part of, as
    specs (``pool/group@snapshot``). ``mirroring``: the number of snapshots created by mirroring.
    """

    groups: tuple[str, ...] = ()
    mirroring: int = 0
    removed: tuple[RemovedSnapshot, ...] = ()
    locks: tuple[AdvisoryLock, ...] = ()

    def of(self, source: ImageSpec) -> list[Obstacle]:
        """Return an Obstacle for each, for the image ``source``."""
        found = []
        for group in self.groups:
            remedy = f"rbd group snap rm {group}"
            text = f"{source} has a snapshot that belongs to the group snapshot {group}"
            found.append(_obstacle("GROUP_SNAPSHOTS", text, remedy))
        if self.mirroring:
            remedy = f"rbd mirror image disable {source}"
            text = f"{source} has {self.mirroring} snapshot(s) made by snapshot-based mirroring"
            found.append(_obstacle("MIRROR_SNAPSHOTS", text, remedy))
        for snapshot in self.removed:
            clones = ", ".join(snapshot.clones) or "which cannot be listed"
            first = snapshot.clones[0] if snapshot.clones else "CLONE"
            text = (
                f"The snapshot {snapshot.name} of {source} was removed and still has the clones "
                f"{clones}"
            )
            found.append(_obstacle("REMOVED_SNAPSHOTS_WITH_CLONES", text, f"rbd flatten {first}"))
        for lock in self.locks:
            remedy = f"rbd lock rm {source} {lock.name!r} {lock.client}"
            text = (
                f"{source} has the lock {lock.name!r}, taken by {lock.client} with `rbd lock add`"
            )
            found.append(_obstacle("SOURCE_LOCKED", text, remedy))
        return found


def _obstacle(code: str, text: str, remedy: str) -> Obstacle:
    return Obstacle(
        code, f"{text}, so it cannot be prepared; resolve that with `{remedy}`.", remedy
    )
