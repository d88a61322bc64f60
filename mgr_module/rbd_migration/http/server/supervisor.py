"""Runs the HTTP or HTTPS server, with limits, and restarts it when its options change.

The server is cheroot's, which CherryPy brings. CherryPy itself is not touched, because from release
20 on its engine and configuration belong to the dashboard.
"""

import logging
import os
import ssl
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, List, Optional

from .liveness import Liveness
from .networks import KnownNetworks
from .wsgi import MAX_BODY

log = logging.getLogger(__name__)

_THREADS = 8
_BACKLOG = 64
_IDLE = 10  # seconds of silence after which a connection is closed
_MAX_HEADER = 16 << 10  # bytes
_CHECK = 1.0  # seconds between two checks of options and overdue requests
_WAITED = 30.0  # seconds that a request waits for a thread before that is reported
_TOLD = 120.0  # seconds for which a restart is reported


class ServerTrouble(Exception):
    """The reason why the server does not run, in one sentence."""


@dataclass(frozen=True)
class Place:
    """Where to serve. ``certificate`` and ``key`` are PEM texts; empty for plain HTTP."""

    address: str
    port: int
    certificate: str = ""
    key: str = ""

    @property
    def scheme(self) -> str:
        """``https`` or ``http``."""
        return "https" if self.certificate else "http"


def wanted(module: Any) -> Optional[Place]:
    """Return where the module's options want a server; None for nowhere. Raises ServerTrouble."""
    if not module.get_module_option("server"):
        return None
    address = str(module.get_localized_module_option("server_addr") or "::")
    port = int(module.get_localized_module_option("server_port"))
    if not 0 < port < 65536:
        raise ServerTrouble(f"server_port is {port}; give a port from 1 to 65535.")
    if not module.get_module_option("server_tls"):
        return Place(address, port)
    return Place(address, port, _pem(module, "server_cert"), _pem(module, "server_key"))


def _pem(module: Any, name: str) -> str:
    """Return a certificate or key from the file in the option, or from the monitors' key store."""
    path = module.get_localized_module_option(name)
    if path:
        try:
            with open(str(path), encoding="ascii") as file:
                return file.read()
        except (OSError, ValueError) as error:
            raise ServerTrouble(f"{name}: {path} cannot be read: {_words(error)}.") from error
    text = module.get_localized_store(name)
    if not text:
        raise ServerTrouble(
            f"There is no TLS {'certificate' if name == 'server_cert' else 'key'}; set it with "
            f"`ceph config-key set mgr/rbd_migration/{name} -i FILE`, or do without TLS with "
            "`ceph config set mgr mgr/rbd_migration/server_tls false`."
        )
    return str(text)


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or "it is not PEM").lower()


