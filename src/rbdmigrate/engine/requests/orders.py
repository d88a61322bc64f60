"""Orders: what all requests that change a migration do, and wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from errno import ESTALE
from typing import Any

from ...model.errors import MigrationError
from ...model.migration import HoldReason, Migration, State
from ..records.registry import TrackedMigration
from .components import Parts
from .report import view


class Orders(Parts):
    """Changes a record, has the loop look at it, and waits for the outcome for a while."""

    def _change(self, tracked: TrackedMigration, change: Callable[[Migration], Migration]) -> None:
        with self._answers(tracked.migration.target.spec):
            self._registry.update(tracked, change)
        self._loop.wake(tracked)

    def _await(
        self,
        tracked: TrackedMigration,
        wanted: frozenset[State],
        over: Callable[[Migration], bool] = lambda m: False,
        *,
        retries: bool = False,
    ) -> dict[str, Any]:
        """Wait for the outcome of a short act; raises what made it fail, if that was soon.

        ``over``: what else ends the waiting. ``retries``: a failure that may pass does not end it
        while the next attempt still begins in time.
        """
        patience = self._host.settings().command_wait
        ends = time.time() + patience

        def settled() -> bool:
            m = tracked.migration
            if over(m) or m.state in wanted or m.state is State.FAILED:
                return True
            if m.hold is not None and m.hold.reason is HoldReason.HEALTH:
                return True
            if m.failure is None or m.failure.errno == ESTALE:  # tried again at once
                return False
            return not (retries and _tried_again(m, ends))

        self._registry.wait(settled, patience)
        failure = tracked.migration.failure
        if over(tracked.migration):
            return view(tracked)
        if tracked.migration.state is State.FAILED and failure is not None:
            raise MigrationError(failure.errno, failure.message)
        return view(tracked)


def _tried_again(m: Migration, ends: float) -> bool:
    """Whether an act that failed is being tried again, or will be before ``ends``."""
    if m.step is not None:
        return True
    hold = m.hold
    if hold is None or hold.reason is not HoldReason.RETRY:
        return False
    return hold.until is not None and hold.until <= ends
