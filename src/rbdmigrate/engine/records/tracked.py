"""A migration under way in memory: its record, and what only this process knows of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from errno import EUCLEAN
from typing import Optional

from ...control.lifecycle.situation import Situation
from ...control.objects.copy_cost import Throughput
from ...model.errors import MigrationError
from ...model.held_time import HeldTime, added
from ...model.migration import Hold, Migration
from ...model.rounds import WayBack
from ...model.states import ActKind


class WaitingTogether:
    """What holds back all migrations of a group that waits for slots, now.

    ``rests``: their source failed so often that another migration tries it now.
    """

    __slots__ = ("held", "rests")

    def __init__(self) -> None:
        self.held: Optional[Hold] = None
        self.rests = False


class TrackedMigration:
    """A migration and what only this process knows of it. Guarded by the registry's lock."""

    __slots__ = (  # there are thousands
        "_busy",
        "_done_act",
        "_due",
        "_repeats",
        "_wanted",
        "abandoned",
        "arm",
        "armed",
        "changes",
        "compared",
        "conflict",
        "copied",
        "copied_by",
        "copy_look_due",
        "cutover_held",
        "done",
        "full_speed",
        "group",
        "half_since",
        "held",
        "lock_shared",
        "looking",
        "looking_at_copy",
        "may_take_lock",
        "measured_at",
        "migration",
        "note",
        "progressed_at",
        "published",
        "rate_limit",
        "seen",
        "share",
        "shut_out",
        "size",
        "slowed",
        "soak_mark",
        "source_rests",
        "text",
        "throughput",
        "total",
        "troubled",
        "uncontrolled",
        "unsaved_holds",
        "waits_for",
        "wanted_since",
        "way_back",
        "write_lock",
    )

    def __init__(self, migration: Migration) -> None:
        self.migration = migration
        self.write_lock = threading.Lock()  # one writer of this record at a time
        self.changes: Optional[deque[TrackedMigration]] = None  # where the loop hears of it
        self._busy = False
        self._wanted: Optional[ActKind] = None
        self._due = 0.0
        self.seen: Optional[tuple[float, Situation]] = None  # what the last look saw, and when
        self.done = 0  # objects of the running copy
        self.total = 0
        self.copied = migration.bytes_copied  # bytes on the target, as far as they were copied
        self.size = migration.bytes_total or 0  # bytes to be there in the end; 0: not known yet
        self.throughput = Throughput()
        self.compared = 0  # bytes that the running verification has compared
        self.share = 0.0  # of what it has to compare, 0 to 1
        self.rate_limit: Optional[int] = None  # what the throttle gives it, bytes per second
        self.held: Optional[Hold] = None  # why nothing of it may be copied now
        self.group: Optional[WaitingTogether] = None  # those that it waits for a slot with
        self.full_speed: Optional[float] = None  # what it made before a gate slowed it
        self.slowed: tuple[str, ...] = ()  # why it copies slower than it could
        self.progressed_at = time.monotonic()  # when the running copy last got on
        self.wanted_since = 0.0  # monotonic time since when it waits for a slot
        self.note = ""  # why it does not move, where that is no matter for the record
        self.source_rests = False  # its source failed so often that another one tries it now
        self.copied_by = ""  # the client that really copies, when it is not our worker
        self.shut_out: tuple[str, ...] = ()  # addresses of its worker, once they are blocklisted
        self.lock_shared = False  # somebody else may have had the target's lock during the copy
        self.may_take_lock = False  # to stop its copy, at the price of writes of that client
        self.uncontrolled = ""  # why a copy that was to stop goes on
        self.abandoned = False  # a half-done act of somebody else was left for good
        self.half_since = 0.0  # monotonic time since when somebody else's act looks interrupted
        self.soak_mark: Optional[tuple[float, float]] = None  # its soak's begin, counted until when
        self._done_act: Optional[ActKind] = None  # the act that went well last
        self._repeats = 0  # how often it went well one time after another, and no act between
        self.looking = False  # an observer looks at it, or is about to
        self.looking_at_copy = False  # or at its running copy from outside
        self.troubled = False  # its pools did not answer when either was done last
        self.copy_look_due = 0.0  # monotonic time at which the running copy is looked at
        self.arm = False  # the next round is to leave its worker ready for the cutover
        self.armed: Optional[tuple[str, float]] = None  # the slot with that worker, until when
        self.published = False  # clients may use the target, though its cutover goes on
        self.waits_for = ""  # what its cutover by an agent waits for
        self.cutover_held: Optional[Hold] = None  # why its cutover must not begin now
        self.unsaved_holds: dict[str, float] = {}  # seconds by reason that the record lacks
        # Its Report as JSON, but for how long it was held, with what that was made from.
        self.text: Optional[tuple[Migration, tuple[object, ...], str, str]] = None
        self.way_back: Optional[WayBack] = None  # what an abort would copy back
        self.measured_at = float("-inf")  # monotonic time at which that was looked at
        self.conflict = ""  # why it is not acted on: another record is about one of its images

    @property
    def busy(self) -> bool:
        """Whether an observer or a slot has it."""
        return self._busy

    @busy.setter
    def busy(self, busy: bool) -> None:
        self._busy = busy
        self.tell()

    @property
    def wanted(self) -> Optional[ActKind]:
        """The act it waits for a slot with."""
        return self._wanted

    @wanted.setter
    def wanted(self, wanted: Optional[ActKind]) -> None:
        self._wanted = wanted
        self.tell()

    @property
    def due(self) -> float:
        """The monotonic time at which it is looked at again."""
        return self._due

    @due.setter
    def due(self, due: float) -> None:
        self._due = due
        self.tell()

    def act_begun(self, act: ActKind) -> None:
        """An act begins. One that went well before it had an effect: that this could begin."""
        self.progressed_at = time.monotonic()
        if act is not self._done_act:
            self.repeats_end()

    def act_done(self, act: ActKind) -> None:
        """An act went well."""
        self._repeats = self._repeats + 1 if self._done_act is act else 1
        self._done_act = act

    def repeats_end(self) -> None:
        """What went well until now is not counted as repeated."""
        self._done_act = None

    def repeated(self, act: ActKind) -> int:
        """How often ``act`` went well one time after another, and nothing else was begun since."""
        return self._repeats if self._done_act is act else 0

    def tell(self) -> None:
        """Let the loop know that something of this changed, or that it came or went."""
        if self.changes is not None:
            self.changes.append(self)

    def held_back(self) -> Optional[Hold]:
        """Why it does not get a slot, or did not the last time that was found out."""
        group = self.group
        return self.held or (group.held if group is not None else None)

    def rests(self) -> bool:
        """Whether its source failed so often that another migration tries it now."""
        group = self.group
        return self.source_rests or (group is not None and group.rests)

    def add_held(self, reason: str, seconds: float) -> None:
        """Count how long it was held; the next write of the record has it."""
        self.unsaved_holds[reason] = self.unsaved_holds.get(reason, 0.0) + seconds

    def held_times(self) -> tuple[HeldTime, ...]:
        """How long it was held so far, with what the record lacks."""
        return added(self.migration.held, self.unsaved_holds)

    def show(self, migration: Migration) -> None:
        """Take over a record that was written, with the ``held_times`` of a moment ago."""
        saved = {one.reason: one.seconds for one in migration.held}
        for one in self.migration.held:
            saved[one.reason] = saved.get(one.reason, 0.0) - one.seconds
        for reason, seconds in saved.items():
            if reason in self.unsaved_holds:
                self.unsaved_holds[reason] = max(0.0, self.unsaved_holds[reason] - seconds)
        self.migration = migration
        self.tell()

    def refuse_conflict(self) -> None:
        """Raise MigrationError(EUCLEAN) when another record is about one of its images."""
        if self.conflict:
            raise MigrationError(EUCLEAN, self.conflict)