class ServerSupervisor(threading.Thread):
    """Runs the server as its options say, from ``start`` to ``stop``.

    ``module`` is the manager module, active or standby; ``application`` answers the requests.
    ``on_place`` is called with the URL of the server when it runs, and with an empty text when it
    has stopped. ``known``: the networks that sent a valid key. ``problem`` says why the server does
    not run although it is enabled, or why it does not answer.
    """

    def __init__(
        self,
        *,
        module: Any,
        application: Callable[..., Any],
        on_place: Callable[[str], None] = lambda url: None,
        known: Optional[KnownNetworks] = None,
    ) -> None:
        super().__init__(name="rbd_migration-http", daemon=True)
        self.problem = ""
        self._known = known or KnownNetworks()
        self._liveness: Optional[Liveness] = None
        self._restarted = ""  # why the server was restarted
        self._restarted_at = 0.0  # monotonic time
        self._module = module
        self._application = application
        self._on_place = on_place
        self._stopping = threading.Event()
        self._place: Optional[Place] = None
        self._server: Any = None
        self._serving: Optional[threading.Thread] = None

    def run(self) -> None:
        """Apply the options, and close overdue requests, once per second."""
        while not self._stopping.is_set():
            try:
                self._follow()
                self.problem = self._unanswered()
            except ServerTrouble as error:
                self.problem = str(error)
                self._close()
            except Exception:  # any error: report it and try again
                log.exception("the HTTP server")
                self.problem = "The HTTP server does not run; the manager's log has the details."
                self._close()
            self._stopping.wait(_CHECK)
        self._close()

    def stop(self, timeout: float = 15.0) -> None:
        """Close the server and end the thread."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout)

    def _follow(self) -> None:
        place = wanted(self._module)
        if self._server is not None:
            damage = self._damage()
            if place == self._place and not damage:
                self._server.close_overdue()
                if self._liveness is not None:
                    self._liveness.look()
                return
            if damage:
                log.error("the HTTP server is restarted: %s", damage)
                self._restarted, self._restarted_at = damage, time.monotonic()
            self._close()
        if place is not None:
            self._open(place)

    def _damage(self) -> str:
        """Return which threads of the running server have ended, none of which should; or ''."""
        if self._serving is None or not self._serving.is_alive():
            return "the thread that accepts connections had ended"
        ended = self._server.ended_threads()
        return f"{ended} of its {_THREADS} threads had ended" if ended else ""

    def _unanswered(self) -> str:
        """Return why requests may not be answered although the server runs; or an empty text."""
        if self._server is None or self._liveness is None:
            return ""
        waited = self._server.waiting.longest()
        if waited > _WAITED:
            return (
                f"A request at the HTTP server has waited for {int(waited)} s, because others "
                "use all the threads that it may have; `ss -tn` on the manager's host shows "
                "who is connected."
            )
        if self._restarted and time.monotonic() - self._restarted_at < _TOLD:
            return (
                f"The HTTP server was restarted, because {self._restarted}; the manager's "
                "log has more."
            )
        return self._liveness.problem

    def _open(self, place: Place) -> None:
        server = _make(place, self._application, self._known)
        try:
            server.prepare()
        except OSError as error:
            raise ServerTrouble(
                f"The HTTP server cannot listen on {place.address} port {place.port}: "
                f"{_words(error)}; see the options server_addr and server_port."
            ) from error
        self._serving = threading.Thread(
            target=server.serve, name="rbd_migration-http-accept", daemon=True
        )
        self._serving.start()
        self._server, self._place = server, place
        self._liveness = Liveness(place.address, place.port, tls=bool(place.certificate))
        url = self._url(place)
        log.info("the HTTP server listens at %s", url)
        self._on_place(url)

    def _close(self) -> None:
        if self._server is None:
            return
        server, self._server, self._place = self._server, None, None
        server.stop()
        if self._serving is not None:
            self._serving.join(5.0)
        self._on_place("")

    def _url(self, place: Place) -> str:
        host = place.address
        if host in ("::", "0.0.0.0"):
            host = str(self._module.get_mgr_ip())
        return f"{place.scheme}://{f'[{host}]' if ':' in host else host}:{place.port}/"


def _make(place: Place, application: Callable[..., Any], known: KnownNetworks) -> Any:
    """Return a server for ``place``. Raises ServerTrouble."""
    try:
        from .cheroot_server import LimitedServer, Tls  # noqa: PLC0415 - only if enabled
    except ImportError as error:
        raise ServerTrouble(
            "The HTTP server needs cheroot, which CherryPy brings; install python3-cheroot."
        ) from error
    server = LimitedServer(
        (place.address, place.port),
        application,
        known=known,
        threads=_THREADS,
        server_name="rbd_migration",
        request_queue_size=_BACKLOG,
        timeout=_IDLE,
        shutdown_timeout=3,
    )
    server.max_request_header_size = _MAX_HEADER
    server.max_request_body_size = MAX_BODY
    if place.certificate:
        server.ssl_adapter = Tls(_tls(place))
    return server


def _tls(place: Place) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths: List[str] = []
    try:
        for text in (place.certificate, place.key):
            handle, path = tempfile.mkstemp(prefix="rbd_migration-")  # mode 0600; deleted below
            paths.append(path)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
        context.load_cert_chain(*paths)
    except (ssl.SSLError, ValueError) as error:
        raise ServerTrouble(
            "The TLS certificate and key (server_cert, server_key) do not fit together or are "
            "not PEM."
        ) from error
    finally:
        for path in paths:
            os.unlink(path)
    return context
