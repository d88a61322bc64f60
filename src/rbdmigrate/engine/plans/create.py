"""Beginning a migration of a plan: as a command does, but under the id that the plan gave it.

So whoever asks after that id, in the registry or in the history, learns whether it ever began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...checks.facts import Facts
from ...model.layout import LayoutOptions
from ...model.plan import Definition, Item
from ...model.request import MigrationRequest
from ...model.source_spec import SourceSpec, parse_source_spec
from ...model.spec import ImageSpec
from ..records.registry import Registry, TrackedMigration
from ..requests.admission import Admission
from ..requests.errors import TranslatedErrors
from ..requests.lookup import Lookup
from ..requests.preflight import Preflight

ImportRequestMaker = Callable[[SourceSpec, ImageSpec, LayoutOptions], MigrationRequest]


class ItemStarter:
    """Makes the records of a plan's migrations. ``import_request`` makes that of an import."""

    def __init__(
        self,
        *,
        registry: Registry,
        lookup: Lookup,
        admission: Admission,
        preflight: Preflight,
        import_request: ImportRequestMaker,
        translated: Callable[[ImageSpec], TranslatedErrors],
    ) -> None:
        self._registry = registry
        self._lookup = lookup
        self._admission = admission
        self._preflight = preflight
        self._import_request = import_request
        self._translated = translated

    def request(self, item: Item, plan: Definition) -> MigrationRequest:
        """What an item asks for. Raises MigrationError."""
        if not item.source_spec:
            request = MigrationRequest(item.source, item.target, plan.rule.layout)
            return request.by(plan.method_of(item), auto=plan.auto)
        request = self._import_request(
            parse_source_spec(item.source_spec), item.target, plan.rule.layout
        )
        return replace(request.by(plan.method_of(item)), as_raw=item.as_raw)

    def facts(self, item: Item, plan: Definition) -> Facts:
        """What preflight finds about an item. Changes nothing. Raises MigrationError.

        For an item that is not under way yet; :meth:`begin` takes what this returns.
        """
        with self._translated(item.target):
            return self._preflight.gather(self.request(item, plan), order=True, recent=True)

    def begin(self, item: Item, plan: Definition, look: Callable[[], Facts]) -> TrackedMigration:
        """The migration of an item: a new one, or the one there is, whoever began it.

        One that was begun by hand gets the stricter of its own and the plan's policy. ``look``:
        the outcome of :meth:`facts`. Raises MigrationError for every refusal, having changed
        nothing.
        """
        self._lookup.require_read(item.target)
        with self._translated(item.target):
            known = self._registry.get(item.ident)
            if known is not None:
                return known
            request = self.request(item, plan)
            return self._admission.take_on(
                request, plan.policy, ident=item.ident, plan=plan.name, look=look
            )
