"""The parts of an engine, put together: each gets those that it needs. They begin and end here."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from typing import Protocol

from ...cluster.client import connect
from ...cluster.observe import ends_of
from ...cluster.osdmap import wait_for_latest_osdmap
from ...cluster.pools import pool_name
from ...cluster.store import Owner, StoreFenced
from ...control.lifecycle.situation import Situation
from ...model.jobs.answers import UsersFound
from ...model.jobs.questions import FindUsers, Question
from ...model.migration import Migration
from ...model.spec import ImageSpec, parse_image_spec
from ..host import Host
from ..pace.cluster_monitor import ClusterMonitor
from ..pace.plan_limits import PlanPace
from ..pace.throttle import Throttle
from ..reconcile.executor import Executor
from ..reconcile.scheduler import Scheduler
from ..records.loader import Loader
from ..records.plan_registry import PlanRegistry
from ..records.registry import Registry
from ..records.secrets import Secrets
from .admission import Admission
from .errors import TranslatedErrors
from .librbd_query import LibrbdQueries, R
from .lookup import Lookup
from .preflight import Preflight

log = logging.getLogger(__name__)

# A manager's client must not wait for ever for a pool that is down: a command would hang with it.
_TIMEOUTS = {"rados_osd_op_timeout": "15", "rados_mon_op_timeout": "15"}
_STOP_TIMEOUT = 15.0
_LOAD_PATIENCE = 5.0  # seconds in which healthy pools are read before commands are answered


class Follower(Protocol):
    """What has threads of its own that use the parts."""

    def stop(self) -> None:
        """Have the threads end."""

    def join(self, timeout: float) -> bool:
        """Wait for their end; False when one is still there."""


class Parts:
    """What every request to the engine draws on: the registry, the loop and what they need.

    ``ended`` is set when this manager may write no more; ``ended_reason`` says why.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._client = connect(host.identity, _TIMEOUTS)
        host.on_client(self._client.get_addrs())
        instance = f"{host.manager}.{secrets.token_hex(4)}"
        owner = Owner(host.generation, instance)
        self._registry = Registry(self._client, owner, host.settings)
        self._monitor = ClusterMonitor(host.surroundings, self._registry, host.settings)
        self._loader = Loader(self._client, self._registry, self._fenced)
        self._plan_registry = PlanRegistry(self._client, self._registry, self._loader, owner)
        pace = PlanPace(self._plan_registry)
        self._throttle = Throttle(host.settings, self._monitor, pace)
        self._executor = Executor(
            self._client, self._registry, host.manager, host.settings, self._throttle, pace
        )
        self._secrets = Secrets(self._client)
        self._queries = LibrbdQueries(host.identity)
        self._loop = Scheduler(
            self._client,
            host.identity,
            self._registry,
            self._loader,
            self._executor,
            self._throttle,
            self._monitor,
            self._secrets,
            pace,
            host.settings,
            self._fenced,
            self._in_use,
        )
        self._preflight = Preflight(
            self._client,
            host.identity.name,
            self._ask,
            self._executor.blocklist.fenced,
            host.settings,
        )
        self._lookup = Lookup(self._client, self._registry, self._loader, self._answers)
        self._admission = Admission(
            registry=self._registry,
            finder=self._lookup,
            preflight=self._preflight,
            secrets=self._secrets,
        )
        self.ended = threading.Event()
        self.ended_reason = ""

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the records and begin; pools that do not answer are read when they do."""
        self._loader.start(_LOAD_PATIENCE)
        self._monitor.start()
        with contextlib.suppress(StoreFenced):  # the loop and the plans meet it too
            self._plan_registry.load()  # a paused plan is known before its migrations go on
        self._loop.start()

    def stop(self, *more: Follower) -> bool:
        """Kill the workers, end the threads; False when a thread does not end. State is kept.

        ``more`` is what ends with them.
        """
        self.ended.set()
        for follower in more:
            follower.stop()
        self._queries.stop()
        self._loader.stop()
        self._monitor.stop()
        clean = self._loop.stop(_STOP_TIMEOUT)  # the workers first
        clean &= self._queries.join(_STOP_TIMEOUT)
        for follower in more:
            clean &= follower.join(_STOP_TIMEOUT)
        clean &= self._loader.join(_STOP_TIMEOUT)
        clean &= self._monitor.join(_STOP_TIMEOUT)
        if clean:
            self._client.shutdown()
        return clean

    def _fenced(self, reason: str) -> None:
        """This manager may write no more: whoever runs the engine stops it."""
        if not self.ended.is_set():
            log.error("the engine stops: %s", reason)
            self.ended_reason = reason
            self.ended.set()

    def problems(self) -> list[str]:
        """What is wrong with the engine itself, one sentence each; empty when all is well."""
        return [*self._loop.problems(), *self._monitor.troubles()]

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
        return [*unreadable, *self._registry.doubles()]

    def spec(self, text: str, what: str = "target") -> ImageSpec:
        """The image spec of a user's text, with ``rbd_default_pool`` where it names no pool."""
        default = self._client.conf_get("rbd_default_pool") or "rbd"
        return parse_image_spec(text, default, what)

    def pool_name(self, pool_id: int) -> str:
        """The name of the pool with an id. Raises MigrationError(ENOENT) when there is none."""
        with self._answers(ImageSpec("", "", f"pool {pool_id}")):
            wait_for_latest_osdmap(self._client)
            return pool_name(self._client, pool_id)

    def _in_use(self, m: Migration, situation: Situation) -> bool:
        """Whether a client that is not ours has the ends of ``m`` open for writing.

        Of a half-done commit only the source counts: clients use the target meanwhile. The target
        of an import is not opened: librbd would open its source too. Raises MigrationError.
        """
        if m.imported is not None and not m.imported.native:
            return False
        ends = [m.source] if situation is Situation.HALF_COMMITTED else ends_of(self._client, m)
        images = tuple(place for place in ends if place.image_id)
        question = FindUsers(images, self._executor.blocklist.fenced())
        return bool(self._queries.ask(question, UsersFound, self._patience()).addresses)

    def _ask(self, question: Question, answer: type[R], least: float, *, order: bool) -> R:
        return self._queries.ask(question, answer, max(least, self._patience()), order=order)

    def _patience(self) -> float:
        return max(10.0, self._host.settings().command_wait)

    def _answers(self, target: ImageSpec) -> TranslatedErrors:
        return TranslatedErrors(target, self.ended.is_set(), self._fenced)
