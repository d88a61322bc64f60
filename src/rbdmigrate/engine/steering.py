"""Steering: what can be asked of a migration under way."""

from __future__ import annotations

import time
from dataclasses import replace
from errno import EAGAIN, EINVAL, EPERM
from typing import Any, Optional

from ..cluster.observe import observe
from ..control.aborting import asked_to_abort, refusal_of
from ..control.guard import TargetFound, guard_abort
from ..control.lifecycle import absorb
from ..control.situation import Situation, diagnose
from ..control.verification import at_least
from ..model.codec import to_plain
from ..model.errors import MigrationError
from ..model.migration import Goal, HoldReason, Migration, State
from ..model.spec import ImageSpec
from ..model.verification import Verify
from . import clones, verifying
from .abort_guard import GUARDED, blind, find_target
from .finder import awake, refuse_aborting
from .orders import Orders
from .registry import Tracked
from .view import view

Report = dict[str, Any]

_EXECUTED = (State.EXECUTED, State.VERIFYING, State.VERIFIED, State.COMMITTING)


class Steering(Orders):
    """Requests for a migration that is there, by its target."""

    def execute(self, target: ImageSpec) -> Report:
        """Copy in the background; answers at once."""
        tracked = self._finder.require(target)
        refuse_aborting(tracked)
        m = tracked.migration
        if m.state is State.FAILED and m.failure is not None:
            raise MigrationError(
                EINVAL,
                f"It failed before: {m.failure.message} Mend the cause, then "
                f"`ceph rbd migration retry {target}`.",
            )
        if m.goal is Goal.PREPARED:
            self._change(tracked, lambda m: replace(m, goal=Goal.EXECUTED))
        return view(tracked)

    def commit(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Finish: cut the target loose and remove the source."""
        tracked = self._finder.require(target)
        refuse_aborting(tracked)
        m = tracked.migration
        executed = m.state in _EXECUTED
        if not executed and not (m.state is State.FAILED and m.executed_at is not None):
            raise MigrationError(
                EAGAIN,
                f"{target} is {m.state.value}, not executed yet, so committing would lose data; "
                f"run `ceph rbd migration execute {target}` and wait until it is executed.",
            )
        if not force:
            verifying.refuse_unverified(m)
            with self._answers(target):
                clones.refuse_commit(self._client, m, force=False)
        self._change(tracked, lambda m: verifying.to_commit(awake(m), force=force))
        if force:
            self._loop.interrupt(tracked, "committed without waiting")
        return self._await(tracked, frozenset({State.COMMITTED}))

    def abort(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Go back: stop the copy, remove the target and give the source back.

        Refused without ``force`` when clients may have written to the target.
        """
        tracked = self._finder.require(target)
        self.begin_abort(target, force=force)
        self._await(tracked, frozenset({State.ABORTED}), lambda m: m.goal is not Goal.ABORTED)
        refusal = refusal_of(tracked.migration)
        if refusal is not None:
            raise MigrationError(refusal.errno, refusal.message)
        return view(tracked)

    def begin_abort(self, target: ImageSpec, *, force: bool = False) -> None:
        """The same without waiting for its end: it may still turn out that it must not begin."""
        tracked = self._finder.require(target)
        if tracked.migration.state is State.COMMITTING:
            raise MigrationError(
                EINVAL, f"{target} is being committed; there is no way back any more."
            )
        found = self._guard_abort(tracked, force=force)
        self._change(tracked, lambda m: asked_to_abort(m, awake(m), found, forced=force))
        self._loop.interrupt(tracked, "aborted")

    def pause(self, target: ImageSpec, *, force: bool = False) -> Report:
        """Stop the copy where it is and start no further act; clients' writes flow on.

        A copy that a client makes itself, as holder of the exclusive lock, goes on, unless
        ``force`` takes the lock from it; then writes that it is at fail with EROFS.
        """
        tracked = self._finder.require(target)
        refuse_aborting(tracked)
        with self._answers(target):
            self._acts.peek(tracked)
        self._change(tracked, lambda m: replace(m, paused=True))
        if tracked.copied_by and not force:
            return view(tracked)
        tracked.take_lock = force
        self._loop.interrupt(tracked, "paused")
        self._registry.wait(lambda: not tracked.busy, self._host.settings().command_wait)
        return view(tracked)

    def resume(self, target: ImageSpec) -> Report:
        """Go on where a pause stopped."""
        tracked = self._finder.require(target)
        tracked.uncontrolled = ""
        self._change(tracked, _resumed)
        return view(tracked)

    def retry(self, target: ImageSpec) -> Report:
        """Try a failed migration again, and one that waits for its next attempt at once."""
        tracked = self._finder.require(target)
        m = tracked.migration
        if m.state is not State.FAILED and m.hold is None:
            raise MigrationError(
                EINVAL, f"The migration to {target} has not failed, it is {m.state.value}."
            )
        self._acts.forgive(m)
        self._change(tracked, lambda m: verifying.again(awake(m)))
        return view(tracked)

    def verify(self, target: ImageSpec, mode: Verify) -> Report:
        """Compare source and target in the background, from the beginning; answers at once."""
        tracked = self._finder.require(target)
        refuse_aborting(tracked)
        verifying.require_executed(tracked.migration)
        self._change(tracked, lambda m: verifying.asked_to_verify(awake(m), mode))
        self._loop.interrupt(tracked, "verified anew")
        return view(tracked)

    def change(
        self,
        target: ImageSpec,
        *,
        rate: Optional[int] = None,
        change_rate: bool = False,
        priority: Optional[int] = None,
        goal: Optional[Goal] = None,
        window: Optional[str] = None,
        verify: Optional[Verify] = None,
        soak: Optional[float] = None,
    ) -> Report:
        """Change what was asked of a migration under way; None leaves a thing as it is.

        ``rate`` (bytes per second, None: no limit) counts when ``change_rate`` is set. ``window``
        is a text that ``control.window`` reads; empty is always. ``soak``: seconds.
        """
        tracked = self._finder.require(target)
        refuse_aborting(tracked)

        def change(m: Migration) -> Migration:
            m = replace(m, rate=rate) if change_rate else m
            m = replace(m, priority=priority) if priority is not None else m
            m = replace(m, window=window) if window is not None else m
            m = replace(m, verify=verify) if verify is not None else m
            m = replace(m, soak=soak) if soak is not None else m
            m = replace(m, goal=goal) if goal is not None else m
            return replace(m, verify=at_least(m.goal, m.verify))

        self._change(tracked, change)
        m = tracked.migration
        if m.verification is not None and m.verification.mode is not m.verify:
            self._loop.interrupt(tracked, "another verification is wanted")
        return view(tracked)

    def _examine(self, m: Migration) -> dict[str, Any]:
        """Who has the target open, and its features."""
        args = {
            "image": to_plain(m.target),
            "fenced": self._acts.blocklist.fenced(),
            "blind": blind(m),
        }
        return self._inquiry.ask("examine", args, self._patience())

    def _guard_abort(self, tracked: Tracked, *, force: bool) -> Optional[TargetFound]:
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
        others = [user for user in self._examine(m)["users"] if user["client"] not in ours]
        with self._answers(m.target.spec):
            found = find_target(self._client, m, situation, users=others)
        guard_abort(m, found, force=force)
        return found


def _resumed(m: Migration) -> Migration:
    asked = m.hold is not None and m.hold.reason is HoldReason.OPERATOR
    return replace(m, paused=False, hold=None if asked else m.hold)
