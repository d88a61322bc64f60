"""What became of the disks of a paused guest, as its agent hears it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from errno import EAGAIN, ENOENT
from typing import Optional

import rados

from ...cluster import headers
from ...cluster.lock_out import locked_out
from ...cluster.pools import open_by_id
from ...control.cutover.guest_pauses import GuestPauses
from ...control.lifecycle.cutover import changed_over, goes_back, undecided
from ...model import agent_messages as messages
from ...model.errors import MigrationError
from ...model.migration import Migration
from ...model.states import State
from ..records.loader import Loader
from ..records.registry import Registry, TrackedMigration

LOOK = 0.05  # seconds between two looks whether the source has its name again
ALONE = 1.0  # seconds in which an agent is answered while no other guest is paused


class GuestOutcomes:
    """What each disk may open.

    The records say it. Before they do, the worker says that the target has its name; on a way back
    the source's name says it.
    """

    def __init__(
        self,
        *,
        client: rados.Rados,
        registry: Registry,
        loader: Loader,
        pauses: GuestPauses,
    ) -> None:
        self._client = client
        self._registry = registry
        self._loader = loader
        self._pauses = pauses

    def wait(self, token: str, idents: Iterable[str]) -> messages.Outcomes:
        """Wait for a moment, since it may be decided soon; otherwise the agent asks again.

        A way back is over for clients before its act is: the source's name shows it.
        """
        waiting = self._registry.under_way(idents)
        until = time.monotonic() + (LOOK if self._pauses.any_other(token) else ALONE)
        while any(self._undecided(one) for one in waiting):
            left = until - time.monotonic()
            if left <= 0:
                break
            self._registry.wait(lambda: not any(map(_undecided, waiting)), min(left, LOOK))
        return self.now(idents)

    def _undecided(self, tracked: TrackedMigration) -> bool:
        m = tracked.migration
        return _undecided(tracked) and not (goes_back(m) and self._is_back(m))

    def _is_back(self, m: Migration) -> bool:
        """Whether the source has its name, and clients may open it."""
        place = m.source
        with open_by_id(self._client, place.pool_id, place.namespace) as ioctx:
            named = headers.image_id(ioctx, place.image) == place.image_id
            return named and not locked_out(ioctx, place.image_id)

    def now(self, idents: Iterable[str]) -> messages.Outcomes:
        """What became of each; those that have ended are in the history."""
        under_way = {one.migration.id: one for one in self._registry.under_way(idents)}
        missing = [ident for ident in idents if ident not in under_way]
        ended: dict[str, Migration] = {}
        if missing:
            history = self._registry.history(self._loader.pools()).migrations
            ended = {m.id: m for m in history if m.id in missing}
        if len(ended) < len(missing) and not self._loader.complete():
            raise MigrationError(EAGAIN, "Not all records are read yet; ask again.")
        disks = tuple(
            self._outcome(ident, under_way.get(ident), ended.get(ident)) for ident in idents
        )
        found = [*ended.values(), *(one.migration for one in under_way.values())]
        stayed = [m.hold.message for m in found if not undecided(m) and m.hold is not None]
        return messages.Outcomes(disks, " ".join(stayed))

    def _outcome(
        self, ident: str, tracked: Optional[TrackedMigration], ended: Optional[Migration]
    ) -> messages.DiskOutcome:
        if tracked is not None and self._undecided(tracked):
            return messages.DiskOutcome(ident, None)
        m = tracked.migration if tracked is not None else ended
        if m is None:
            raise MigrationError(ENOENT, f"There is no record of the migration {ident}.")
        moved = changed_over(m) and m.state is not State.ABORTED
        moved = moved and not (undecided(m) and goes_back(m))
        moved = moved or (tracked is not None and is_published(tracked))
        return messages.DiskOutcome(ident, (m.target if moved else m.source).spec, moved)


def _undecided(tracked: TrackedMigration) -> bool:
    return undecided(tracked.migration) and not is_published(tracked)


def is_published(tracked: TrackedMigration) -> bool:
    """Whether clients may use the target, although the record does not say so yet."""
    return tracked.published and tracked.migration.cut_over_at is None
