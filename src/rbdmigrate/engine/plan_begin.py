"""Beginning a migration of a plan: as a command does, but under the id that the plan gave it.

So whoever asks after that id, in the registry or in the history, learns whether it ever began.
"""

from __future__ import annotations

from collections.abc import Callable

from ..checks.facts import Wish
from ..model.layout import LayoutOptions
from ..model.plan import Definition, Item
from ..model.source_spec import SourceSpec, parse_source_spec
from ..model.spec import ImageSpec
from .admission import Admission
from .answers import Answers
from .finder import Finder
from .registry import Registry, Tracked

ImportWish = Callable[[SourceSpec, ImageSpec, LayoutOptions], Wish]


class Beginner:
    """Makes the records of a plan's migrations. ``import_wish`` makes the wish of an import."""

    def __init__(
        self,
        registry: Registry,
        finder: Finder,
        admission: Admission,
        import_wish: ImportWish,
        answers: Callable[[ImageSpec], Answers],
    ) -> None:
        self._registry = registry
        self._finder = finder
        self._admission = admission
        self._import_wish = import_wish
        self._answers = answers

    def wish(self, item: Item, plan: Definition) -> Wish:
        """What an item asks for. Raises MigrationError."""
        if not item.source_spec:
            return Wish(item.source, item.target, plan.rule.layout)
        return self._import_wish(parse_source_spec(item.source_spec), item.target, plan.rule.layout)

    def begin(self, item: Item, plan: Definition) -> Tracked:
        """The migration of an item: a new one, or the one there is, whoever began it.

        One that was begun by hand gets the stricter of its own and the plan's policy. Raises
        MigrationError for every refusal, having changed nothing.
        """
        self._finder.require_read(item.target)
        with self._answers(item.target):
            known = self._registry.get(item.ident)
            if known is not None:
                return known
            wish = self.wish(item, plan)
            return self._admission.take_on(wish, plan.policy, ident=item.ident, plan=plan.name)
