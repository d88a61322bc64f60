"""Choosing the images of a plan when it starts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from errno import ETIMEDOUT

import rados

from ...cluster.directory import candidates
from ...control.plans.selection import choose
from ...model.errors import MigrationError
from ...model.jobs.questions import ReadList
from ...model.plan import Candidate, Definition, Item, Selector
from ...model.source_list import ListRead, SourceList
from ..records.tracked_plan import TrackedPlan
from ..requests.librbd_query import Ask
from ..requests.preflight import INSPECTION_TIME
from ..settings import Settings

_MORE = 5.0  # seconds for a worker to begin and to answer
CHOOSING = 60.0  # seconds for choosing a plan's images; then it is a draft again


class ItemChooser:
    """Chooses the items of plans among the images of the cluster, and on lists of disks.

    ``ask`` puts questions to workers.
    """

    def __init__(self, client: rados.Rados, ask: Ask, settings: Callable[[], Settings]) -> None:
        self._client = client
        self._ask = ask
        self._settings = settings

    def select(self, definition: Definition, *, order: bool = False) -> list[Item]:
        """The items that a plan would have if it started now. Raises MigrationError.

        After ``CHOOSING`` seconds: ETIMEDOUT, so that no plan holds up the others. ``order``: it
        is to start, as opposed to a mere check.
        """
        deadline = time.monotonic() + CHOOSING

        def there(selector: Selector) -> Iterator[Candidate]:
            for image in candidates(self._client, selector):
                if time.monotonic() > deadline:
                    raise _takes_too_long(definition.name)
                yield image

        def read(given: SourceList) -> ListRead:
            if given.stream is None:
                return ListRead("", rows=given.rows)
            left = deadline - time.monotonic()
            if left <= 0:
                raise _takes_too_long(definition.name)
            seconds = min(INSPECTION_TIME, left)
            question = ReadList(given, self._settings().import_policy, seconds)
            return self._ask(question, ListRead, seconds + _MORE, order=order)

        return choose(definition, there, lambda: secrets.token_hex(6), read)

    def items_of(self, kept: TrackedPlan) -> list[Item]:
        """The items of a plan that starts.

        A cluster that does not answer is asked again for a while.
        """
        try:
            return self.select(kept.plan.definition, order=True)
        except rados.ConnectionShutdown:
            raise
        except rados.Error as error:
            if time.monotonic() - (kept.choosing_since or 0.0) < CHOOSING:
                raise
            raise _takes_too_long(kept.plan.name) from error


def _takes_too_long(plan: str) -> MigrationError:
    return MigrationError(
        ETIMEDOUT,
        f"The images of the plan {plan!r} could not be chosen within {CHOOSING:g} s; look at "
        "`ceph health`, then try again.",
    )
