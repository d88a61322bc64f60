"""The manager module: runs the engine with the manager's identity and passes commands to it."""

import json
import os
import threading
from errno import ENOENT
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, Iterator, List, Optional, Tuple

from mgr_module import CommandResult, MgrModule, Option
from rbdmigrate.cluster.client import Identity
from rbdmigrate.control.query import Query
from rbdmigrate.engine import Engine, Host

from . import compat
from .cli import commands
from .cluster_view import MgrClusterView
from .http import page
from .http.api import dispatch
from .http.auth.caller import Caller
from .http.auth.keys import ApiKeys
from .http.auth.tokens import DashboardTokens
from .http.server.networks import KnownNetworks
from .http.server.supervisor import ServerSupervisor
from .http.server.wsgi import Application
from .metrics import MetricsCache
from .options import OPTIONS, Options
from .progress_events import SHOWN_STATES, ProgressEvents

_POLL = 1.0  # seconds between two updates of progress events and health checks
_DETAILS = 50  # lines of a health warning: the monitors keep them all
_ANNOUNCE = 15  # updates between two checks of the page's URL
_DASHBOARD = "mgr/dashboard/"  # prefix of the dashboard's values in the monitors' key store
_DROP_IN = Path(__file__).parents[1] / "dashboard" / "controllers" / "rbd_migration.py"
_MON_PATIENCE = 5.0  # seconds in which the monitors have to answer
_RESTART_WAIT = 5.0  # seconds until a new engine follows one that ended by itself


