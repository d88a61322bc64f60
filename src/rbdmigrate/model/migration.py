"""A migration: the moving of one image. The record that is kept in RADOS, as frozen data.

Level-triggered: ``goal`` says what is wanted, ``state`` what was last seen, ``step`` which act
may be under way (the intent, written before the act). All times are seconds since the epoch.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from .bounds import MAX_DURATION, MAX_RECORD, MAX_TEXT, narrowed, shortened
from .codec import from_plain, loaded, readable, to_plain
from .import_source import Import
from .layout import LayoutOptions
from .spec import ImageSpec
from .target_changes import TargetChanges
from .target_header import TargetHeader
from .verification import Verification, Verify

SCHEMA = 1
TIMELINE_LENGTH = 40  # entries kept in a record; the oldest go first


class State(str, enum.Enum):
    """Where a migration is; the names that librbd has too mean what they mean there."""

    QUEUED = "queued"
    PREPARING = "preparing"
    PREPARED = "prepared"
    EXECUTING = "executing"
    EXECUTED = "executed"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    COMMITTING = "committing"
    COMMITTED = "committed"
    ABORTING = "aborting"
    ABORTED = "aborted"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Nothing is left to be done or undone for this migration."""
        return self in (State.COMMITTED, State.ABORTED)


class Goal(str, enum.Enum):
    """How far a migration goes by itself."""

    PREPARED = "prepared"
    EXECUTED = "executed"
    VERIFIED = "verified"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Op(str, enum.Enum):
    """An act of the engine on an image; each can be repeated after a crash (doc: recovery)."""

    PREPARE = "prepare"
    EXECUTE = "execute"
    SETTLE = "settle"
    VERIFY = "verify"
    COMMIT = "commit"
    ABORT = "abort"
    UNDO_PREPARE = "undo_prepare"
    FINISH_COMMIT = "finish_commit"
    DROP_POINT = "drop_point"


class HoldReason(str, enum.Enum):
    """Why a migration does not move right now."""

    PAUSED = "paused"
    WINDOW = "window"
    LIMIT = "limit"
    HEALTH = "health"
    SOURCE = "source"
    RETRY = "retry"
    SOAK = "soak"
    OPERATOR = "operator"
    PLAN = "plan"


def _shorten_message(said: Any) -> None:
    """Texts of servers and of librbd end up in messages: none of them may fill the record."""
    if len(said.message) > MAX_TEXT:
        object.__setattr__(said, "message", shortened(said.message))


@dataclass(frozen=True)
class Hold:
    """``message`` is one sentence for people; ``until`` is when it ends by itself, if it does."""

    reason: HoldReason
    message: str
    until: Optional[float] = None

    def __post_init__(self) -> None:
        _shorten_message(self)


@dataclass(frozen=True)
class Place:
    """An image by name and by ids, which survive renames. Ids are empty until they are known."""

    pool: str
    namespace: str
    image: str
    pool_id: int = -1
    image_id: str = ""

    @property
    def spec(self) -> ImageSpec:
        """The place by name."""
        return ImageSpec(self.pool, self.namespace, self.image)


@dataclass(frozen=True)
class ProcessIdentity:
    """Which process a process id stood for: on which host, since when.

    ``boot_id`` is new at every start of a host's kernel, ``pid_namespace`` is the inode of the
    namespace in which the process id counts (a container has its own), ``started`` is when the
    process was started, in ticks since that start of the kernel. Empty or 0: not known, as in
    records of version 0.1; for ``started`` also that there is no such process.
    """

    boot_id: str = ""
    pid_namespace: int = 0
    started: int = 0


@dataclass(frozen=True)
class Actor:
    """Who acts on an image, so that it can be fenced: the addresses of its RADOS clients.

    ``process`` tells whether the process with the id ``pid`` is still the same.
    """

    manager: str
    host: str
    pid: int
    addresses: tuple[str, ...]
    clients: tuple[int, ...]
    process: ProcessIdentity = field(default_factory=ProcessIdentity)


@dataclass(frozen=True)
class Soaked:
    """How much of the soak time that began ``since`` active managers saw pass.

    ``seconds`` are those of their monotonic clocks: a clock that is set wrong does not change them.
    """

    since: float
    seconds: float


@dataclass(frozen=True)
class Step:
    """The intent: this act was begun by this actor and its outcome is not known yet."""

    op: Op
    started: float
    actor: Actor


@dataclass(frozen=True)
class Failure:
    """What went wrong last. ``transient`` failures are retried, others need ``retry``."""

    errno: int
    message: str
    at: float
    transient: bool = False

    def __post_init__(self) -> None:
        _shorten_message(self)


@dataclass(frozen=True)
class AbortRequest:
    """An abort that was accepted, and where the migration goes back to if it must not begin.

    ``goal``, ``state``, ``failure`` and ``failed_in`` are those before the request. ``forced``:
    what clients had done until then may be lost; ``version`` and ``header`` are the target's at
    that time. ``refusal`` is why it was not begun after all.
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
    """How often in a row the worker crashed in the same act, with a signal of librbd's fault."""

    op: Op
    count: int


@dataclass(frozen=True)
class TimelineEntry:
    """A change of state; ``message`` says why where the state alone does not."""

    at: float
    state: State
    message: str = ""

    def __post_init__(self) -> None:
        _shorten_message(self)


