"""The requests about migrations that have begun: go on, go back. Thread-safe; plain data."""

from __future__ import annotations

import time
from collections.abc import Callable
from errno import EBUSY
from typing import Any, Optional

import rados

from ...control.lifecycle.aborting import refusal_of, request_abort
from ...control.lifecycle.cutover import (
    cutover_waits,
    to_cut_over,
    waits_for_clients,
)
from ...control.lifecycle.requests import (
    Changes,
    changed,
    forced,
    refuse_aborting,
    refuse_committing,
    to_abort,
    to_commit,
    to_execute,
    to_pause,
    to_resume,
    to_retry,
    to_verify,
)
from ...control.lifecycle.reverse import is_reverse
from ...control.lifecycle.verification import at_least
from ...control.lifecycle.warm import to_refresh_round
from ...model.cutover import CutoverPolicy
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.spec import ImageSpec
from ...model.states import Goal, HoldReason, State
from ...model.verification import Verify
from ..reconcile import clones
from ..reconcile.executor import Executor
from ..reconcile.scheduler import Scheduler
from ..reconcile.verification import waits
from ..records.plan_registry import PlanRegistry
from ..records.registry import TrackedMigration
from .abort_permission import AbortPermission
from .cutover_permission import CutoverPermission
from .errors import TranslatedErrors
from .fresh_look import FreshLook
from .later_snapshots import LaterSnapshots
from .lookup import Lookup
from .record_changes import RecordChanges
from .report import render, view

Report = dict[str, Any]


