"""The engine: starts and stops its components, and says what is wrong with them."""

from __future__ import annotations

import contextlib
import logging
import threading
from contextlib import AbstractContextManager
from typing import Any, Optional

from ..cluster.osdmap import wait_for_latest_osdmap
from ..cluster.pools import pool_name
from ..cluster.store import StoreFenced
from ..control.access import Access
from ..model.report import iso
from ..model.spec import ImageSpec, parse_image_spec
from .caller import access, on_behalf_of
from .components import Components
from .host import Host

log = logging.getLogger(__name__)

_STOP_TIMEOUT = 15.0
_LOAD_PATIENCE = 5.0  # seconds in which healthy pools are read before commands are answered


class Engine:
    """Carries out migrations and answers for them. One engine runs in the active manager.

    Front ends call ``new_migrations`` (:class:`.requests.new_migrations.NewMigrations`),
    ``migrations`` (:class:`.requests.migrations.Migrations`), ``plans``
    (:class:`.plans.service.PlanService`), ``agents`` (:class:`.cutover.agents.AgentService`),
    ``hooks`` (:class:`.cutover.hook_service.HookService`), ``places``
    (:class:`.requests.places.Places`), ``listing`` (:class:`.requests.listing.Listing`), ``health``
    (:class:`.requests.health.HealthWarnings`) and ``measures``
    (:class:`.requests.measures.Measures`).
    ``ended`` is set when this manager may write no more; ``ended_reason`` says why.
    """

    def __init__(self, host: Host) -> None:
        self.ended = threading.Event()
        self.ended_reason = ""
        self._components = made = Components(host=host, ended=self.ended, on_fenced=self._fenced)
        self._client = made.client
        self._registry = made.registry
        self._scheduler = made.scheduler
        self.migrations = made.migrations
        self.new_migrations = made.new_migrations
        self.listing = made.listing
        self.plans = made.plans
        self.agents = made.agents
        self.hooks = made.hooks
        self.places = made.places
        self.health = made.health
        self.measures = made.measures

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the records and begin; pools that do not answer are read when they do."""
        made = self._components
        made.hook_registry.load()  # before a record changes, which they may want to be told of
        made.loader.start(_LOAD_PATIENCE)
        made.monitor.start()
        with contextlib.suppress(StoreFenced):  # the scheduler and the plans meet it too
            made.plan_registry.load()  # a paused plan is known before its migrations go on
        self._scheduler.start()
        self.plans.start()
        made.close_watch.thread.start()
        made.other_cluster_watch.thread.start()
        made.way_back.thread.start()

    def stop(self) -> bool:
        """Kill the workers, end the threads; False when a thread does not end. State is kept."""
        made = self._components
        self.ended.set()
        self.plans.stop()
        made.close_watch.thread.stop()
        made.other_cluster_watch.thread.stop()
        made.way_back.thread.stop()
        made.hook_sender.stop()
        made.queries.stop()
        made.loader.stop()
        made.monitor.thread.stop()
        clean = self._scheduler.stop(_STOP_TIMEOUT)  # the workers first
        for component in (
            made.close_watch.thread,
            made.other_cluster_watch.thread,
            made.way_back.thread,
            made.hook_sender,
            made.queries,
            self.plans,
            made.loader,
            made.monitor.thread,
        ):
            clean &= component.join(_STOP_TIMEOUT)
        if clean:
            self._client.shutdown()
        return clean

    def _fenced(self, reason: str) -> None:
        """This manager may write no more: whoever runs the engine stops it."""
        if not self.ended.is_set():
            log.error("the engine stops: %s", reason)
            self.ended_reason = reason
            self.ended.set()

    # -- what front ends show ----------------------------------------------------------------

    @staticmethod
    def on_behalf_of(caller: Access, name: str = "") -> AbstractContextManager[None]:
        """A context in which this thread asks for somebody who may touch as much as ``caller``.

        ``name`` is for the timeline.
        Requests then find and show what the caller may see, and refuse with EACCES to act on
        anything else. Outside of it a thread may touch everything.
        """
        return on_behalf_of(caller, name)

    def problems(self) -> list[str]:
        """What is wrong with the engine itself, one sentence each; empty when all is well."""
        return [
            *self._scheduler.problems(),
            *self._components.monitor.troubles(),
            *self.plans.problems(),
            *self._components.close_watch.problems(),
            *self._components.other_cluster_watch.problems(),
            *self._components.way_back.problems(),
            *self._components.hook_sender.problems(),
        ]

    def silent_pools(self) -> list[str]:
        """Pools that do not answer, one sentence each."""
        return [
            f"The pool {name} does not answer; its migrations are not known yet."
            for name in self._components.loader.unread()
        ]

    def garbage(self) -> list[str]:
        """Records that cannot be read or acted on, one sentence each."""
        unreadable = [
            f"{g.store}: key {g.key} of the object {g.object}: {g.reason}"
            for g in self._registry.garbage
        ]
        plans = [
            f"{g.store}: key {g.key} of the object rbd_migration_plans: {g.reason}"
            for g in self.plans.garbage
        ]
        return [*unreadable, *self._registry.conflicts(), *plans]

    def throughput(
        self, target: Optional[ImageSpec] = None, plan: str = ""
    ) -> list[dict[str, Any]]:
        """Bytes per second of copies over the last hour, and the throttle, the oldest first.

        Of the migration under way to ``target``, or of a plan, or of all together. Empty for a
        migration that there is not. MigrationError(ENOENT, EACCES) for such a plan.
        """
        if target is not None:
            tracked = self._registry.find(target)
            if tracked is None or not access().sees(tracked.migration):
                return []
            points = self._components.throttle.trend_of(migration=tracked.migration.id)
        elif plan:
            points = self._components.throttle.trend_of(plan=self.plans.definition(plan).name)
        else:
            points = self._components.throttle.trend()
        return [
            {
                "at": iso(point.at),
                "rate": int(point.rate),
                "limit": point.limit,
                "latency_ms": None if point.latency is None else round(point.latency * 1000, 3),
            }
            for point in points
        ]

    def cluster_rate(self) -> Optional[int]:
        """The cluster's throttle in force now, in bytes per second; None is no limit."""
        return self._components.throttle.cluster_rate()

    def conditions(self) -> dict[str, Any]:
        """The health gates that are not open, and the latency guard (None: it is off)."""
        return self._components.monitor.to_plain()

    def spec(self, text: str, what: str = "target") -> ImageSpec:
        """The image spec of a user's text, with ``rbd_default_pool`` where it names no pool."""
        default = self._client.conf_get("rbd_default_pool") or "rbd"
        return parse_image_spec(text, default, what)

    def pool_name(self, pool_id: int) -> str:
        """The name of the pool with an id. Raises MigrationError(ENOENT) when there is none."""
        with self._components.translated(ImageSpec("", "", f"pool {pool_id}")):
            wait_for_latest_osdmap(self._client)
            return pool_name(self._client, pool_id)
