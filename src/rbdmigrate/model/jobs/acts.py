"""Acts: what a worker can do with a migration, one dataclass each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional, Union

from ..import_policy import ImportPolicy
from ..import_source import Import
from ..layout import LayoutOptions
from ..migration import Place
from ..states import ActKind, Method
from ..verification import Verification


@dataclass(frozen=True)
class ImageEnds:
    """Both ends of the migration of an image."""

    source: Place
    target: Place


@dataclass(frozen=True)
class ImportEnds:
    """Both ends of an import.

    ``id`` is that of the migration, under which the secrets of its source are stored. ``policy``
    is what imports may read. ``method``: the method for copying it.
    """

    id: str
    imported: Import
    target: Place
    policy: ImportPolicy
    method: Method = Method.LIVE

    @property
    def opens_source(self) -> bool:
        """Whether librbd opens a source outside whenever it opens the target."""
        return not self.imported.native and self.method is Method.LIVE


@dataclass(frozen=True)
class WarmEnds:
    """Both ends of a migration by the method ``warm``.

    ``id`` is that of the migration. The name in ``target`` is the one that it gets at the cutover;
    until then the image has the name :func:`..rounds.hidden_name`. ``elsewhere``: how to reach the
    source in another cluster; ``source`` is then a label, until the worker has connected to that.
    """

    id: str
    source: Place
    target: Place
    elsewhere: Optional[ImportEnds] = None

    @property
    def in_place(self) -> bool:
        """The image keeps its name."""
        return (
            self.elsewhere is None
            and self.source.pool_id == self.target.pool_id
            and (self.source.namespace, self.source.image)
            == (self.target.namespace, self.target.image)
        )


Ends = Union[ImageEnds, ImportEnds, WarmEnds]


@dataclass(frozen=True)
class Prepare:
    """Link the target to the source.

    ``comparison_snapshot``: the name of the one to take, empty for none. ``fenced``: addresses of
    our dead workers, which do not count as users of the source.
    """

    name: ClassVar[str] = ActKind.PREPARE.value
    layout: LayoutOptions
    comparison_snapshot: str = ""
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class UndoPrepare:
    """Bring the source back after a prepare that was cut off.

    ``group`` and ``mirror_mode`` are what the source had before (:class:`..migration.Migration`).
    """

    name: ClassVar[str] = ActKind.UNDO_PREPARE.value
    group: str = ""
    mirror_mode: Optional[int] = None


@dataclass(frozen=True)
class Execute:
    """Copy until everything is on the target.

    ``rate``: bytes per second, None for no limit. ``holder_ops``: how many operations at once a
    client may use that copies as holder of the exclusive lock; None: no such limit is set.
    ``untouched``: the version of the target's header while nobody but us wrote it; None: it is not
    known. ``comparison_snapshot`` and ``no_comparison_snapshot`` as in the record. ``fenced``:
    addresses of our dead workers.
    """

    name: ClassVar[str] = ActKind.EXECUTE.value
    rate: Optional[int] = None
    holder_ops: Optional[int] = None
    untouched: Optional[int] = None
    comparison_snapshot: str = ""
    no_comparison_snapshot: str = ""
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """Copy rounds as :class:`Execute` does, and keep both images open for a cutover.

    Clients still use the source. A :class:`CutOver` that the same worker gets as its next job is
    shorter then. Any other job, or none for a minute, closes the images. Fields as in ``Execute``.
    """

    name: ClassVar[str] = "arm"
    rate: Optional[int] = None
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReverseRound:
    """Copy what clients wrote to the target since the cutover, or the last such round.

    The source stays locked and without a name. ``comparison_snapshot`` is that of the cutover,
    which both images keep. ``rate`` and ``fenced`` as in :class:`Execute`.
    """

    name: ClassVar[str] = "reverse_round"
    comparison_snapshot: str
    rate: Optional[int] = None
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True)
class CutOver:
    """Copy the last difference and give the target its name; the source goes to the trash.

    Completes or undoes a cutover that was cut off first. ``fenced``: addresses of our dead workers.
    ``undo``: do nothing else. ``clients_wait``: nobody opens the source meanwhile.
    """

    name: ClassVar[str] = ActKind.CUT_OVER.value
    fenced: tuple[str, ...] = ()
    undo: bool = False
    clients_wait: bool = False


@dataclass(frozen=True)
class CompleteObjects:
    """Complete the objects that a copy left in part.

    ``around``: look near this object only, as is enough for a process that ended just now; None:
    everywhere.
    """

    name: ClassVar[str] = ActKind.COMPLETE_OBJECTS.value
    comparison_snapshot: str = ""
    around: Optional[int] = None


@dataclass(frozen=True)
class Verify:
    """Compare source and target; goes on where ``verification`` was interrupted.

    ``trust_maps``: read what librbd's object maps of the source say. Else as in :class:`Execute`.
    """

    name: ClassVar[str] = ActKind.VERIFY.value
    verification: Verification
    rate: Optional[int] = None
    untouched: Optional[int] = None
    comparison_snapshot: str = ""
    no_comparison_snapshot: str = ""
    trust_maps: bool = True


@dataclass(frozen=True)
class Commit:
    """Make the target independent of the source and remove the source."""

    name: ClassVar[str] = ActKind.COMMIT.value


@dataclass(frozen=True)
class FinishCommit:
    """Remove what is left of the source after a commit that was cut off."""

    name: ClassVar[str] = ActKind.FINISH_COMMIT.value


@dataclass(frozen=True)
class Abort:
    """Remove the target and give the source back; also one that was cut off.

    ``allowed_version``: the version of the target's header with which the abort was allowed; None:
    nothing was there to be guarded. ``blind``: the target must not be opened, because librbd would
    open its source too. ``fenced``: addresses of our dead workers. ``undo``: of a warm migration
    whose clients want the target back: undo what was begun, if that still can be undone.
    ``clients_wait``: nobody opens that target meanwhile. ``cut_over``: clients have used the target
    of a warm migration. ``without_source``: also where the cluster of the source does not answer.
    """

    name: ClassVar[str] = ActKind.ABORT.value
    group: str = ""
    mirror_mode: Optional[int] = None
    allowed_version: Optional[int] = None
    blind: bool = False
    fenced: tuple[str, ...] = ()
    undo: bool = False
    clients_wait: bool = False
    cut_over: bool = False
    without_source: bool = False


@dataclass(frozen=True)
class RemoveComparisonSnapshot:
    """Remove the comparison snapshot ``comparison_snapshot``, when all else is over."""

    name: ClassVar[str] = ActKind.REMOVE_COMPARISON_SNAPSHOT.value
    comparison_snapshot: str


@dataclass(frozen=True)
class TakeLock:
    """Take the target's exclusive lock from its holder for a moment, and give it back."""

    name: ClassVar[str] = "take_lock"


Act = Union[
    Prepare,
    UndoPrepare,
    Execute,
    Arm,
    ReverseRound,
    CutOver,
    CompleteObjects,
    Verify,
    Commit,
    FinishCommit,
    Abort,
    RemoveComparisonSnapshot,
    TakeLock,
]


_PACED = (Execute, Arm, ReverseRound, Verify)


@dataclass(frozen=True)
class ActOn:
    """An act and the migration that it is done with."""

    ends: Ends
    act: Act

    @property
    def name(self) -> str:
        """For logs and fault tests."""
        return self.act.name

    @property
    def rate(self) -> Optional[int]:
        """Bytes per second with which it begins; None: no limit, as for acts without a rate."""
        return self.act.rate if isinstance(self.act, _PACED) else None
