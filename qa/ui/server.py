"""Serves the page as the manager does, with the same headers, and the test double as its API."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from . import rest
from .double import Double

STATIC: Path = rest.page.FOLDER
PAGE: str = rest.page.ADDRESS


@contextmanager
def serving(double: Double) -> "Iterator[str]":
    """Serve the page and yield its address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.double = double
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PAGE}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    double: Double


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.path.startswith(rest.BASE):
            self._api()
        elif self.path.startswith(PAGE):
            self._file(self.path[len(PAGE) :].partition("?")[0])
        else:
            self._send(404, "text/plain", b"")

    def do_POST(self) -> None:
        self._api()

    def do_PUT(self) -> None:
        self._api()

    def do_DELETE(self) -> None:
        self._api()

    def _api(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        address = self.path[len(rest.BASE) :]
        status, headers, answer = self.server.double.answer(
            self.command, address, self.headers, body
        )
        self._send(status, "application/json", json.dumps(answer).encode(), headers)

    def _file(self, name: str) -> None:
        path = rest.page.find(name)
        if path is None:
            self._send(404, "text/plain", b"")
            return
        self._send(200, rest.page.content_type(path), path.read_bytes(), rest.page.HEADERS)

    def _send(self, status: int, kind: str, body: bytes, headers: Any = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass
