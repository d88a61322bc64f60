"""The engine: puts its parts together, starts and stops them, and says what is wrong with them."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from contextlib import AbstractContextManager
from typing import Any, Optional

from ..cluster.client import connect
from ..cluster.observe import ends_of
from ..cluster.osdmap import wait_for_latest_osdmap
from ..cluster.pools import pool_name
from ..cluster.store import Owner, StoreFenced
from ..control.access import Access
from ..control.cutover.guest_pauses import GuestPauses
from ..control.lifecycle.situation import Situation
from ..model.jobs.answers import UsersFound
from ..model.jobs.questions import FindUsers, Question
from ..model.migration import Migration
from ..model.report import iso
from ..model.spec import ImageSpec, parse_image_spec
from .caller import access, on_behalf_of
from .cutover.agents import AgentService
from .cutover.close_watch import CloseWatch
from .cutover.hook_gate import HookGate
from .cutover.hook_service import HookService
from .cutover.inventory import Inventories
from .hooks.definitions import HookRegistry
from .hooks.queue import HookQueue
from .hooks.sender import HookSender
from .host import Host
from .pace.cluster_monitor import ClusterMonitor
from .pace.cutover_holds import CutoverHolds
from .pace.holds import Gates
from .pace.plan_limits import PlanPace
from .pace.throttle import Throttle
from .plans.cancelling import PlanCanceller
from .plans.checks import PlanChecks
from .plans.choosing import ItemChooser
from .plans.create import ItemStarter
from .plans.driver import PlanDriver
from .plans.item_outcomes import ItemOutcomes
from .plans.lookahead import Lookahead
from .plans.service import PlanService
from .plans.wave_runner import WaveRunner
from .reconcile.executor import Executor
from .reconcile.scheduler import Scheduler
from .records.loader import Loader
from .records.meter import Meter
from .records.plan_registry import PlanRegistry
from .records.registry import Registry
from .records.secrets import Secrets
from .requests.abort_permission import AbortPermission
from .requests.admission import Admission
from .requests.errors import TranslatedErrors
from .requests.health import HealthWarnings
from .requests.librbd_query import LibrbdQueries, R
from .requests.listing import Listing
from .requests.lookup import Lookup
from .requests.measures import Measures
from .requests.migrations import Migrations
from .requests.places import Places
from .requests.preflight import Preflight
from .requests.preparation import Preparation
from .requests.record_changes import RecordChanges
from .requests.refresh import Refresh

log = logging.getLogger(__name__)

# A manager's client must not wait forever for a pool that is down: a command would hang with it.
_TIMEOUTS = {"rados_osd_op_timeout": "15", "rados_mon_op_timeout": "15"}
_STOP_TIMEOUT = 15.0
_LOAD_PATIENCE = 5.0  # seconds in which healthy pools are read before commands are answered


class Engine:
    """Carries out migrations and answers for them. One engine runs in the active manager.

    Front ends call ``migrations`` (:class:`.requests.migrations.Migrations`), ``plans``
    (:class:`.plans.service.PlanService`), ``agents`` (:class:`.cutover.agents.AgentService`),
    ``hooks`` (:class:`.cutover.hook_service.HookService`), ``places``
    (:class:`.requests.places.Places`), ``health``
    (:class:`.requests.health.HealthWarnings`) and ``measures``
    (:class:`.requests.measures.Measures`).
    ``ended`` is set when this manager may write no more; ``ended_reason`` says why.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self.ended = threading.Event()
        self.ended_reason = ""
        self._client = connect(host.identity, _TIMEOUTS)
        host.on_client(self._client.get_addrs())
        owner = Owner(host.generation, f"{host.manager}.{secrets.token_hex(4)}")
        self._hooks = HookRegistry(self._client)
        self._hook_queue = HookQueue(self._hooks)
        self._registry = Registry(self._client, owner, host.settings, self._hook_queue)
        self._monitor = ClusterMonitor(host.surroundings, self._registry, host.settings)
        self._loader = Loader(self._client, self._registry, self._fenced)
        self._meter = Meter(
            store=lambda pool_id: self._registry.store(pool_id, ""),
            pools=self._loader.pools,
            complete=self._loader.complete,
        )
        self._registry.count = self._meter.add
        self._registry.audit = host.audit
        self._plan_registry = PlanRegistry(
            self._client, self._registry, self._loader, owner, self._hook_queue
        )
        self._plan_registry.audit = host.audit
        pace = PlanPace(self._plan_registry)
        self._throttle = Throttle(host.settings, self._monitor, pace)
        self._executor = Executor(
            self._client, self._registry, host.manager, host.settings, self._throttle, pace
        )
        self._cutover_holds = CutoverHolds(
            host.settings, lambda: (tracked.migration for tracked in self._registry.all())
        )
        stored_secrets = Secrets(self._client)
        self._queries = LibrbdQueries(host.identity)
        self._scheduler = Scheduler(
            self._client,
            host.identity,
            self._registry,
            self._loader,
            self._executor,
            self._throttle,
            self._monitor,
            stored_secrets,
            pace,
            host.settings,
            self._fenced,
            self._in_use,
            Gates(self._cutover_holds, self._hooks),
        )
        inventories = Inventories()
        self._preflight = Preflight(
            self._client,
            host.identity.name,
            self._registry,
            self._ask,
            self._dead_workers,
            host.settings,
            inventories.names,
        )
        lookup = Lookup(self._client, self._registry, self._loader, self._translated)
        admission = Admission(
            registry=self._registry,
            finder=lookup,
            preflight=self._preflight,
            secrets=stored_secrets,
            hooks=self._hooks,
        )
        pauses = GuestPauses()
        changes = RecordChanges(
            registry=self._registry,
            scheduler=self._scheduler,
            settings=host.settings,
            pauses=pauses,
            translated=self._translated,
        )
        preparation = Preparation(
            client=self._client,
            registry=self._registry,
            scheduler=self._scheduler,
            lookup=lookup,
            admission=admission,
            secrets=stored_secrets,
            changes=changes,
            translated=self._translated,
        )
        refresh = Refresh(self._registry, self._scheduler)
        self.listing = Listing(
            registry=self._registry,
            loader=self._loader,
            refresh=refresh,
            translated=self._translated,
        )
        self.migrations = self._migrations(lookup, refresh, preparation, changes)
        self.places = Places(self._client, self._loader, self._translated)
        starter = ItemStarter(
            self._registry,
            lookup,
            admission,
            self._preflight,
            preparation.import_request,
            self._translated,
        )
        self.plans = self._plan_service(starter)
        self.agents = AgentService(
            client=self._client,
            registry=self._registry,
            scheduler=self._scheduler,
            loader=self._loader,
            settings=host.settings,
            inventories=inventories,
            pauses=pauses,
            holds=self._cutover_holds,
            translated=self._translated,
        )
        gate = self._hook_gate()
        self._hook_sender = self._make_hook_sender(gate)
        self.hooks = HookService(
            hooks=self._hooks,
            queue=self._hook_queue,
            sender=self._hook_sender,
            gate=gate,
            lookup=lookup,
            settings=host.settings,
            translated=self._translated,
        )
        self.health = HealthWarnings(
            client=self._client,
            registry=self._registry,
            hosts=inventories.all,
            settings=host.settings,
        )
        self.measures = Measures(
            registry=self._registry,
            meter=self._meter,
            health=self.health,
            hosts=inventories.all,
            plans=lambda: [str(plan["state"]) for plan in self.plans.list()],
            hooks=lambda: [hook.failing for hook in self.hooks.shown()],
        )
        self._close_watch = CloseWatch(
            registry=self._registry,
            scheduler=self._scheduler,
            ask=self._ask,
            fenced=self._dead_workers,
            inventories=inventories,
            gate=gate,
            on_fenced=self._fenced,
        )

    def _hook_gate(self) -> HookGate:
        return HookGate(
            registry=self._registry,
            scheduler=self._scheduler,
            hooks=self._hooks,
            queue=self._hook_queue,
            holds=self._cutover_holds,
            settings=self._host.settings,
        )

    def _make_hook_sender(self, gate: HookGate) -> HookSender:
        return HookSender(
            queue=self._hook_queue,
            hooks=self._hooks,
            reach=lambda: self._host.settings().hook_reach,
            send=self._host.send,
            on_answer=gate.answered,
            wanted=gate.wanted,
            on_fenced=self._fenced,
        )

    def _migrations(
        self,
        lookup: Lookup,
        refresh: Refresh,
        preparation: Preparation,
        changes: RecordChanges,
    ) -> Migrations:
        permission = AbortPermission(
            client=self._client,
            ask=self._ask,
            fenced=self._dead_workers,
            translated=self._translated,
        )
        return Migrations(
            client=self._client,
            plan_registry=self._plan_registry,
            scheduler=self._scheduler,
            executor=self._executor,
            lookup=lookup,
            refresh=refresh,
            preflight=self._preflight,
            preparation=preparation,
            changes=changes,
            abort_permission=permission,
            hooks=self._hooks,
            holds=self._cutover_holds,
            translated=self._translated,
        )

    def _plan_service(self, starter: ItemStarter) -> PlanService:
        def abort(target: ImageSpec, force: bool) -> None:
            self.migrations.begin_abort(target, force=force)

        plans, registry, scheduler = self._plan_registry, self._registry, self._scheduler
        chooser = ItemChooser(self._client, self._ask, self._host.settings)
        outcomes = ItemOutcomes(plans, registry)
        ahead = Lookahead("begin")
        driver = PlanDriver(
            plans,
            chooser,
            outcomes,
            WaveRunner(plans, registry, starter, scheduler, outcomes, ahead),
            PlanCanceller(plans, registry, scheduler, abort, outcomes),
            ahead,
            self._fenced,
        )
        checks = PlanChecks(self._preflight, starter, chooser.select, self.cluster_rate)
        return PlanService(
            plans,
            driver,
            checks,
            self._host.settings,
            self._translated,
            self.migrations.retry,
            abort,
            self._hooks,
        )

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the records and begin; pools that do not answer are read when they do."""
        self._hooks.load()  # before a record changes, which they may want to be told of
        self._loader.start(_LOAD_PATIENCE)
        self._monitor.start()
        with contextlib.suppress(StoreFenced):  # the scheduler and the plans meet it too
            self._plan_registry.load()  # a paused plan is known before its migrations go on
        self._scheduler.start()
        self.plans.start()
        self._close_watch.start()

    def stop(self) -> bool:
        """Kill the workers, end the threads; False when a thread does not end. State is kept."""
        self.ended.set()
        self.plans.stop()
        self._close_watch.stop()
        self._hook_sender.stop()
        self._queries.stop()
        self._loader.stop()
        self._monitor.stop()
        clean = self._scheduler.stop(_STOP_TIMEOUT)  # the workers first
        for part in (
            self._close_watch,
            self._hook_sender,
            self._queries,
            self.plans,
            self._loader,
            self._monitor,
        ):
            clean &= part.join(_STOP_TIMEOUT)
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
            *self._monitor.troubles(),
            *self.plans.problems(),
            *self._close_watch.problems(),
            *self._hook_sender.problems(),
        ]

    def silent_pools(self) -> list[str]:
        """Pools that do not answer, one sentence each."""
        return [
            f"The pool {name} does not answer; its migrations are not known yet."
            for name in self._loader.unread()
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
        return [*unreadable, *self._registry.doubles(), *plans]

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
            points = self._throttle.trend_of(migration=tracked.migration.id)
        elif plan:
            points = self._throttle.trend_of(plan=self.plans.definition(plan).name)
        else:
            points = self._throttle.trend()
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
        return self._throttle.cluster_rate()

    def conditions(self) -> dict[str, Any]:
        """The health gates that are not open, and the latency guard (None: it is off)."""
        return self._monitor.to_plain()

    def spec(self, text: str, what: str = "target") -> ImageSpec:
        """The image spec of a user's text, with ``rbd_default_pool`` where it names no pool."""
        default = self._client.conf_get("rbd_default_pool") or "rbd"
        return parse_image_spec(text, default, what)

    def pool_name(self, pool_id: int) -> str:
        """The name of the pool with an id. Raises MigrationError(ENOENT) when there is none."""
        with self._translated(ImageSpec("", "", f"pool {pool_id}")):
            wait_for_latest_osdmap(self._client)
            return pool_name(self._client, pool_id)

    # -- what its parts ask of it ------------------------------------------------------------

    def _in_use(self, m: Migration, situation: Situation) -> bool:
        """Whether a client that is not ours has the ends of ``m`` open for writing.

        Of a half-done commit only the source counts: clients use the target meanwhile. The target
        of an import is not opened: librbd would open its source too. Raises MigrationError.
        """
        if m.opens_source:
            return False
        ends = [m.source] if situation is Situation.HALF_COMMITTED else ends_of(self._client, m)
        images = tuple(place for place in ends if place.image_id)
        question = FindUsers(images, self._dead_workers())
        return bool(self._ask(question, UsersFound, 0.0, order=True).addresses)

    def _dead_workers(self) -> tuple[str, ...]:
        """The addresses of workers that are fenced."""
        return self._executor.blocklist.fenced()

    def _ask(self, question: Question, answer: type[R], least: float, *, order: bool) -> R:
        patience = max(10.0, least, self._host.settings().command_wait)
        return self._queries.ask(question, answer, patience, order=order)

    def _translated(self, target: ImageSpec) -> TranslatedErrors:
        return TranslatedErrors(target, self.ended.is_set(), self._fenced)