class Module(MgrModule):
    """The module that ``ceph mgr module enable rbd_migration`` starts."""

    CLICommand = compat.command_registry()
    NOTIFY_TYPES = compat.NOTIFY_TYPES
    COMMANDS: ClassVar[List[Dict[str, Any]]] = [command.describe() for command in commands.TABLE]
    MODULE_OPTIONS: ClassVar[List[Option]] = [Option(**option) for option in OPTIONS]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        compat.log_library_as(self.module_name)
        self._engine: Optional[Engine] = None
        self._stopping = threading.Event()
        self._events = ProgressEvents(self.remote)
        self._options = Options(self)
        self._options.read()
        self._keys = ApiKeys(self)
        self._tokens = DashboardTokens(self._dashboard_value)
        known = KnownNetworks()
        self._release = str(self.version).split("ceph version ")[-1].split(" ", maxsplit=1)[0]
        self._metrics = MetricsCache(lambda: self._engine, self._release)
        application = Application(
            context=self._context, authenticate=self._caller, measured=self._metrics, known=known
        )
        self._server = ServerSupervisor(
            module=self, application=application, on_place=self._set_page, known=known
        )
        self._own_page = ""  # the URL of the page at the module's own server
        self._page = ""  # the URL in `ceph mgr services`

    # -- called by the manager ---------------------------------------------------------------

    def serve(self) -> None:
        """Run engines until the module is stopped: after one is fenced a new one starts."""
        self._server.start()
        while not self._stopping.is_set():
            try:
                self._serve_one()
            except Exception as error:  # any error: report it and try again
                self.log.exception("the engine does not run")
                problem = [f"The engine does not run: {error}"]
                self._report_health({"MODULE": ("problem(s) in the module itself", problem)})
            self._stopping.wait(_RESTART_WAIT)

    def shutdown(self) -> None:
        """Called when the module is disabled or the manager is no longer the active one."""
        self._stopping.set()
        engine = self._engine
        if engine is not None:
            engine.ended.set()
        self._server.stop()
        super().shutdown()

    def config_notify(self) -> None:
        """Called when an option was changed."""
        self._options.read()

    def handle_command(self, inbuf: Optional[str], cmd: Dict[str, Any]) -> Tuple[int, str, str]:
        """Run a ``ceph rbd migration ...`` command."""
        return commands.handle(
            self._engine,
            self._options,
            cmd,
            self._may_touch,
            inbuf,
            self._keys,
            self._may_speak_for,
            self._audit,
            self._release,
        )

    def metrics(self) -> str:
        """Return the metrics for the dashboard, as JSON with ``status`` and ``text``.

        Called by threads of other modules; never raises.
        """
        if not self._options.dashboard_metrics():
            status, text = 404, "Set mgr/rbd_migration/dashboard_metrics to true to have metrics.\n"
        else:
            status, text = self._metrics.answer()
        return json.dumps({"status": status, "text": text})

    def api(self, name: str, text: str) -> str:
        """Carry out an HTTP request that the dashboard passes on, for a caller with the permission.

        ``text`` is a JSON object with ``target``, ``query`` and ``body``; so is the answer, with
        ``status``, ``body`` and ``headers``. Called by threads of other modules; never raises.
        """
        return dispatch.answer(self._context(), name, text)

    # -- within ------------------------------------------------------------------------------

    def _serve_one(self) -> None:
        addresses: List[str] = []

        def on_client(text: str) -> None:
            addresses.append(text)
            compat.register_client(self, text)

        view = MgrClusterView(self)
        engine = Engine(self._host(on_client, view))
        try:
            engine.start()
            self._engine = engine
            for _ in self._polls(engine):
                self._show(engine)
        finally:
            self._engine = None
            if not engine.stop():
                self.log.error("a thread of the engine did not end in time")
            view.forget_clients()
            self._events.clear()
            for text in addresses:
                compat.unregister_client(self, text)

    def _host(self, on_client: Callable[[str], None], view: MgrClusterView) -> Host:
        return Host(
            identity=Identity(
                name=f"mgr.{self.get_mgr_id()}",
                conf=str(self.get_ceph_conf_path()),
                keyring=str(self.get_ceph_option("keyring") or ""),
            ),
            manager=self.get_mgr_id(),
            generation=int(self.get("mgr_map")["epoch"]),
            settings=lambda: self._options.settings,
            on_client=on_client,
            cluster_view=view,
            audit=self._audit,
        )

    def _show(self, engine: Engine) -> None:
        """Update progress events and health warnings."""
        reports = list(engine.listing.find(Query(limit=0, states=SHOWN_STATES)))
        problems = engine.problems()
        if self._options.problem:
            problems.append(self._options.problem)
        engine.measures.tick()
        self._events.update(reports, self._options.progress_events(), engine.plans.list)
        self._report_health(
            {
                "MODULE": ("problem(s) in the module itself", problems),
                "SERVER": ("problem(s) with the HTTP server", self._server_problems()),
                "POOL": ("pool(s) that do not answer", engine.silent_pools()),
                "RECORD": ("record(s) that cannot be used", engine.garbage()),
                **{found.code: (found.what, found.lines) for found in engine.health.find()},
                "TARGET": (
                    "warning(s) about what clients did",
                    engine.listing.changed_targets(),
                ),
                "HOOK": ("problem(s) with hooks", engine.hooks.failing()),
                "PLAN": ("plan(s) need attention", engine.plans.warnings()),
            }
        )

    def _polls(self, engine: Engine) -> Iterator[int]:
        """Yield a counter once per second until the engine ends or the module is stopped."""
        number = 0
        while not self._stopping.is_set() and not engine.ended.wait(_POLL):
            if number % _ANNOUNCE == 0:
                self._announce()
            yield number
            number += 1

    # -- over HTTP ---------------------------------------------------------------------------

    def _server_problems(self) -> List[str]:
        return [self._server.problem] if self._server.problem else []

    def _caller(self, token: str) -> Optional[Caller]:
        """Return the caller with this API key of the module, or this token of the dashboard."""
        return self._keys.caller(token) or self._tokens.caller(token)

    def _dashboard_value(self, name: str) -> Optional[str]:
        """Return a value of the dashboard's store. OSError if the monitors are too slow."""
        command = {"prefix": "config-key get", "key": f"{_DASHBOARD}{name}"}
        result = CommandResult()  # the manager's own mon_command has no timeout
        self.send_command(result, "mon", "", json.dumps(command), "")
        if not result.ev.wait(_MON_PATIENCE):
            raise TimeoutError(f"the monitors did not answer within {_MON_PATIENCE:g} s")
        if result.r not in (0, -ENOENT):
            raise OSError(-result.r, os.strerror(-result.r))
        return str(result.outb) if result.r == 0 else None

    def _set_page(self, url: str) -> None:
        """Called with the URL of the module's own server, or with "" when it has stopped."""
        self._own_page = f"{url}{page.ADDRESS[1:]}" if url else ""
        self._announce()

    def _announce(self) -> None:
        """Set the page's URL in `ceph mgr services`: the module's own server or the dashboard."""
        address = self._own_page
        if not address and _DROP_IN.is_file():
            dashboard = self.get("mgr_map").get("services", {}).get("dashboard", "")
            address = f"{dashboard.rstrip('/')}{page.ADDRESS}" if dashboard else ""
        if address != self._page:
            self._page = address
            self.set_uri(address)

    def _context(self) -> dispatch.Context:
        return dispatch.Context(self._engine, self._options, self._release, self._audit)

    def _audit(self, line: str) -> None:
        """Write a line into the cluster's audit log (`ceph log last 10 info audit`)."""
        self.cluster_log("audit", self.ClusterLogPrio.INFO, f"rbd_migration: {line}")

    def _may_touch(self, pool: str, namespace: str) -> bool:
        return bool(self.is_authorized({"pool": pool, "namespace": namespace}))

    def _may_speak_for(self, host: str) -> bool:
        return bool(self.is_authorized({"host": host}))

    def _report_health(self, findings: Dict[str, Tuple[str, List[str]]]) -> None:
        """Raise the warning ``RBD_MIGRATION_<name>`` with summary and details for each finding."""
        self.set_health_checks(
            {
                f"RBD_MIGRATION_{name}": _check(what, detail)
                for name, (what, detail) in findings.items()
                if detail
            }
        )


def _check(what: str, detail: List[str]) -> Dict[str, Any]:
    more = len(detail) - _DETAILS
    return {
        "severity": "warning",
        "summary": f"rbd_migration: {len(detail)} {what}",
        "count": len(detail),
        "detail": [*detail[:_DETAILS], *([f"... and {more} more"] if more > 0 else [])],
    }
