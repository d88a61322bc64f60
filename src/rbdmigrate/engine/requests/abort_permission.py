"""Whether an abort that a user asks for is allowed: nothing that clients wrote may be lost."""

from __future__ import annotations

from errno import EPERM
from typing import Optional

from ...control.lifecycle.abort_guard import TargetFound, guard_abort
from ...control.lifecycle.situation import Situation
from ...control.lifecycle.warm import source_gone
from ...model.errors import MigrationError
from ...model.states import Method, State
from ..reconcile.abort_guard import GUARDED
from ..records.registry import TrackedMigration
from .target_query import TargetQuery


class AbortPermission:
    """Decides on aborts from what ``target_query`` finds."""

    def __init__(self, *, target_query: TargetQuery) -> None:
        self._target_query = target_query

    def require(self, tracked: TrackedMigration, *, force: bool) -> Optional[TargetFound]:
        """Refuse an abort that would lose what clients did. Raises MigrationError.

        Returns the target that it was decided on; None where no client can use the target.
        """
        m, situation = self._target_query.observed(tracked.migration)
        unanswered = m.state is State.PREPARING and situation is Situation.PREPARED
        if unanswered or situation not in GUARDED or m.method is Method.WARM:
            if situation is Situation.SOURCE_LOST and not force and m.method is Method.WARM:
                raise MigrationError(EPERM, source_gone(m))
            if situation is Situation.SOURCE_LOST and not force:
                raise MigrationError(
                    EPERM,
                    f"The source of {m.target.spec} is gone; add --force to keep what was copied "
                    "of it as an ordinary, incomplete image.",
                )
            return None  # a prepare that has not answered yet: decided on again when it has
        found = self._target_query.found(m, situation)
        guard_abort(m, found, force=force)
        return found