class Migrations:
    """All migrations. What the caller may not see is not found, and is not acted on (EACCES)."""

    def __init__(
        self,
        *,
        client: rados.Rados,
        plan_registry: PlanRegistry,
        scheduler: Scheduler,
        executor: Executor,
        lookup: Lookup,
        fresh_look: FreshLook,
        changes: RecordChanges,
        abort_permission: AbortPermission,
        later_snapshots: LaterSnapshots,
        cutover_permission: CutoverPermission,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._client = client
        self._plan_registry = plan_registry
        self._scheduler = scheduler
        self._executor = executor
        self._lookup = lookup
        self._fresh_look = fresh_look
        self._changes = changes
        self._abort_permission = abort_permission
        self._later_snapshots = later_snapshots
        self._cutover_permission = cutover_permission
        self._translated = translated

    def get(self, target: ImageSpec) -> Report:
        """The migration to ``target``, the last ended one when none is under way.

        One that plain ``rbd migration prepare`` made is described, and not taken over.
        MigrationError(ENOENT, EACCES).
        """
        with self._translated(target):
            found = self._lookup.look(target)
            if isinstance(found, TrackedMigration):
                self._fresh_look.look([found])
                if found.migration.state.ended:
                    found = self._lookup.look(target)
            return render(self._lookup.ended(target) if found is None else found)

    def execute(self, target: ImageSpec, *, snapshot: str = "", force: bool = False) -> Report:
        """Copy in the background; answers at once. With the method ``warm`` again and again.

        After the cutover that is the other way round, to the source. ``snapshot``: a later one of
        the source of an import; what changed until then is copied. ``force``: also where clients
        may have written to the target meanwhile.
        """
        tracked = self._lookup.require(target)
        if not snapshot:
            self._changes.change(tracked, lambda m: to_refresh_round(to_execute(m)), "execute")
            return view(tracked)
        to_later = self._later_snapshots.permitted(tracked, snapshot, force=force)
        request = forced(f"execute --snap {snapshot}", force)
        self._changes.change(tracked, lambda m: to_later(m, time.time()), request)
        self._scheduler.interrupt(tracked, "a later snapshot is wanted")  # a verification
        return view(tracked)

    def cutover(self, target: ImageSpec, policy: Optional[CutoverPolicy] = None) -> Report:
        """Copy the last difference and give the target its name.

        ``policy``: how clients are made to leave the source; None: as the record says. Where it
        waits for them this answers at once, else they have to be stopped.
        """
        tracked = self._ask_for_cutover(target, policy)
        if waits_for_clients(tracked.migration):
            return view(tracked)
        self._changes.wait(tracked, frozenset(), _cut_over_or_refused)
        m = tracked.migration
        if cutover_waits(m) and m.hold is not None:
            raise MigrationError(EBUSY, m.hold.message)
        return view(tracked)

    def begin_cutover(self, target: ImageSpec, policy: Optional[CutoverPolicy] = None) -> None:
        """The same without waiting for its end: it may still turn out that clients are there."""
        self._ask_for_cutover(target, policy)

    def commit(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Finish: make the target independent and remove the source.

        What has to be compared before is compared first, and the commit follows by itself.
        """
        tracked = self._ask_for_commit(target, force=force)
        if force:
            self._scheduler.interrupt(tracked, "committed without waiting")
        self._changes.wait(tracked, frozenset({State.COMMITTED}), _waits_for_operator)
        return view(tracked)

    def begin_commit(self, target: ImageSpec) -> None:
        """The same without waiting for its end."""
        self._ask_for_commit(target, force=False)

    def abort(
        self, target: ImageSpec, *, force: bool = False, policy: Optional[CutoverPolicy] = None
    ) -> Report:
        """Go back: stop the copy, remove the target and give the source back.

        Refused without ``force`` when clients may have written to the target. ``policy``: how
        clients are made to leave the target of a warm migration; None: they left it.
        """
        tracked = self._lookup.require(target)
        self.begin_abort(target, force=force, policy=policy)
        if waits_for_clients(tracked.migration):
            tracked.waits_for = ""
            return view(tracked)
        given_up = frozenset({State.ABORTED})
        self._changes.wait(tracked, given_up, lambda m: m.goal is not Goal.ABORTED)
        refusal = refusal_of(tracked.migration)
        if refusal is not None:
            raise MigrationError(refusal.errno, refusal.message)
        return view(tracked)

    def begin_abort(
        self, target: ImageSpec, *, force: bool = False, policy: Optional[CutoverPolicy] = None
    ) -> None:
        """The same without waiting for its end: it may still turn out that it must not begin."""
        tracked = self._lookup.require(target)
        refuse_committing(tracked.migration)
        self._cutover_permission.require_for_abort(tracked.migration, policy)
        found = self._abort_permission.require(tracked, force=force)
        self._changes.change(
            tracked,
            lambda m: request_abort(m, to_abort(m, policy), found, forced=force),
            forced("abort", force),
        )
        self._scheduler.interrupt(tracked, "aborted")

    def pause(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Stop the copy where it is and start no further act; clients go on writing.

        A copy that a client makes itself, as holder of the exclusive lock, goes on, unless
        ``force`` takes the lock from it; then its writes under way fail with EROFS.
        """
        tracked = self._lookup.require(target)
        refuse_aborting(tracked.migration)
        with self._translated(target):
            self._executor.look_at_copy(tracked)
        self._changes.change(tracked, to_pause, forced("pause", force))
        if tracked.copied_by and not force:
            return view(tracked)
        tracked.may_take_lock = force
        self._scheduler.interrupt(tracked, "paused")
        self._changes.wait_while_busy(tracked)
        return view(tracked)

    def resume(self, target: ImageSpec) -> Report:
        """Go on where a pause stopped."""
        tracked = self._lookup.require(target)
        tracked.uncontrolled = ""
        self._changes.change(tracked, to_resume, "resume")
        return view(tracked)

    def retry(self, target: ImageSpec) -> Report:
        """Try a failed migration again, and one that waits for its next attempt at once."""
        tracked = self._lookup.require(target)
        to_retry(tracked.migration)  # a refused request does not forgive the source, either
        self._executor.breaker.succeeded(tracked.migration)
        self._changes.change(tracked, to_retry, "retry")
        return view(tracked)

    def verify(self, target: ImageSpec, mode: Verify) -> Report:
        """Compare source and target in the background, from the beginning; answers at once."""
        tracked = self._lookup.require(target)
        self._changes.change(
            tracked, lambda m: to_verify(m, mode, time.time()), f"verify {mode.value}"
        )
        self._scheduler.interrupt(tracked, "verified again")
        return view(tracked)

    def change(self, target: ImageSpec, changes: Changes) -> Report:
        """Change the settings of a migration under way.

        What its plan wants compared can be raised, not lowered.
        """
        tracked = self._lookup.require(target)
        self._changes.change(
            tracked, lambda m: changed(m, changes, self._least_verification(m)), str(changes)
        )
        tracked.cutover_held = None  # another window is looked at in a moment
        m = tracked.migration
        if m.verification is not None and m.verification.mode is not m.verify:
            self._scheduler.interrupt(tracked, "another verification is wanted")
        return view(tracked)

    # -- internal ----------------------------------------------------------------------------

    def _ask_for_cutover(
        self, target: ImageSpec, policy: Optional[CutoverPolicy]
    ) -> TrackedMigration:
        tracked = self._lookup.require(target)
        self._cutover_permission.require(tracked.migration, policy)
        self._changes.change(tracked, lambda m: to_cut_over(m, policy), "cutover")
        if waits_for_clients(tracked.migration):
            tracked.waits_for = ""  # what was in the way may be no longer
        return tracked

    def _ask_for_commit(self, target: ImageSpec, *, force: bool) -> TrackedMigration:
        tracked = self._lookup.require(target)
        m = tracked.migration
        to_commit(m, force=force)  # refused without asking librbd
        if not force:
            with self._translated(target):
                clones.refuse_commit(self._client, m, force=False)
        self._changes.change(tracked, lambda m: to_commit(m, force=force), forced("commit", force))
        intent = tracked.migration.intent
        if intent is not None and is_reverse(tracked.migration, intent.act):
            self._scheduler.interrupt(tracked, "committed")  # the source goes
        return tracked

    def _least_verification(self, m: Migration) -> Verify:
        """What its plan wants compared at least."""
        policy = self._plan_registry.policy(m.plan) if m.plan else None
        return Verify.NONE if policy is None else at_least(policy.goal, policy.verify)


def _cut_over_or_refused(m: Migration) -> bool:
    return m.cut_over_at is not None or cutover_waits(m)


def _waits_for_operator(m: Migration) -> bool:
    """Whether what was found when it was compared does not allow its commit."""
    hold = waits(m, time.time())
    return hold is not None and hold.reason is HoldReason.OPERATOR
