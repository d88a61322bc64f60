"""A migration of one image: the record stored in RADOS, as frozen data.

Level-triggered: ``goal`` is the desired state, ``state`` the last observed one, ``intent`` the act
that may be running, written before the act. All times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Optional

from .bounds import MAX_TEXT, shortened
from .codec import stored_as, stored_if_set
from .cutover import CutoverPolicy, Release
from .held_time import HeldTime
from .hooks import Question
from .import_source import Import
from .layout import LayoutOptions
from .reverse_rounds import ReverseRounds
from .rounds import Rounds
from .slotted import slotted
from .spec import ImageSpec
from .states import ActKind, Goal, HoldReason, Method, State
from .target_changes import TargetChanges
from .target_header import TargetHeader
from .verification import Verification, Verify

TIMELINE_LENGTH = 40  # entries in a record; the oldest are dropped first


def _shorten_message(said: Any) -> None:
    """Messages contain texts of servers and librbd, which must not fill the record."""
    if len(said.message) > MAX_TEXT:
        object.__setattr__(said, "message", shortened(said.message))


@slotted
@dataclass(frozen=True)
class Hold:
    """``message`` is one sentence for people; ``until`` is the time when it ends by itself, if it
    does.
    """

    reason: HoldReason
    message: str
    until: Optional[float] = None

    def __post_init__(self) -> None:
        _shorten_message(self)


@slotted
@dataclass(frozen=True)
class Place:
    """An image by name and by ids, which survive renames. Ids are empty until they are known.

    ``cluster``: the host of a monitor of another cluster, where the image is in that one. Only
    workers have such places; a record names the source by a label.
    """

    pool: str
    namespace: str
    image: str
    pool_id: int = -1
    image_id: str = ""
    cluster: str = field(default="", metadata=stored_if_set())

    @property
    def spec(self) -> ImageSpec:
        """The place by name, in its own cluster."""
        return ImageSpec(self.pool, self.namespace, self.image)

    def __str__(self) -> str:
        """The place for people, with its cluster if that is another one."""
        return f"{self.spec} at {self.cluster}" if self.cluster else str(self.spec)


@dataclass(frozen=True)
class ProcessIdentity:
    """The identity of a process, beyond its process id.

    ``boot_id`` changes at every boot of the host, ``pid_namespace`` is the inode of the namespace
    of the process id (a container has its own), ``started`` is the start time of the process in
    ticks since the boot. Empty or 0: not known, as in records of version 0.1; 0 for ``started``
    also means that there is no such process.
    """

    boot_id: str = ""
    pid_namespace: int = 0
    started: int = 0


@slotted
@dataclass(frozen=True)
class Actor:
    """The process that acts on an image, with the addresses of its RADOS clients for fencing.

    ``process`` shows whether the process with the id ``pid`` is still the same.
    """

    manager: str
    host: str
    pid: int
    addresses: tuple[str, ...]
    clients: tuple[int, ...]
    process: ProcessIdentity = field(default_factory=ProcessIdentity)


@dataclass(frozen=True)
class Soaked:
    """The part of the soak time, begun at ``since``, that passed under active managers.

    ``seconds`` of their monotonic clocks, which a wrong wall clock does not affect.
    """

    since: float
    seconds: float


@slotted
@dataclass(frozen=True)
class Intent:
    """``actor`` began this act, and its outcome is not known yet."""

    act: ActKind = field(metadata=stored_as("op"))
    started: float
    actor: Actor


@slotted
@dataclass(frozen=True)
class Failure:
    """The last failure. ``transient`` failures are retried automatically, others need ``retry``."""

    errno: int
    message: str
    at: float
    transient: bool = False

    def __post_init__(self) -> None:
        _shorten_message(self)


@dataclass(frozen=True)
class AbortRequest:
    """An accepted abort, and the state to return to if it must not begin.

    ``goal``, ``state``, ``failure`` and ``failed_in`` are those before the request. ``forced``:
    changes that clients made until then may be lost; ``version`` and ``header`` are the target's
    at that time. ``refusal`` is why it did not begin after all.
    """

    goal: Goal
    state: State
    failure: Optional[Failure] = None
    failed_in: Optional[State] = None
    forced: bool = False
    version: Optional[int] = None
    header: Optional[TargetHeader] = None
    refusal: Optional[Failure] = None


@dataclass(frozen=True)
class Crashes:
    """The number of consecutive crashes of librbd in the same act."""

    act: ActKind = field(metadata=stored_as("op"))
    count: int


@slotted
@dataclass(frozen=True)
class TimelineEntry:
    """A change of state, or a request; ``message`` gives the reason, or what was asked for.

    ``by``: who asked for it; empty: it came by itself.
    """

    at: float
    state: State
    message: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        _shorten_message(self)


@slotted
@dataclass(frozen=True)
class Migration:
    """The record of one migration.

    ``rate`` is the migration's own limit in bytes per second (None: no limit, 0: stop). ``window``
    is when it may be copied, on the clock of the cluster's time zone (empty: always).
    ``holder_ops``: during the copy, the number of concurrent operations that the target's
    configuration allows the owner of the exclusive lock; None: the configuration is unchanged.
    ``bytes_total``: the data of the source, head and snapshots, when the copy was last begun;
    ``bytes_copied``: the part of it on the target when the copy last ended or stopped.
    ``objects_complete``: since the copy was last begun, all objects of the target were found to be
    complete; an interrupted copy can leave partly copied ones (doc: recovery). ``copy_checked``:
    after librbd reported the last copy as done, no object was missing on the target. ``failed_in``
    is the state in which it failed, if it was acting. ``group`` (``<pool id>/<name>``) and
    ``mirror_mode`` (librbd's number, None: not mirrored) are those of the source, which librbd
    forgets when it is interrupted; an abort restores them. ``target_version`` is the version of
    the target's header after our last act on it, None when it is not known; ``target_header`` is
    the header when the target was prepared; ``touched``: a client had, or may have had, the target
    open for writing. Together they show whether an abort could lose changes of clients
    (``control.lifecycle.abort_guard``). ``abort``: the last requested abort. ``verify`` is the
    comparison required before a commit, ``verification`` its progress or result, ``soak`` the
    seconds to wait between it and the commit, ``soaked`` how many of them have passed.
    ``force_commit`` and ``soak_ended``: an administrator's ``commit`` allowed to skip the
    comparison, or the soak time; both end when the goal, ``verify`` or ``soak`` is changed.
    ``comparison_snapshot`` is its name as long as one may be on the source or the target;
    ``no_comparison_snapshot`` says why there is none. ``plan`` is the name of the plan that it
    belongs to; empty: none. ``method_reason``: why this method was chosen; empty: it was asked for,
    or it is the default of ``prepare``. ``confirmed``: the request for it was answered with
    success, or the record was changed since; a record that is not confirmed is removed by the next
    manager.
    ``snapshots``: the number of users' snapshots that the source has and the target gets; None:
    not known.
    ``cutover``: how clients are made to leave the source of a warm migration; ``release``: they
    have left it, and wait for the outcome. ``question``: hooks were asked, and it waits for them.
    ``cutover_window`` is when it may cut over, as ``window``. ``refresh_source``: seconds between
    two reverse rounds, 0: none follows by itself; ``reverse``: what they copied.
    ``target_changes``: changes of the target by clients that librbd does not expect. ``by``: who
    asked for it. ``held``: how long it was held for which reason. ``imported`` is set for an
    import, and by ``warm`` from another cluster: ``source`` is then only a name for the external
    source (of a native one the place of the image, with ``@`` and the snapshot).
    """

    id: str
    source: Place
    target: Place
    goal: Goal
    state: State
    created: float
    layout: LayoutOptions = field(default_factory=LayoutOptions)
    paused: bool = False
    force_commit: bool = False
    adopted: bool = False
    priority: int = 0
    rate: Optional[int] = None
    window: str = ""
    holder_ops: Optional[int] = None
    bytes_total: Optional[int] = None
    bytes_copied: int = 0
    objects_complete: bool = field(default=False, metadata=stored_as("settled"))
    copy_checked: bool = True
    intent: Optional[Intent] = field(default=None, metadata=stored_as("step"))
    hold: Optional[Hold] = None
    failure: Optional[Failure] = None
    failed_in: Optional[State] = None
    attempts: int = 0
    prepared_at: Optional[float] = None
    executed_at: Optional[float] = None
    cut_over_at: Optional[float] = None
    ended_at: Optional[float] = None
    group: str = ""
    mirror_mode: Optional[int] = None
    target_version: Optional[int] = None
    target_header: Optional[TargetHeader] = None
    touched: bool = False
    abort: Optional[AbortRequest] = None
    verify: Verify = Verify.NONE
    verification: Optional[Verification] = None
    soak: float = 0.0
    soaked: Optional[Soaked] = None
    soak_ended: bool = False
    comparison_snapshot: str = field(default="", metadata=stored_as("point"))
    no_comparison_snapshot: str = field(default="", metadata=stored_as("no_point"))
    imported: Optional[Import] = None
    plan: str = ""
    method: Method = Method.LIVE
    method_reason: str = ""
    rounds: Optional[Rounds] = None
    cutover: CutoverPolicy = field(default_factory=CutoverPolicy)
    release: Optional[Release] = None
    question: Optional[Question] = None
    cutover_window: str = ""
    refresh_source: float = 0.0
    reverse: Optional[ReverseRounds] = None
    confirmed: bool = True
    snapshots: Optional[int] = None
    target_changes: TargetChanges = field(default_factory=TargetChanges)
    crashes: Optional[Crashes] = None
    by: str = ""
    held: tuple[HeldTime, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()

    @property
    def in_place(self) -> bool:
        """The image keeps its name."""
        return self.source.pool_id == self.target.pool_id and self.source.spec == self.target.spec

    @property
    def from_another_cluster(self) -> bool:
        """Whether the source is an image of another cluster as a whole."""
        return self.method is Method.WARM and self.imported is not None

    @property
    def opens_source(self) -> bool:
        """Whether librbd opens a source outside whenever somebody opens the target."""
        imported = self.imported
        return imported is not None and not imported.native and self.method is Method.LIVE

    def places(self) -> frozenset[tuple[str, str]]:
        """All pools and namespaces that it reads from or writes to; an external source has none.

        librbd puts data and journal into the target's namespace of their pools.
        """
        found = {(end.pool, end.namespace) for end in (self.source, self.target) if end.pool}
        pools = (self.layout.data_pool, self.layout.journal_pool)
        return frozenset(found | {(pool, self.target.namespace) for pool in pools if pool})

    def logged(self, now: float, message: str, *, again: bool = True) -> Migration:
        """Return the migration with a request in its timeline.

        ``again``: also if the last entry says the same.
        """
        if not again and self.timeline and self.timeline[-1].message == shortened(message):
            return self
        timeline = (*self.timeline, TimelineEntry(now, self.state, message))[-TIMELINE_LENGTH:]
        return replace(self, timeline=timeline)

    def with_author(self, before: Optional[Migration], who: str) -> Migration:
        """Return the migration with the name of who made a request on what is new since ``before``.

        ``before`` None: it is new itself.
        """
        if not who:
            return self
        known = frozenset(() if before is None else before.timeline)
        timeline = tuple(e if e in known or e.by else replace(e, by=who) for e in self.timeline)
        return replace(self, by=self.by if before is not None else who, timeline=timeline)

    def enter(self, state: State, now: float, message: str = "") -> Migration:
        """Return the migration in ``state``, with a timeline entry if the state changes."""
        if state is self.state and not message:
            return self
        timeline = (*self.timeline, TimelineEntry(now, state, message))[-TIMELINE_LENGTH:]
        changed = replace(self, state=state, timeline=timeline)
        if state is State.PREPARED and self.prepared_at is None:
            changed = replace(changed, prepared_at=now)
        if state is State.EXECUTED:
            changed = replace(changed, executed_at=now)
        if state is State.CUT_OVER and self.cut_over_at is None:
            changed = replace(changed, cut_over_at=now)
        if state.ended:
            changed = replace(changed, ended_at=now)
        return changed
