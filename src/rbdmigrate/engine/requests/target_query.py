"""What the target of a migration is like now: who has it open, and whether clients changed it."""

from __future__ import annotations

import time
from collections.abc import Callable

import rados

from ...cluster.observe import observe
from ...control.lifecycle.abort_guard import TargetFound
from ...control.lifecycle.observed import with_observation
from ...control.lifecycle.situation import Situation, diagnose
from ...model.jobs.answers import Examined
from ...model.jobs.questions import Examine
from ...model.migration import Migration
from ...model.spec import ImageSpec
from ...model.watchers import Watcher
from ..reconcile.abort_guard import blind, find_target
from .errors import TranslatedErrors
from .librbd_query import Ask


class TargetQuery:
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

    def observed(self, m: Migration) -> tuple[Migration, Situation]:
        """The record with the names of now, which is not stored, and the situation it is in.

        Raises MigrationError.
        """
        with self._translated(m.target.spec):
            seen = observe(self._client, m)
        situation = diagnose(m, seen)
        return with_observation(m, situation, seen, time.time()), situation

    def found(self, m: Migration, situation: Situation) -> TargetFound:
        """The target of ``m`` as the guards need it. Raises MigrationError."""
        ours = m.intent.actor.clients if m.intent is not None else ()
        others = [user for user in self._users(m) if user.client not in ours]
        with self._translated(m.target.spec):
            return find_target(self._client, m, situation, users=others)

    def _users(self, m: Migration) -> tuple[Watcher, ...]:
        """Who has the target open for writing."""
        question = Examine(m.target, blind(m), self._fenced())
        return self._ask(question, Examined, 0.0, order=True).users
