"""Whether an abort that a user asks for is allowed: nothing that clients wrote may be lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from errno import EPERM
from typing import Optional

import rados

from ...cluster.observe import observe
from ...control.lifecycle.abort_guard import TargetFound, guard_abort
from ...control.lifecycle.observed import with_observation
from ...control.lifecycle.situation import Situation, diagnose
from ...control.lifecycle.warm import source_gone
from ...model.errors import MigrationError
from ...model.jobs.answers import Examined
from ...model.jobs.questions import Examine
from ...model.migration import Migration
from ...model.spec import ImageSpec
from ...model.states import Method, State
from ...model.watchers import Watcher
from ..reconcile.abort_guard import GUARDED, blind, find_target
from ..records.registry import TrackedMigration
from .errors import TranslatedErrors
from .librbd_query import Ask


class AbortPermission:
    """``fenced``: the addresses of our dead workers, which do not count as clients."""

    def __init__(
        self,
        *,
        client: rados.Rados,
        ask: Ask,
        fenced: Callable[[], tuple[str, ...]],
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._client = client
        self._ask = ask
        self._fenced = fenced
        self._translated = translated

    def require(self, tracked: TrackedMigration, *, force: bool) -> Optional[TargetFound]:
        """Refuse an abort that would lose what clients did. Raises MigrationError.

        Returns the target that it was decided on; None where no client can use the target.
        """
        m = tracked.migration
        with self._translated(m.target.spec):
            seen = observe(self._client, m)
        situation = diagnose(m, seen)
        m = with_observation(m, situation, seen, time.time())  # the names of now; nothing is stored
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
        ours = m.intent.actor.clients if m.intent is not None else ()
        others = [user for user in self._users(m) if user.client not in ours]
        with self._translated(m.target.spec):
            found = find_target(self._client, m, situation, users=others)
        guard_abort(m, found, force=force)
        return found

    def _users(self, m: Migration) -> tuple[Watcher, ...]:
        """Who has the target open for writing."""
        question = Examine(m.target, blind(m), self._fenced())
        return self._ask(question, Examined, 0.0, order=True).users
