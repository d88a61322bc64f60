"""Access rights of a request's caller: the whole cluster, or certain pools and namespaces.

Rights are checked for all that a request acts on, not only for the image it names: a migration's
source, its target, and the pools of its data and its journal.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from errno import EACCES
from typing import Optional

from ..model.errors import MigrationError
from ..model.migration import Migration
from ..model.plan import Definition
from ..model.source_spec import parse_source_spec

Covers = Callable[[str, str], bool]
PoolName = Callable[[int], str]
# Not a valid pool or namespace name, so only capabilities for all names cover it.
_ANY = f"any-{secrets.token_hex(16)}"


class Access:
    """What one caller may see and change.

    ``covers(pool, namespace)`` says whether the caller's capabilities cover a place; without it
    they cover everything. The namespace "" is the default one. ``pool_name`` returns the name of a
    pool by its id, for plans with sources that give the id; it raises MigrationError.
    """

    def __init__(
        self, covers: Optional[Covers] = None, pool_name: Optional[PoolName] = None
    ) -> None:
        self._covers = covers
        self._pool_name = pool_name
        self._known: dict[tuple[str, str], bool] = {}

    @property
    def unrestricted(self) -> bool:
        """Whether all pools and namespaces are covered, including those created later."""
        return self.covers(_ANY, _ANY) and self.covers(_ANY, "")

    def covers(self, pool: str, namespace: str) -> bool:
        """Whether a namespace of a pool is covered."""
        if self._covers is None:
            return True
        place = (pool, namespace)
        if place not in self._known:
            self._known[place] = self._covers(pool, namespace)
        return self._known[place]

    def covers_pool(self, pool: str) -> bool:
        """Whether a pool is covered with all its namespaces."""
        return self.covers(pool, "") and self.covers(pool, _ANY)

    def sees(self, m: Migration) -> bool:
        """Whether the migration is covered as a whole."""
        return self._covers is None or all(self.covers(*place) for place in m.places())

    def sees_plan(self, plan: Definition) -> bool:
        """Whether everything that the plan is about is covered."""
        return self._covers is None or all(
            self.covers(*place) for place in plan_places(plan, self._name_of)
        )

    def require(self, pool: str, namespace: str, what: str) -> None:
        """Raise MigrationError(EACCES) unless the place is covered; ``what`` ends the sentence."""
        if not self.covers(pool, namespace):
            place = f"{pool}/{namespace}" if namespace else pool
            raise MigrationError(EACCES, f"Your capabilities do not cover {place}, {what}.")

    def require_migration(self, m: Migration) -> None:
        """Raise MigrationError(EACCES) unless the migration is covered as a whole."""
        for place in sorted(m.places()):
            self.require(*place, f"which is part of the migration to {m.target.spec}")

    def require_plan(self, plan: Definition) -> None:
        """Raise MigrationError(EACCES) unless everything that the plan is about is covered."""
        for place in sorted(plan_places(plan, self._name_of)):
            self.require(*place, f"which the plan {plan.name} is about")

    def _name_of(self, pool_id: int) -> str:
        """The pool's name, or what is no name of a pool if it does not exist or is not known."""
        try:
            return self._pool_name(pool_id) if self._pool_name else _nameless(pool_id)
        except MigrationError:
            return _nameless(pool_id)

    def require_pool(self, pool: str) -> None:
        """Raise MigrationError(EACCES) unless all of the pool is covered."""
        if not self.covers_pool(pool):
            raise MigrationError(
                EACCES,
                f"Your capabilities do not cover the whole pool {pool}, and this is for all of it.",
            )

    def require_unrestricted(self, what: str) -> None:
        """Raise MigrationError(EACCES) unless everything is covered; ``what`` begins a sentence."""
        if not self.unrestricted:
            raise MigrationError(
                EACCES, f"{what} for the whole cluster, and your capabilities cover a part of it."
            )


def _nameless(pool_id: int) -> str:
    return f"(pool {pool_id})"


def plan_places(plan: Definition, pool_name: PoolName) -> frozenset[tuple[str, str]]:
    """Every pool and namespace that a plan reads from or writes to, with sources of imports."""
    found = set(plan.places())
    for listed in plan.images:
        if not listed.source_spec:
            continue
        spec = parse_source_spec(listed.source_spec)
        if spec.format == "native" and not spec.elsewhere:
            pool = spec.pool_name or pool_name(spec.pool_id or 0)
            found.add((pool, spec.pool_namespace or ""))
    return frozenset(found)
