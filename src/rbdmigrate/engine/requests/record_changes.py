"""Changes to records that users ask for, and the wait for their outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from errno import ESTALE

from ...control.cutover.guest_pauses import GuestPauses
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.spec import ImageSpec
from ...model.states import HoldReason, State
from ..reconcile.scheduler import Scheduler
from ..records.registry import Registry, TrackedMigration
from ..settings import Settings
from .errors import TranslatedErrors


class RecordChanges:
    """Changes a record, has the scheduler look at it, and waits for the outcome for a while."""

    def __init__(
        self,
        *,
        registry: Registry,
        scheduler: Scheduler,
        settings: Callable[[], Settings],
        pauses: GuestPauses,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._registry = registry
        self._scheduler = scheduler
        self._settings = settings
        self._pauses = pauses
        self._translated = translated

    def change(
        self,
        tracked: TrackedMigration,
        change: Callable[[Migration], Migration],
        asked: str = "",
    ) -> None:
        """Write what ``change`` makes of the record. Raises MigrationError, and what it raises.

        ``asked``: the request, for the timeline, if anything changes.
        """

        def changed(m: Migration) -> Migration:
            after = change(m)
            return after if after == m or not asked else after.logged(time.time(), asked)

        with self._translated(tracked.migration.target.spec):
            self._registry.update(tracked, changed)
        self._scheduler.wake(tracked)

    def wait_while_busy(self, tracked: TrackedMigration) -> None:
        """Wait until no act is under way, at most the option ``command_wait``."""
        self._registry.wait(lambda: not tracked.busy, self._patience())

    def wait(
        self,
        tracked: TrackedMigration,
        wanted: frozenset[State],
        over: Callable[[Migration], bool] = lambda m: False,
        *,
        retries: bool = False,
    ) -> None:
        """Wait for the outcome of a short act, at most the option ``command_wait``.

        ``over``: what else ends the waiting. ``retries``: a failure that may pass does not end it
        while the next attempt still begins in time. Raises MigrationError with what made it fail.
        """
        patience = self._patience()
        ends = time.time() + patience

        def outcome_known() -> bool:
            m = tracked.migration
            if over(m) or m.state in wanted or m.state is State.FAILED:
                return True
            if m.hold is not None and m.hold.reason is HoldReason.HEALTH:
                return True
            if m.failure is None or m.failure.errno == ESTALE:  # tried again at once
                return False
            return not (retries and _tried_again(m, ends))

        self._registry.wait(outcome_known, patience)
        m = tracked.migration
        if not over(m) and m.state is State.FAILED and m.failure is not None:
            raise MigrationError(m.failure.errno, m.failure.message)

    def _patience(self) -> float:
        """Seconds; none while an agent may ask what its guest is to open."""
        return 0.0 if self._pauses.any_other() else self._settings().command_wait


def _tried_again(m: Migration, ends: float) -> bool:
    """Whether an act that failed is being tried again, or will be before ``ends``."""
    if m.intent is not None:
        return True
    hold = m.hold
    if hold is None or hold.reason is not HoldReason.RETRY:
        return False
    return hold.until is not None and hold.until <= ends
