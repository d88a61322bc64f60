"""Beginning a migration of a plan: as a command does, but under the id that the plan gave it.

So whoever asks after that id, in the registry or in the history, learns whether it ever began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from errno import EEXIST
from typing import Optional

from ..checks.facts import Wish
from ..faults import fault_point
from ..model.errors import MigrationError
from ..model.layout import LayoutOptions
from ..model.migration import Migration
from ..model.plan import Definition, Item
from ..model.source_spec import SourceSpec, parse_source_spec
from ..model.spec import ImageSpec
from .admission import admit
from .answers import Answers
from .finder import Finder
from .preflight import Preflight
from .registry import Registry, Tracked
from .secrets import Secrets

ImportWish = Callable[[SourceSpec, ImageSpec, LayoutOptions], Wish]


class Beginner:
    """Makes the records of a plan's migrations. ``import_wish`` makes the wish of an import."""

    def __init__(
        self,
        registry: Registry,
        finder: Finder,
        preflight: Preflight,
        secrets: Secrets,
        import_wish: ImportWish,
        answers: Callable[[ImageSpec], Answers],
    ) -> None:
        self._registry = registry
        self._finder = finder
        self._preflight = preflight
        self._secrets = secrets
        self._import_wish = import_wish
        self._answers = answers

    def wish(self, item: Item, plan: Definition) -> Wish:
        """What an item asks for. Raises MigrationError."""
        if not item.source_spec:
            return Wish(item.source, item.target, plan.rule.layout)
        return self._import_wish(parse_source_spec(item.source_spec), item.target, plan.rule.layout)

    def begin(self, item: Item, plan: Definition) -> Tracked:
        """The migration of an item: the one there is, whoever began it, or a new one.

        Raises MigrationError for every refusal, having changed nothing.
        """
        self._finder.require_read(item.target)
        with self._answers(item.target):
            known = self._registry.get(item.ident)
            if known is not None:
                return known
            # The look at the source may take long, and commands wait for the lock.
            wish = self.wish(item, plan)
            there = self._registry.find(item.target)
            facts = None if there is not None else self._preflight.gather(wish, order=True)
            with self._finder.admission:
                tracked = self._there(wish, plan)
                if tracked is not None:
                    return self._join(tracked, plan)
                facts = facts or self._preflight.gather(wish, order=True)
                m = admit(facts, plan.policy, item.ident, plan.name)
                fault_point("plans.begin", plan.name)
                return self._create(m, wish)

    def _there(self, wish: Wish, plan: Definition) -> Optional[Tracked]:
        goal = plan.policy.goal
        if wish.spec is not None:
            return self._finder.imported(wish, goal)
        return self._finder.repeated(wish.source, wish.target, wish.layout, goal)

    def _create(self, m: Migration, wish: Wish) -> Tracked:
        if wish.spec is None:
            return self._registry.create(m)
        with self._secrets.stored(m, wish.spec):
            return self._registry.create(m)

    def _join(self, tracked: Tracked, plan: Definition) -> Tracked:
        """A migration that somebody began by hand becomes one of the plan."""
        m = tracked.migration
        if m.plan and m.plan != plan.name:
            raise MigrationError(
                EEXIST, f"The migration to {m.target.spec} belongs to the plan {m.plan} already."
            )
        self._registry.update(tracked, lambda m: replace(m, plan=plan.name))
        return tracked
