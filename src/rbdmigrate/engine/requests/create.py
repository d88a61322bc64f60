"""Beginning: migrations and imports from what is wished over preflight to prepared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

from ...cluster.observe import observe
from ...cluster.pools import pool_name
from ...control.lifecycle.requests import to_undo_prepare
from ...control.lifecycle.situation import Situation, diagnose
from ...model.errors import MigrationError
from ...model.layout import LayoutOptions
from ...model.migration import Migration, State
from ...model.policy import Policy
from ...model.request import MigrationRequest
from ...model.source_spec import SourceSpec
from ...model.spec import ImageSpec
from ..reconcile import verification as verifying
from ..records.registry import TrackedMigration
from . import preflight
from .orders import Orders
from .report import view

Report = dict[str, Any]

_PREPARED = frozenset(State) - {State.QUEUED, State.PREPARING}


class Beginning(Orders):
    """Requests for a migration that may not be there yet."""

    def check(
        self,
        source: ImageSpec,
        target: Optional[ImageSpec],
        layout: LayoutOptions,
        *,
        force: bool = False,
    ) -> dict[str, Any]:
        """What preflight finds about such a migration; changes nothing (``target`` None: in place).

        ``force``: see :meth:`prepare`. Raises MigrationError when the cluster does not answer.
        """
        return self._check(MigrationRequest(source, target or source, layout, force=force))

    def check_import(
        self,
        spec: SourceSpec,
        target: ImageSpec,
        layout: LayoutOptions,
        *,
        inline: bool = False,
        logged: bool = False,
    ) -> dict[str, Any]:
        """The same for an import; see :meth:`prepare_import`."""
        wish = self._import_request(spec, target, layout)
        return self._check(replace(wish, inline=inline, logged=logged))

    def prepare(
        self,
        source: ImageSpec,
        target: Optional[ImageSpec],
        layout: LayoutOptions,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        *,
        force: bool = False,
    ) -> Report:
        """Begin a migration. The same request twice is one migration.

        ``target`` None: in place. ``force``: also in place without a new layout. Raises
        MigrationError for every refusal, having changed nothing.
        """
        return self._take_on(
            MigrationRequest(source, target or source, layout, force=force), policy
        )

    def prepare_import(
        self,
        spec: SourceSpec,
        target: ImageSpec,
        layout: LayoutOptions,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        *,
        inline: bool = False,
        logged: bool = False,
    ) -> Report:
        """Begin to import a source from outside. The same request twice is one migration.

        ``inline``: librbd keeps the source's secrets in the target's header, where whoever may
        read the image sees them. ``logged``: they came by a way that is written into a log.
        Raises MigrationError for every refusal, having changed nothing.
        """
        with self._answers(target):
            wish = self._import_request(spec, target, layout)
        return self._take_on(replace(wish, inline=inline, logged=logged), policy)

    def _take_on(self, wish: MigrationRequest, policy: Policy) -> Report:
        self._lookup.require_read(wish.target)
        with self._answers(wish.target):
            tracked = self._admission.take_on(wish, policy)
        self._loop.wake(tracked)
        tracked.refuse_double()
        try:
            self._await(tracked, _PREPARED, retries=True)
        except MigrationError:
            self._forget_refused(tracked)
            raise
        with self._answers(tracked.migration.target.spec):
            self._registry.confirm(tracked)
        return view(tracked)

    def _check(self, wish: MigrationRequest) -> dict[str, Any]:
        with self._answers(wish.target):
            return preflight.check(self._preflight, wish)

    def _import_request(
        self, spec: SourceSpec, target: ImageSpec, layout: LayoutOptions
    ) -> MigrationRequest:
        """A native source is called by its place, any other by its label."""
        source = ImageSpec("", "", spec.label())
        if spec.format == "native" and spec.cluster_name is None:
            pool = spec.pool_name or pool_name(self._client, spec.pool_id or 0)
            image = spec.label().rpartition("/")[2]
            source = ImageSpec(pool, spec.pool_namespace or "", image)
        return MigrationRequest(source, target, layout, spec)

    def _forget_refused(self, tracked: TrackedMigration) -> None:
        """A prepare that was refused changed nothing, so nothing is to be remembered of it."""
        m = tracked.migration
        with self._answers(m.target.spec):
            situation = diagnose(m, observe(self._client, m))
            half_made = m.imported is not None and situation is Situation.HALF_PREPARED
            if half_made or self._has_left_point(m, situation):
                self._change(tracked, to_undo_prepare)
            elif situation is Situation.UNTOUCHED and self._registry.claim(tracked, 5.0):
                try:
                    self._drop(tracked)
                finally:
                    self._registry.release(tracked)

    def _has_left_point(self, m: Migration, situation: Situation) -> bool:
        """Whether the comparison snapshot of a prepare that was refused is on the source."""
        if m.imported is not None or not m.point or situation is not Situation.UNTOUCHED:
            return False
        return verifying.has_point(self._client, m)

    def _drop(self, tracked: TrackedMigration) -> None:
        """Forget a migration that failed, unless somebody asked for it again meanwhile."""

        def unwanted(m: Migration) -> bool:
            if m.state is not State.FAILED or m.prepared_at is not None:
                return False
            self._secrets.forget(m)
            return True

        with self._lookup.admission:
            self._registry.drop(tracked, unwanted)
