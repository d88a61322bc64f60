"""Steering: what can be asked of a migration under way."""

from __future__ import annotations

from dataclasses import replace
from errno import EAGAIN, EINVAL, EPERM
from typing import Any, Optional

from ..cluster.observe import observe
from ..control.guard import guard_abort
from ..control.situation import Situation, diagnose
from ..control.verification import at_least
from ..model.codec import to_plain
from ..model.errors import MigrationError
from ..model.migration import Goal, Migration, Op, State
from ..model.spec import ImageSpec
from ..model.verification import Verify
from . import clones, verifying
from .acts import target_version
from .finder import awake, refuse_aborting
from .orders import Orders
from .registry import Tracked
from .view import view

Report = dict[str, Any]

_ABORTABLE = (Situation.PREPARED, Situation.EXECUTING, Situation.EXECUTED)
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
        if tracked.migration.state is State.COMMITTING:
            raise MigrationError(
                EINVAL, f"{target} is being committed; there is no way back any more."
            )
        self._guard_abort(tracked, force=force)
        self._change(tracked, lambda m: replace(awake(m), goal=Goal.ABORTED))
        self._loop.interrupt(tracked, "aborted")
        return self._await(tracked, frozenset({State.ABORTED}))

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
        self._change(tracked, lambda m: replace(m, paused=False))
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
        """Who has the target open, and its features.

        An import that is not executed is not opened: librbd would open its source too, which may
        be gone, or worse.
        """
        blind = m.imported is not None and not m.imported.native and m.executed_at is None
        args = {
            "image": to_plain(m.target),
            "fenced": self._acts.blocklist.fenced(),
            "blind": blind,
        }
        return self._inquiry.ask("examine", args, self._patience())

    def _guard_abort(self, tracked: Tracked, *, force: bool) -> None:
        m = tracked.migration
        if m.prepared_at is None or not m.target.image_id:
            return
        with self._answers(m.target.spec):
            situation = diagnose(m, observe(self._client, m))
        if situation not in _ABORTABLE:
            if situation is Situation.SOURCE_LOST and not force:
                raise MigrationError(
                    EPERM,
                    f"The source of {m.target.spec} is gone; add --force to keep what was copied "
                    "of it as an ordinary, incomplete image.",
                )
            return
        found = self._examine(m)
        ours = m.step.actor.clients if m.step is not None else ()
        others = [user for user in found["users"] if user["client"] not in ours]
        if m.step is not None and m.step.op is Op.EXECUTE:
            version = m.target_version  # our own copy writes the header all the time
        else:
            version = target_version(self._client, m)
        guard_abort(m, others, version, locks=found["locks"], force=force)
