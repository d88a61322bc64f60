"""The manager module: starts the engine with the manager's identity and passes commands to it."""

import json
import os
import threading
from errno import ENOENT
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, Iterator, List, Optional, Tuple

from mgr_module import CommandResult, MgrModule, Option
from rbdmigrate.cluster.client import Identity
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
from .options import OPTIONS, Options
from .progress_events import SHOWN_STATES, ProgressEvents

_POLL = 1.0  # seconds between two updates of progress events and health checks
_DETAILS = 50  # lines of a health warning: the monitors keep them all
_ANNOUNCE = 15  # updates after which it is looked where the page is
_DASHBOARD = "mgr/dashboard/"  # what the dashboard keeps in the monitors' key store
_DROP_IN = Path(__file__).parents[1] / "dashboard" / "controllers" / "rbd_migration.py"
_MON_PATIENCE = 5.0  # seconds in which the monitors have to answer
_RESTART_WAIT = 5.0  # seconds until an engine that ended by itself is started again


class Module(MgrModule):
    """``ceph mgr module enable rbd_migration``."""

    CLICommand = compat.command_registry()
    NOTIFY_TYPES = compat.NOTIFY_TYPES
    COMMANDS: ClassVar[List[Dict[str, Any]]] = [command.describe() for command in commands.TABLE]
    MODULE_OPTIONS: ClassVar[List[Option]] = [Option(**option) for option in OPTIONS]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._engine: Optional[Engine] = None
        self._stopping = threading.Event()
        self._events = ProgressEvents(self.remote)
        self._options = Options(self)
        self._options.read()
        self._keys = ApiKeys(self)
        self._tokens = DashboardTokens(self._dashboard_value)
        known = KnownNetworks()
        application = Application(self._context, self._caller, known)
        self._server = ServerSupervisor(self, application, self._set_page, known)
        self._own_page = ""  # the address of our own server's page
        self._page = ""  # what `ceph mgr services` shows
        self._release = str(self.version).split("ceph version ")[-1].split(" ", maxsplit=1)[0]

    # -- called by the manager ---------------------------------------------------------------

    def serve(self) -> None:
        """Run engines until the module is stopped: a fenced one is followed by a new one."""
        self._server.start()
        while not self._stopping.is_set():
            try:
                self._serve_one()
            except Exception as error:  # whatever it is: say so, and try again
                self.log.exception("the engine does not run")
                trouble = [f"The engine does not run: {error}"]
                self._report_health({"MODULE": ("trouble(s) in the module itself", trouble)})
            self._stopping.wait(_RESTART_WAIT)

    def shutdown(self) -> None:
        """Called when the module is disabled or the manager gives up its role."""
        self._stopping.set()
        engine = self._engine
        if engine is not None:
            engine.ended.set()
        self._server.stop()
        super().shutdown()

    def config_notify(self) -> None:
        """An option was changed."""
        self._options.read()

    def handle_command(self, inbuf: Optional[str], cmd: Dict[str, Any]) -> Tuple[int, str, str]:
        """A ``ceph rbd migration ...`` command."""
        return commands.handle(self._engine, self._options, cmd, self._may_touch, inbuf, self._keys)

    def api(self, name: str, text: str) -> str:
        """A request over HTTP that the dashboard passes on, for a caller who may make it.

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
            surroundings=view,
        )

    def _show(self, engine: Engine) -> None:
        """Bring progress events and health warnings up to date."""
        reports = engine.migrations.list(states=SHOWN_STATES)
        troubles = engine.problems()
        if self._options.problem:
            troubles.append(self._options.problem)
        self._events.update(reports, self._options.progress_events(), engine.plans.list)
        self._report_health(
            {
                "MODULE": ("trouble(s) in the module itself", troubles),
                "SERVER": ("trouble(s) with the HTTP server", self._troubles_of_server()),
                "POOL": ("pool(s) that do not answer", engine.silent_pools()),
                "RECORD": ("record(s) that cannot be used", engine.garbage()),
                "FAILED": ("migration(s) failed", _failures(reports)),
                "TARGET": (
                    "warning(s) about what clients did",
                    engine.migrations.changed_targets(),
                ),
                "PLAN": ("plan(s) need attention", engine.plans.warnings()),
            }
        )

    def _polls(self, engine: Engine) -> Iterator[int]:
        """Counts the seconds until the engine ends, or the module, which may be while it starts."""
        number = 0
        while not self._stopping.is_set() and not engine.ended.wait(_POLL):
            if number % _ANNOUNCE == 0:
                self._announce()
            yield number
            number += 1

    # -- over HTTP ---------------------------------------------------------------------------

    def _troubles_of_server(self) -> List[str]:
        return [self._server.problem] if self._server.problem else []

    def _caller(self, token: str) -> Optional[Caller]:
        """Who has this API key of ours, or this token of the dashboard."""
        return self._keys.caller(token) or self._tokens.caller(token)

    def _dashboard_value(self, name: str) -> Optional[str]:
        """A value of the dashboard's store. OSError when the monitors do not answer in time."""
        command = {"prefix": "config-key get", "key": f"{_DASHBOARD}{name}"}
        result = CommandResult()  # the manager's own mon_command waits for ever
        self.send_command(result, "mon", "", json.dumps(command), "")
        if not result.ev.wait(_MON_PATIENCE):
            raise TimeoutError(f"the monitors did not answer within {_MON_PATIENCE:g} s")
        if result.r not in (0, -ENOENT):
            raise OSError(-result.r, os.strerror(-result.r))
        return str(result.outb) if result.r == 0 else None

    def _set_page(self, url: str) -> None:
        """Our own server runs at ``url``, or (empty) it does not any more."""
        self._own_page = f"{url}{page.ADDRESS[1:]}" if url else ""
        self._announce()

    def _announce(self) -> None:
        """Have `ceph mgr services` show where the page is: at our own server or the dashboard."""
        address = self._own_page
        if not address and _DROP_IN.is_file():
            dashboard = self.get("mgr_map").get("services", {}).get("dashboard", "")
            address = f"{dashboard.rstrip('/')}{page.ADDRESS}" if dashboard else ""
        if address != self._page:
            self._page = address
            self.set_uri(address)

    def _context(self) -> dispatch.Context:
        return dispatch.Context(self._engine, self._options, self._release)

    def _may_touch(self, pool: str, namespace: str) -> bool:
        return bool(self.is_authorized({"pool": pool, "namespace": namespace}))

    def _report_health(self, findings: Dict[str, Tuple[str, List[str]]]) -> None:
        """Raise ``RBD_MIGRATION_<name>`` for each finding: what, and a line of detail for each."""
        self.set_health_checks(
            {
                f"RBD_MIGRATION_{name}": _check(what, detail)
                for name, (what, detail) in findings.items()
                if detail
            }
        )


def _failures(reports: List[Dict[str, Any]]) -> List[str]:
    """A line for each migration that waits for the administrator."""
    return [
        f"{r['source']} -> {r['target']}: {r['failure']['message']}"
        for r in reports
        if r["state"] == "failed" and r["failure"]
    ]


def _check(what: str, detail: List[str]) -> Dict[str, Any]:
    more = len(detail) - _DETAILS
    return {
        "severity": "warning",
        "summary": f"rbd_migration: {len(detail)} {what}",
        "count": len(detail),
        "detail": [*detail[:_DETAILS], *([f"... and {more} more"] if more > 0 else [])],
    }
