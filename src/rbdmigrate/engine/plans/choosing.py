"""Choosing the images of a plan when it starts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from errno import ETIMEDOUT

import rados

from ...cluster.directory import candidates
from ...control.plans.selection import choose
from ...model.errors import MigrationError
from ...model.plan import Candidate, Definition, Item, Selector
from ..records.tracked_plan import TrackedPlan

CHOOSING = 60.0  # seconds for choosing a plan's images; then it is a draft again


class ItemChooser:
    """Chooses the items of plans among the images of the cluster."""

    def __init__(self, client: rados.Rados) -> None:
        self._client = client

    def select(self, definition: Definition) -> list[Item]:
        """The items that a plan would have if it started now. Raises MigrationError.

        After ``CHOOSING`` seconds: ETIMEDOUT, so that no plan holds up the others.
        """
        deadline = time.monotonic() + CHOOSING

        def there(selector: Selector) -> Iterator[Candidate]:
            for image in candidates(self._client, selector):
                if time.monotonic() > deadline:
                    raise _takes_too_long(definition.name)
                yield image

        return choose(definition, there, lambda: secrets.token_hex(6))

    def items_of(self, kept: TrackedPlan) -> list[Item]:
        """The items of a plan that starts.

        A cluster that does not answer is asked again for a while.
        """
        try:
            return self.select(kept.plan.definition)
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