@dataclass(frozen=True)
class Migration:
    """The record of one migration.

    ``rate`` is the migration's own limit in bytes per second (None: none, 0: stand still).
    ``window`` is when it may be copied, on the clock of the cluster's time zone (empty: always).
    ``holder_ops``: while it is copied, how many operations at once its target's configuration
    allows a client that holds the exclusive lock; None: the configuration is as the users left it.
    ``bytes_total`` is what the source holds, head and snapshots, as seen when the copy was begun
    last; ``bytes_copied`` what of it was on the target when the copy ended or was stopped last.
    ``settled``: since a copy was begun last it was found that no object of the target is there in
    part, as a copy that is cut off leaves it (doc: recovery). ``copy_checked``: after librbd said
    that the last copy is done, no object was missing on the target.
    ``failed_in`` is the state in which it failed, if it was acting.
    ``group`` (``<pool id>/<name>``) and ``mirror_mode`` (librbd's number, None: not mirrored)
    are what the source had and librbd forgets when it is cut off; they are given back at an abort.
    ``target_version`` is the version of the target's header after our last act on it, None when
    it is not known; ``target_header`` is what it said when the target was prepared; ``touched``
    says that a client was seen to have the target open for writing, or may have had. Together they
    tell whether aborting could lose what clients did (``control.lifecycle.abort_guard``).
    ``abort``: the abort that was asked for last.
    ``verify`` is what is to be compared before a commit, ``verification`` how far that is or what
    it came to, ``soak`` the seconds to wait between it and the commit, ``soaked`` how much of them
    has passed. ``force_commit`` and
    ``soak_ended`` are what an administrator's ``commit`` allowed: not to compare, not to wait for
    the soak time; both end when the goal or a gate is changed. ``point`` is the name of the
    comparison snapshot, as long as one may be on the source or the target; ``no_point`` says why
    there is none.
    ``plan`` is the name of the plan that it belongs to; empty: none.
    ``confirmed``: the request for it was answered with success, or it was changed since; a record
    of which neither is true is removed by the next manager.
    ``snapshots``: how many of users' snapshots the source has and the target gets; None: that is
    not known. ``target_changes``: what clients did to the target that librbd does not expect.
    ``imported`` is set for an import: ``source`` then is but a name for where it comes from (of a
    native one the place of the image, with ``@`` and the snapshot).
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
    settled: bool = False
    copy_checked: bool = True
    step: Optional[Step] = None
    hold: Optional[Hold] = None
    failure: Optional[Failure] = None
    failed_in: Optional[State] = None
    attempts: int = 0
    prepared_at: Optional[float] = None
    executed_at: Optional[float] = None
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
    point: str = ""
    no_point: str = ""
    imported: Optional[Import] = None
    plan: str = ""
    confirmed: bool = True
    snapshots: Optional[int] = None
    target_changes: TargetChanges = field(default_factory=TargetChanges)
    crashes: Optional[Crashes] = None
    timeline: tuple[TimelineEntry, ...] = ()

    def places(self) -> frozenset[tuple[str, str]]:
        """Every pool and namespace that it reads from or writes to; an external source has none.

        librbd puts data and journal into the target's namespace of their pools.
        """
        found = {(end.pool, end.namespace) for end in (self.source, self.target) if end.pool}
        pools = (self.layout.data_pool, self.layout.journal_pool)
        return frozenset(found | {(pool, self.target.namespace) for pool in pools if pool})

    def enter(self, state: State, now: float, message: str = "") -> Migration:
        """This migration in ``state``; a change is put on its timeline."""
        if state is self.state and not message:
            return self
        timeline = (*self.timeline, TimelineEntry(now, state, message))[-TIMELINE_LENGTH:]
        changed = replace(self, state=state, timeline=timeline)
        if state is State.PREPARED and self.prepared_at is None:
            changed = replace(changed, prepared_at=now)
        if state is State.EXECUTED:
            changed = replace(changed, executed_at=now)
        if state.ended:
            changed = replace(changed, ended_at=now)
        return changed


def encode(migration: Migration) -> bytes:
    """The record as it is stored: JSON with its schema version."""
    plain = {"schema": SCHEMA, **to_plain(migration)}
    return json.dumps(plain, separators=(",", ":")).encode()


def decode(raw: bytes) -> Migration:
    """The migration of a stored record. RecordError for whatever this version cannot read.

    Version 0.1 wrote some values that were too long or too large; they are cut to the bounds.
    """
    plain = loaded(raw, SCHEMA)
    soak = plain.get("soak")
    if isinstance(soak, (int, float)) and not isinstance(soak, bool) and not soak <= MAX_DURATION:
        plain["soak"] = MAX_DURATION
    if isinstance(plain.get("window"), str):
        plain["window"] = narrowed(plain["window"])
    m = from_plain(Migration, plain)
    return m if m.verification is None else replace(m, verification=m.verification.bounded())


def encode_readable(migration: Migration) -> bytes:
    """The record as it is stored, once it is shown that it can be read back.

    Raises MigrationError: E2BIG for one that is too large, EINVAL for one that holds what
    ``decode`` does not read.
    """
    raw = encode(migration)
    what = f"the migration to {shortened(str(migration.target.spec))}"
    readable(raw, what, MAX_RECORD, lambda: from_plain(Migration, loaded(raw, SCHEMA)))
    return raw
