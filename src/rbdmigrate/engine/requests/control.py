"""Steering: what can be asked of a migration under way."""

from __future__ import annotations

import time
from errno import EPERM
from typing import Any, Optional

from ...cluster.observe import observe
from ...control.lifecycle.abort_guard import TargetFound, guard_abort
from ...control.lifecycle.aborting import refusal_of, request_abort
from ...control.lifecycle.decision import absorb
from ...control.lifecycle.requests import (
    Changes,
    changed,
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
from ...control.lifecycle.situation import Situation, diagnose
from ...control.lifecycle.verification import at_least
from ...model.errors import MigrationError
from ...model.jobs.answers import Examined
from ...model.jobs.questions import Examine
from ...model.migration import Goal, HoldReason, Migration, State
from ...model.spec import ImageSpec
from ...model.verification import Verify
from ...model.watchers import Watcher
from ..reconcile import clones
from ..reconcile.abort_guard import GUARDED, blind, find_target
from ..reconcile.verification import waits
from ..records.registry import TrackedMigration
from .orders import Orders
from .report import view

Report = dict[str, Any]

_EXECUTED = (State.EXECUTED, State.VERIFYING, State.VERIFIED, State.COMMITTING)


class Steering(Orders):
    """Requests for a migration that is there, by its target."""

    def execute(self, target: ImageSpec) -> Report:
        """Copy in the background; answers at once."""
        tracked = self._lookup.require(target)
        self._change(tracked, to_execute)
        return view(tracked)

    def commit(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Finish: cut the target loose and remove the source.

        What has to be compared before is compared first, and the commit follows by itself.
        """
        tracked = self._ask_for_commit(target, force=force)
        if force:
            self._loop.interrupt(tracked, "committed without waiting")
        return self._await(tracked, frozenset({State.COMMITTED}), _waits_for_operator)

    def begin_commit(self, target: ImageSpec) -> None:
        """The same without waiting for its end."""
        self._ask_for_commit(target, force=False)

    def _ask_for_commit(self, target: ImageSpec, *, force: bool) -> TrackedMigration:
        tracked = self._lookup.require(target)
        m = tracked.migration
        to_commit(m, force=force)  # refused without asking librbd
        if not force:
            with self._answers(target):
                clones.refuse_commit(self._client, m, force=False)
        self._change(tracked, lambda m: to_commit(m, force=force))
        return tracked

    def abort(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Go back: stop the copy, remove the target and give the source back.

        Refused without ``force`` when clients may have written to the target.
        """
        tracked = self._lookup.require(target)
        self.begin_abort(target, force=force)
        self._await(tracked, frozenset({State.ABORTED}), lambda m: m.goal is not Goal.ABORTED)
        refusal = refusal_of(tracked.migration)
        if refusal is not None:
            raise MigrationError(refusal.errno, refusal.message)
        return view(tracked)

    def begin_abort(self, target: ImageSpec, *, force: bool = False) -> None:
        """The same without waiting for its end: it may still turn out that it must not begin."""
        tracked = self._lookup.require(target)
        refuse_committing(tracked.migration)
        found = self._guard_abort(tracked, force=force)
        self._change(tracked, lambda m: request_abort(m, to_abort(m), found, forced=force))
        self._loop.interrupt(tracked, "aborted")

    def pause(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Stop the copy where it is and start no further act; clients' writes flow on.

        A copy that a client makes itself, as holder of the exclusive lock, goes on, unless
        ``force`` takes the lock from it; then writes that it is at fail with EROFS.
        """
        tracked = self._lookup.require(target)
        refuse_aborting(tracked.migration)
        with self._answers(target):
            self._executor.peek(tracked)
        self._change(tracked, to_pause)
        if tracked.copied_by and not force:
            return view(tracked)
        tracked.take_lock = force
        self._loop.interrupt(tracked, "paused")
        self._registry.wait(lambda: not tracked.busy, self._host.settings().command_wait)
        return view(tracked)

    def resume(self, target: ImageSpec) -> Report:
        """Go on where a pause stopped."""
        tracked = self._lookup.require(target)
        tracked.uncontrolled = ""
        self._change(tracked, to_resume)
        return view(tracked)

    def retry(self, target: ImageSpec) -> Report:
        """Try a failed migration again, and one that waits for its next attempt at once."""
        tracked = self._lookup.require(target)
        to_retry(tracked.migration)  # a refused request does not forgive the source, either
        self._executor.breaker.succeeded(tracked.migration)
        self._change(tracked, to_retry)
        return view(tracked)

    def verify(self, target: ImageSpec, mode: Verify) -> Report:
        """Compare source and target in the background, from the beginning; answers at once."""
        tracked = self._lookup.require(target)
        self._change(tracked, lambda m: to_verify(m, mode, time.time()))
        self._loop.interrupt(tracked, "verified again")
        return view(tracked)

    def change(self, target: ImageSpec, changes: Changes) -> Report:
        """Change what was asked of a migration under way.

        What its plan wants compared can be raised, not lowered.
        """
        tracked = self._lookup.require(target)
        self._change(tracked, lambda m: changed(m, changes, self._floor(m)))
        m = tracked.migration
        if m.verification is not None and m.verification.mode is not m.verify:
            self._loop.interrupt(tracked, "another verification is wanted")
        return view(tracked)

    def _floor(self, m: Migration) -> Verify:
        """What its plan wants compared at least."""
        policy = self._plan_registry.policy(m.plan) if m.plan else None
        return Verify.NONE if policy is None else at_least(policy.goal, policy.verify)

    def _users(self, m: Migration) -> tuple[Watcher, ...]:
        """Who has the target open for writing."""
        question = Examine(m.target, blind(m), self._executor.blocklist.fenced())
        return self._queries.ask(question, Examined, self._patience()).users

    def _guard_abort(self, tracked: TrackedMigration, *, force: bool) -> Optional[TargetFound]:
        """Refuse an abort that would lose what clients did.

        Returns the target that it was decided on; None where no client can use the target.
        """
        m = tracked.migration
        with self._answers(m.target.spec):
            seen = observe(self._client, m)
        situation = diagnose(m, seen)
        m = absorb(m, situation, seen, time.time())  # the names of now; nothing is stored
        unanswered = m.state is State.PREPARING and situation is Situation.PREPARED
        if unanswered or situation not in GUARDED:
            if situation is Situation.SOURCE_LOST and not force:
                raise MigrationError(
                    EPERM,
                    f"The source of {m.target.spec} is gone; add --force to keep what was copied "
                    "of it as an ordinary, incomplete image.",
                )
            return None  # a prepare that has not answered yet: decided on again when it has
        ours = m.step.actor.clients if m.step is not None else ()
        others = [user for user in self._users(m) if user.client not in ours]
        with self._answers(m.target.spec):
            found = find_target(self._client, m, situation, users=others)
        guard_abort(m, found, force=force)
        return found


def _waits_for_operator(m: Migration) -> bool:
    """Whether what was found when it was compared does not allow its commit."""
    hold = waits(m, time.time())
    return hold is not None and hold.reason is HoldReason.OPERATOR
