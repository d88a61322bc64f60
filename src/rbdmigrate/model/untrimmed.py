"""Removed snapshots that OSDs have not trimmed yet, and objects that librbd copies incorrectly."""

from __future__ import annotations

from dataclasses import dataclass

UNSET = "ceph osd unset nosnaptrim"


@dataclass(frozen=True)
class RemovedSnapshots:
    """A pool's removed snapshots that are not trimmed yet, as (first id, count) ranges.

    ``stopped``: the flag ``nosnaptrim`` is set.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    stopped: bool = False

    def __contains__(self, snapshot: int) -> bool:
        return any(first <= snapshot < first + count for first, count in self.ranges)

    def between(self, after: int, last: int) -> bool:
        """Whether it has a snapshot with an id above ``after``, up to ``last``."""
        return any(first <= last and first + count - 1 > after for first, count in self.ranges)


@dataclass(frozen=True)
class Clone:
    """A clone of a RADOS object for some snapshots; without snapshots: the head. ``size`` in
    bytes.
    """

    snapshots: tuple[int, ...]
    size: int = 0


@dataclass(frozen=True)
class Untrimmed:
    """The result for an image whose data are in ``pool``.

    ``objects``: the number that librbd would copy as zeros, because it would read at a removed
    snapshot or beyond the end of the image. ``looked`` of ``total`` objects were examined: fewer
    when the time was too short, or when the release's librados cannot list an object's snapshots
    (``unable``). ``stopped``: the flag ``nosnaptrim`` is set, so that OSDs do not trim.
    """

    pool: str
    objects: int
    looked: int
    total: int
    unable: bool = False
    stopped: bool = False

    @property
    def reason(self) -> str:
        """Why the image must not be copied now, in one sentence."""
        if self.objects:
            more = "" if self.looked == self.total else "at least "
            what = (
                f"OSDs are still trimming removed snapshots of the pool {self.pool}, and librbd "
                f"would copy {more}{self.objects} objects of this image as zeros until they have"
            )
        elif self.unable:
            what = (
                f"OSDs are still trimming removed snapshots of the pool {self.pool}, and the "
                "manager's librados cannot tell whether they are of this image"
            )
        else:
            what = (
                f"OSDs are still trimming removed snapshots of the pool {self.pool}, and only "
                f"{self.looked} of {self.total} objects could be checked in time for data that "
                "librbd would copy as zeros"
            )
        if self.stopped:
            what += "; the flag nosnaptrim stops the trimming, remove it with `" + UNSET + "`"
        return what + "."

    @property
    def remedy(self) -> str:
        """The command that helps, or shows the progress of the trimming."""
        return UNSET if self.stopped else "ceph pg ls snaptrim snaptrim_wait"
