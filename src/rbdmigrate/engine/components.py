"""The components of an engine, made and connected with each other in one place."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from ..cluster.client import connect
from ..cluster.observe import ends_of
from ..cluster.store import Owner
from ..control.cutover.guest_pauses import GuestPauses
from ..control.lifecycle.situation import Situation
from ..model.jobs.answers import UsersFound
from ..model.jobs.questions import FindUsers, Question
from ..model.migration import Migration
from ..model.spec import ImageSpec
from .cutover.agents import AgentService
from .cutover.close_watch import CloseWatch
from .cutover.hook_gate import HookGate
from .cutover.hook_service import HookService
from .cutover.inventory import Inventories
from .cutover.other_cluster_watch import OtherClusterWatch
from .cutover.way_back import WayBackWatch
from .hooks.definitions import HookRegistry
from .hooks.queue import HookQueue
from .hooks.sender import HookSender
from .host import Host
from .pace.cluster_monitor import ClusterMonitor
from .pace.cutover_holds import CutoverHolds
from .pace.holds import Gates
from .pace.plan_limits import PlanPace
from .pace.throttle import Throttle
from .plan_components import make_plan_service
from .reconcile.executor import Executor
from .reconcile.scheduler import Scheduler
from .records.loader import Loader
from .records.metrics_recorder import MetricsRecorder
from .records.plan_registry import PlanRegistry
from .records.record_index import Condition
from .records.registry import Registry
from .records.secrets import Secrets
from .requests.abort_permission import AbortPermission
from .requests.admission import Admission
from .requests.cutover_permission import CutoverPermission
from .requests.errors import TranslatedErrors
from .requests.fresh_look import FreshLook
from .requests.health import HealthWarnings
from .requests.later_snapshots import LaterSnapshots
from .requests.librbd_query import LibrbdQueries, R
from .requests.listing import Listing
from .requests.lookup import Lookup
from .requests.measures import Measures
from .requests.migrations import Migrations
from .requests.new_migrations import NewMigrations
from .requests.places import Places
from .requests.preflight import Preflight
from .requests.preparation import Preparation
from .requests.record_changes import RecordChanges
from .requests.target_query import TargetQuery

# A manager's client must not wait forever for a pool that is down: a command would hang with it.
_TIMEOUTS = {"rados_osd_op_timeout": "15", "rados_mon_op_timeout": "15"}


class Components:
    """All components of one engine; none of them runs yet.

    ``ended``: set when this manager may write no more; ``on_fenced`` is told why.
    """

    def __init__(
        self, *, host: Host, ended: threading.Event, on_fenced: Callable[[str], None]
    ) -> None:
        self._host = host
        self._ended = ended
        self._on_fenced = on_fenced
        self.client = connect(host.identity, _TIMEOUTS)
        host.on_client(self.client.get_addrs())
        self._make_records()
        self._make_reconcilers()
        self._make_requests()
        self._make_plans()
        self._make_cutovers()
        self._make_reports()

    def _make_records(self) -> None:
        """What keeps the records: of migrations, plans, hooks, secrets and counters."""
        host = self._host
        owner = Owner(host.generation, f"{host.manager}.{secrets.token_hex(4)}")
        self.hook_registry = HookRegistry(self.client)
        self._hook_queue = HookQueue(self.hook_registry)
        self.registry = Registry(
            client=self.client, owner=owner, settings=host.settings, hooks=self._hook_queue
        )
        self.loader = Loader(self.client, self.registry, self._on_fenced)
        self._recorder = MetricsRecorder(
            store=lambda pool_id: self.registry.store(pool_id, ""),
            pools=self.loader.pools,
            complete=self.loader.complete,
        )
        self.registry.count = self._recorder.add
        self.registry.audit = host.audit
        self.plan_registry = PlanRegistry(
            client=self.client,
            registry=self.registry,
            loader=self.loader,
            owner=owner,
            hooks=self._hook_queue,
        )
        self.plan_registry.audit = host.audit
        self._secrets = Secrets(self.client)

    def _make_reconcilers(self) -> None:
        """What looks at migrations, paces them and acts on them."""
        host = self._host
        self.monitor = ClusterMonitor(host.cluster_view, self.registry, host.settings)
        pace = PlanPace(self.plan_registry)
        self.throttle = Throttle(host.settings, self.monitor, pace)
        self._executor = Executor(
            client=self.client,
            registry=self.registry,
            manager=host.manager,
            settings=host.settings,
            throttle=self.throttle,
            plans=pace,
        )
        self._cutover_holds = CutoverHolds(
            host.settings, lambda: self.registry.where(Condition.IN_CUTOVER)
        )
        self.queries = LibrbdQueries(host.identity)
        self.scheduler = Scheduler(
            client=self.client,
            identity=host.identity,
            registry=self.registry,
            loader=self.loader,
            executor=self._executor,
            throttle=self.throttle,
            conditions=self.monitor,
            secrets=self._secrets,
            plans=pace,
            settings=host.settings,
            on_fenced=self._on_fenced,
            in_use=self._in_use,
            gates=Gates(self._cutover_holds, self.hook_registry),
        )

    def _make_requests(self) -> None:
        """What the requests about migrations need, and those."""
        host = self._host
        self._inventories = Inventories()
        self._preflight = Preflight(
            client=self.client,
            manager=host.identity.name,
            registry=self.registry,
            ask=self._ask,
            fenced=self._dead_workers,
            settings=host.settings,
            guests=self._inventories.names,
        )
        self._lookup = Lookup(
            client=self.client,
            registry=self.registry,
            loader=self.loader,
            translated=self.translated,
        )
        self._admission = Admission(
            registry=self.registry,
            lookup=self._lookup,
            preflight=self._preflight,
            secrets=self._secrets,
            hooks=self.hook_registry,
        )
        self._pauses = GuestPauses()
        changes = RecordChanges(
            registry=self.registry,
            scheduler=self.scheduler,
            settings=host.settings,
            pauses=self._pauses,
            translated=self.translated,
        )
        self._preparation = Preparation(
            client=self.client,
            registry=self.registry,
            scheduler=self.scheduler,
            lookup=self._lookup,
            admission=self._admission,
            secrets=self._secrets,
            changes=changes,
            translated=self.translated,
        )
        self._make_migrations(changes)

    def _make_migrations(self, changes: RecordChanges) -> None:
        """The requests themselves."""
        fresh_look = FreshLook(self.registry, self.scheduler)
        self.listing = Listing(
            registry=self.registry,
            loader=self.loader,
            fresh_look=fresh_look,
            translated=self.translated,
        )
        self.new_migrations = NewMigrations(
            preflight=self._preflight,
            preparation=self._preparation,
            translated=self.translated,
        )
        target_query = TargetQuery(
            client=self.client,
            ask=self._ask,
            fenced=self._dead_workers,
            translated=self.translated,
        )
        self.migrations = Migrations(
            client=self.client,
            plan_registry=self.plan_registry,
            scheduler=self.scheduler,
            executor=self._executor,
            lookup=self._lookup,
            fresh_look=fresh_look,
            changes=changes,
            abort_permission=AbortPermission(target_query=target_query),
            later_snapshots=LaterSnapshots(
                ask=self._ask, settings=self._host.settings, target_query=target_query
            ),
            cutover_permission=CutoverPermission(
                hooks=self.hook_registry, holds=self._cutover_holds
            ),
            translated=self.translated,
        )
        self.places = Places(self.client, self.loader, self.translated)

    def _make_plans(self) -> None:
        """What carries out plans."""
        self.plans = make_plan_service(
            client=self.client,
            plan_registry=self.plan_registry,
            registry=self.registry,
            scheduler=self.scheduler,
            migrations=self.migrations,
            lookup=self._lookup,
            admission=self._admission,
            preflight=self._preflight,
            preparation=self._preparation,
            ask=self._ask,
            settings=self._host.settings,
            rate=self.throttle.cluster_rate,
            hooks=self.hook_registry,
            translated=self.translated,
            on_fenced=self._on_fenced,
        )

    def _make_cutovers(self) -> None:
        """What moves clients to their targets: agents, hooks, the watch for closed images."""
        host = self._host
        self.agents = AgentService(
            client=self.client,
            registry=self.registry,
            scheduler=self.scheduler,
            loader=self.loader,
            settings=host.settings,
            inventories=self._inventories,
            pauses=self._pauses,
            holds=self._cutover_holds,
            translated=self.translated,
        )
        gate = HookGate(
            registry=self.registry,
            scheduler=self.scheduler,
            hooks=self.hook_registry,
            queue=self._hook_queue,
            holds=self._cutover_holds,
            settings=host.settings,
        )
        self.hook_sender = HookSender(
            queue=self._hook_queue,
            hooks=self.hook_registry,
            policy=lambda: host.settings().hook_policy,
            send=host.send,
            on_answer=gate.answered,
            wanted=gate.wanted,
            on_fenced=self._on_fenced,
        )
        self.hooks = HookService(
            hooks=self.hook_registry,
            queue=self._hook_queue,
            sender=self.hook_sender,
            gate=gate,
            lookup=self._lookup,
            settings=host.settings,
            translated=self.translated,
        )
        self.close_watch = CloseWatch(
            registry=self.registry,
            scheduler=self.scheduler,
            ask=self._ask,
            fenced=self._dead_workers,
            inventories=self._inventories,
            gate=gate,
            on_fenced=self._on_fenced,
        )
        self.other_cluster_watch = OtherClusterWatch(
            registry=self.registry,
            scheduler=self.scheduler,
            ask=self._ask,
            settings=host.settings,
            on_fenced=self._on_fenced,
        )
        self.way_back = WayBackWatch(registry=self.registry, ask=self._ask)

    def _make_reports(self) -> None:
        """What reports on all of them: health warnings and metrics."""
        self.health = HealthWarnings(
            client=self.client,
            registry=self.registry,
            hosts=self._inventories.all,
            settings=self._host.settings,
        )
        self.measures = Measures(
            registry=self.registry,
            recorder=self._recorder,
            health=self.health,
            hosts=self._inventories.all,
            plans=lambda: [str(plan["state"]) for plan in self.plans.list()],
            hooks=lambda: [hook.failing for hook in self.hooks.shown()],
        )

    def translated(self, target: ImageSpec) -> TranslatedErrors:
        """A context in which only MigrationError gets out, for a request about ``target``."""
        return TranslatedErrors(target, self._ended.is_set(), self._on_fenced)

    def _in_use(self, m: Migration, situation: Situation) -> bool:
        """Whether a client that is not ours has the ends of ``m`` open for writing.

        Of a half-done commit only the source counts: clients use the target meanwhile. The target
        of an import is not opened: librbd would open its source too. Raises MigrationError.
        """
        if m.opens_source:
            return False
        ends = [m.source] if situation is Situation.HALF_COMMITTED else ends_of(self.client, m)
        question = FindUsers(tuple(end for end in ends if end.image_id), self._dead_workers())
        return bool(self._ask(question, UsersFound, 0.0, order=True).addresses)

    def _dead_workers(self) -> tuple[str, ...]:
        """The addresses of workers that are fenced."""
        return self._executor.blocklist.fenced()

    def _ask(self, question: Question, answer: type[R], least: float, *, order: bool) -> R:
        patience = max(10.0, least, self._host.settings().command_wait)
        return self.queries.ask(question, answer, patience, order=order)
