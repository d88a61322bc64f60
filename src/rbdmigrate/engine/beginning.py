"""Beginning: migrations and imports from what is wished over preflight to prepared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Optional

from ..checks.facts import Facts, Wish
from ..cluster.observe import observe
from ..cluster.pools import pool_name
from ..control.situation import Situation, diagnose
from ..model.errors import MigrationError
from ..model.layout import LayoutOptions
from ..model.migration import Goal, State
from ..model.policy import Policy
from ..model.source_spec import SourceSpec
from ..model.spec import ImageSpec
from . import preflight, verifying
from .admission import admit
from .finder import awake
from .orders import Orders
from .registry import Tracked
from .view import view

Report = dict[str, Any]

_PREPARED = frozenset(State) - {State.QUEUED, State.PREPARING}


class Beginning(Orders):
    """Requests for a migration that may not be there yet."""

    def check(
        self, source: ImageSpec, target: Optional[ImageSpec], layout: LayoutOptions
    ) -> dict[str, Any]:
        """What preflight finds about such a migration; changes nothing (``target`` None: in place).

        Raises MigrationError when the cluster does not answer.
        """
        return self._check(Wish(source, target or source, layout))

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
        wish = self._import_wish(spec, target, layout)
        return self._check(replace(wish, inline=inline, logged=logged))

    def prepare(
        self,
        source: ImageSpec,
        target: Optional[ImageSpec],
        layout: LayoutOptions,
        policy: Policy = Policy(),  # noqa: B008 - frozen
    ) -> Report:
        """Begin a migration. The same request twice is one migration.

        ``target`` None: in place. Raises MigrationError for every refusal, having changed nothing.
        """
        goal_spec = target or source
        wish = Wish(source, goal_spec, layout)
        self._finder.require_read(goal_spec)
        with self._answers(goal_spec), self._admitting(wish) as gathered:
            tracked = self._finder.repeated(source, goal_spec, layout, policy.goal)
            if tracked is None:
                facts = gathered or self._preflight.gather(wish, order=True)
                tracked = self._registry.create(admit(facts, policy))
            else:
                self._registry.update(tracked, lambda m: verifying.stricter(m, policy.verify))
        self._loop.wake(tracked)
        return self._prepared(tracked)

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
        self._finder.require_read(target)
        with self._answers(target):
            wish = self._import_wish(spec, target, layout)
            wish = replace(wish, inline=inline, logged=logged)
        with self._answers(target), self._admitting(wish) as gathered:
            tracked = self._finder.imported(wish, policy.goal)
            if tracked is None:
                facts = gathered or self._preflight.gather(wish, order=True)
                m = admit(facts, policy)
                with self._secrets.stored(m, spec):
                    tracked = self._registry.create(m)
            else:
                self._secrets.renew(tracked.migration, spec)
                self._registry.update(tracked, lambda m: verifying.stricter(m, policy.verify))
        self._loop.wake(tracked)
        return self._prepared(tracked)

    @contextmanager
    def _admitting(self, wish: Wish) -> Iterator[Optional[Facts]]:
        """Let one new record be made at a time.

        Gives the facts about ``wish``; None when its target is migrating already. They are gathered
        before the lock is taken, because that may take long and others wait for the lock.
        """
        there = self._registry.find(wish.target) is not None
        facts = None if there else self._preflight.gather(wish, order=True)
        with self._finder.admission:
            yield facts

    def _prepared(self, tracked: Tracked) -> Report:
        tracked.refuse_double()
        try:
            self._await(tracked, _PREPARED)
        except MigrationError:
            self._forget_refused(tracked)
            raise
        with self._answers(tracked.migration.target.spec):
            self._registry.confirm(tracked)
        return view(tracked)

    def _check(self, wish: Wish) -> dict[str, Any]:
        with self._answers(wish.target):
            return preflight.check(self._preflight, wish)

    def _import_wish(self, spec: SourceSpec, target: ImageSpec, layout: LayoutOptions) -> Wish:
        """A native source is called by its place, any other by its label."""
        source = ImageSpec("", "", spec.label())
        if spec.format == "native" and spec.cluster_name is None:
            pool = spec.pool_name or pool_name(self._client, spec.pool_id or 0)
            image = spec.label().rpartition("/")[2]
            source = ImageSpec(pool, spec.pool_namespace or "", image)
        return Wish(source, target, layout, spec)

    def _forget_refused(self, tracked: Tracked) -> None:
        """A prepare that was refused changed nothing, so nothing is to be remembered of it."""
        m = tracked.migration
        with self._answers(m.target.spec):
            situation = diagnose(m, observe(self._client, m))
            if m.imported is not None and situation is Situation.HALF_PREPARED:
                self._change(tracked, lambda m: replace(awake(m), goal=Goal.ABORTED))
            if situation is not Situation.UNTOUCHED or m.prepared_at is not None:
                return
            if m.imported is None and m.point and verifying.has_point(self._client, m):
                self._change(tracked, lambda m: replace(awake(m), goal=Goal.ABORTED))
            elif self._registry.claim(tracked, 5.0):
                try:
                    self._drop(tracked)
                finally:
                    self._registry.release(tracked)

    def _drop(self, tracked: Tracked) -> None:
        """Forget a migration that failed, unless somebody asked for it once more meanwhile."""
        with self._finder.admission:
            if tracked.migration.state is State.FAILED:
                self._secrets.forget(tracked.migration)
                self._registry.drop(tracked)
