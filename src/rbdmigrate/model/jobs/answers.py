"""Answers: what a worker found or did, one dataclass each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from ..inspection import Inspection
from ..source_image import SourceImage
from ..source_list import ListRead
from ..target_header import TargetHeader
from ..untrimmed import Untrimmed
from ..verification import Verification
from ..watchers import Watcher


@dataclass(frozen=True)
class Finished:
    """The act was done, and there is nothing more to be told of it."""


@dataclass(frozen=True)
class NotTrimmed:
    """The act was not begun: librbd would copy the source wrong."""

    untrimmed: Untrimmed


@dataclass(frozen=True)
class Prepared:
    """The target as it was made, by which later acts and the abort guard know it.

    ``header`` is None when somebody has removed the target already. ``no_comparison_snapshot``: why
    there is none; empty when there is one, or none was asked for.
    """

    target_id: str
    version: Optional[int]
    header: Optional[TargetHeader]
    no_comparison_snapshot: str = ""


@dataclass(frozen=True)
class Copied:
    """A copy is complete.

    ``version`` of the target's header after it. ``alone``: nobody else had the target open for
    writing meanwhile. ``bytes_total``: what the source holds. ``changes``: sentences about what
    changed about an external source. ``header``: the target as the copy made it, if it was not
    complete before. ``snapshots``: of an RBD image, the names of those that the target has now;
    ``size``: bytes of the last one. ``went_on``: of a later snapshot, as in the record.
    """

    version: Optional[int]
    alone: bool
    bytes_total: int
    changes: tuple[str, ...] = ()
    header: Optional[TargetHeader] = None
    snapshots: tuple[str, ...] = ()
    size: Optional[int] = None
    went_on: str = ""


@dataclass(frozen=True)
class Synchronized:
    """The target holds what the source held at ``comparison_snapshot``, which both have.

    ``rounds``: how many rounds that took; ``bytes`` and ``seconds``: of the last one; ``at``: when
    it began. ``total``: bytes that all rounds have copied. ``scan``: seconds for which a cutover
    would look for what differs now; ``left``: bytes that do, None where that is not known.
    """

    comparison_snapshot: str
    rounds: int
    bytes: int
    seconds: float
    at: float
    total: int
    scan: float = 0.0
    left: Optional[int] = None

    @property
    def behind(self) -> int:
        """Bytes that a cutover would copy now, about."""
        return self.bytes if self.left is None else self.left


@dataclass(frozen=True)
class CopiedBack:
    """The kept source holds what the target held at ``snapshot``, which both have.

    ``bytes`` and ``seconds``: what that copied, and how long it took; ``at``: when it began. Where
    ``bytes`` is 0 no snapshot was taken, unless users had changed those of the target. ``scan``:
    seconds for which an abort would look for what differs now.
    """

    snapshot: str
    bytes: int
    seconds: float
    at: float
    scan: float


@dataclass(frozen=True)
class Armed:
    """The worker has both images open for a cutover that follows within ``seconds``.

    ``last``: the rounds that were copied before. ``estimate``: seconds that the cutover would take
    now.
    """

    last: Synchronized
    estimate: float
    seconds: float


@dataclass(frozen=True)
class StepTime:
    """A step of a cutover, and when it ended, in seconds since the cutover began."""

    name: str
    ended: float


@dataclass(frozen=True)
class CutOverDone:
    """The target has its name. ``comparison_snapshot`` as above.

    ``pause``: seconds from the begin until clients could use the target. ``steps``: what took how
    long, in the order in which the steps ended; some run at the same time. ``late``: clients that
    opened the source in the last moment, and wait for its lock without end.
    """

    comparison_snapshot: str
    pause: float
    bytes: int
    steps: tuple[StepTime, ...] = ()
    late: str = ""


@dataclass(frozen=True)
class ObjectsCompleted:
    """``completed``: how many objects were; ``whole``: no other can be there in part."""

    completed: int
    whole: bool


@dataclass(frozen=True)
class Verified:
    """A verification with its outcome."""

    verification: Verification


@dataclass(frozen=True)
class Examined:
    """``users``: who has the image open for writing. ``locks``: it has the feature exclusive-lock.

    ``group`` is ``<pool id>/<name>`` or empty; ``mirror_mode`` is None when it is not mirrored.
    """

    users: tuple[Watcher, ...] = ()
    locks: bool = False
    group: str = ""
    mirror_mode: Optional[int] = None


@dataclass(frozen=True)
class UsersFound:
    """The addresses of clients that have one of the images open for writing."""

    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClosedImages:
    """The ids of images that no client has open for writing."""

    idents: tuple[str, ...] = ()


@dataclass(frozen=True)
class WrittenSince:
    """Bytes of the objects that were written; None: only a look at each object would tell."""

    bytes: Optional[int]


Answer = Union[
    Finished,
    NotTrimmed,
    Prepared,
    Copied,
    Synchronized,
    Armed,
    CopiedBack,
    CutOverDone,
    ObjectsCompleted,
    Verified,
    Examined,
    UsersFound,
    ClosedImages,
    WrittenSince,
    SourceImage,
    Inspection,
    ListRead,
]
