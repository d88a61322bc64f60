"""The states of a migration, how far it goes, how it copies, its acts, and why it waits."""

from __future__ import annotations

import enum


class State(str, enum.Enum):
    """The state of a migration; names that librbd also has mean the same as there."""

    QUEUED = "queued"
    PREPARING = "preparing"
    PREPARED = "prepared"
    EXECUTING = "executing"
    EXECUTED = "executed"
    CUTTING_OVER = "cutting-over"
    CUT_OVER = "cut-over"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    COMMITTING = "committing"
    COMMITTED = "committed"
    ABORTING = "aborting"
    ABORTED = "aborted"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the migration is over, with nothing left to do."""
        return self in (State.COMMITTED, State.ABORTED)


class Goal(str, enum.Enum):
    """How far a migration goes by itself."""

    PREPARED = "prepared"
    EXECUTED = "executed"
    CUT_OVER = "cut-over"
    VERIFIED = "verified"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Method(str, enum.Enum):
    """How the data get to the target.

    ``live``: librbd's migration; clients use the target while it is copied. ``copy``: the mover
    copies, and clients use the target once it is executed. ``warm``: the mover copies an image in
    rounds while clients use it, and clients change to the target at the cutover.
    """

    LIVE = "live"
    COPY = "copy"
    WARM = "warm"


class ActKind(str, enum.Enum):
    """An act of the engine on an image; each can be repeated after a crash (doc: recovery)."""

    PREPARE = "prepare"
    EXECUTE = "execute"
    COMPLETE_OBJECTS = "settle"  # named as in version 0.1
    CUT_OVER = "cut_over"
    VERIFY = "verify"
    COMMIT = "commit"
    ABORT = "abort"
    UNDO_PREPARE = "undo_prepare"
    FINISH_COMMIT = "finish_commit"
    REMOVE_COMPARISON_SNAPSHOT = "drop_point"  # likewise


class HoldReason(str, enum.Enum):
    """Why a migration does not go on at the moment."""

    PAUSED = "paused"
    WINDOW = "window"
    LIMIT = "limit"
    HEALTH = "health"
    SOURCE = "source"
    RETRY = "retry"
    SOAK = "soak"
    OPERATOR = "operator"
    PLAN = "plan"
    CLIENTS = "clients"
    HOOK = "hook"
