"""A web server for tests: honours ranges, and misbehaves on request.

One folder is served on loopback. How a path, with its query, behaves can be changed while clients
read it::

    with WebServer(folder) as server:
        server.behave("/disk.raw", Behaviour(ranges=False))
        server.url("/disk.raw")       # http://127.0.0.1:PORT/disk.raw
        server.stop(); server.start() # the same port again: a server that died and came back

``python -m qa.workload.web_server FOLDER [--port N] [--tls]`` serves a folder until it is stopped.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import threading
import time
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Optional

from qa.workload.certificate import certificate
from qa.workload.web_behaviour import TIMEOUT, Behaviour, Handler, Request, State


class WebServer:
    """A web server in threads of this process. ``certificate`` (file, key) makes it use TLS.

    ``at_once``: the number of connections that are served; others wait until one has ended.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        certificate: Optional[tuple[Path, Path]] = None,
        at_once: int = 1000,
    ) -> None:
        self._state = State(Path(folder))
        self._host = host
        self.port = port
        self._certificate = certificate
        self._at_once = at_once
        self._server: Optional[ThreadingHTTPServer] = None
        self._thread: Optional[threading.Thread] = None

    def start(self) -> WebServer:
        """Listen, on the same port as before if it has run before."""
        state = self._state
        state.stopped.clear()

        class Ours(Handler):
            pass

        Ours.state = state
        server = _Server((self._host, self.port), Ours)
        server.state = state
        server.served = threading.Semaphore(self._at_once)
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            server.context = context
        self.port = server.server_address[1]
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and close all connections, as if it had been killed."""
        if self._server is None or self._thread is None:
            return
        self._state.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        with self._state.lock:
            open_now = list(self._state.connections)
        for connection in open_now:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended by itself
        self._server = self._thread = None

    def __enter__(self) -> WebServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, path: str, host: Optional[str] = None) -> str:
        """Return the URL of a path, which begins with a slash."""
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://{host or self._host}:{self.port}{path}"

    def behave(self, path: str, behaviour: Optional[Behaviour] = None, **changes: Any) -> None:
        """From now on answer ``path`` in this way; ``changes`` modify its present behaviour."""
        current = behaviour or self._state.behaviours.get(path, Behaviour())
        self._state.behaviours[path] = replace(current, **changes)
        self._state.gets.pop(path, None)

    @property
    def requests(self) -> list[Request]:
        """Return the requests so far."""
        return list(self._state.requests)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    state: State
    context: Optional[ssl.SSLContext] = None
    served: threading.Semaphore

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the connection's own thread, where it does not block others."""
        request.settimeout(TIMEOUT)
        with self.state.lock:
            self.state.connections[request] = client_address
        try:
            with self.served:
                if self.context is not None:
                    with self.context.wrap_socket(request, server_side=True) as secured:
                        super().finish_request(secured, client_address)
                else:
                    super().finish_request(request, client_address)
        finally:
            with self.state.lock:
                self.state.connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors: clients closing connections are part of the tests."""


def main() -> None:
    """Serve a folder until standard input ends or it is interrupted."""
    parser = argparse.ArgumentParser(description="serve a folder on loopback, with ranges")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", action="store_true", help="with a certificate made for it")
    arguments = parser.parse_args()
    pair = certificate(arguments.folder / ".tls") if arguments.tls else None
    with WebServer(arguments.folder, port=arguments.port, certificate=pair) as server:
        print(server.url("/"), flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
