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
import email.utils
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Optional
from urllib.parse import unquote

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PIECE = 64 << 10
_TIMEOUT = 120.0  # seconds without a byte from a client


@dataclass(frozen=True)
class Behaviour:
    """How a path is answered; the default is a well-behaved server.

    ``ranges``: False ignores Range (200), "none" says so in Accept-Ranges too, "wrong" sends the
    range after the one asked for, "untold" does not say which range it sends. ``http10``: answers
    in HTTP/1.0. ``status``: this status for everything, and ``get_status`` for GET alone.
    ``location``: a redirect (status 302 unless given). ``delay``: seconds before each answer.
    ``rate``: bytes per second of the body. ``drop``: the connection ends after so many bytes of
    each body. ``drop_range``: (begin, end): answers that touch it are cut off. ``etag``: None for
    none, "changing" for another one each time. ``length``: what Content-Length of HEAD says, None:
    it is left out. ``fail_after``: so many GETs are answered, then with status 500. ``head``: False
    answers HEAD with 405. ``encoding``: a Content-Encoding. ``close``: the connection ends after an
    answer, "told" by the header Connection, or "silently". ``headers``: bytes of further headers.
    ``retry_after``: a header of errors.
    """

    ranges: Any = True
    http10: bool = False
    status: Optional[int] = None
    get_status: Optional[int] = None
    location: str = ""
    delay: float = 0
    rate: Optional[int] = None
    drop: Optional[int] = None
    drop_range: Optional[tuple[int, int]] = None
    etag: Optional[str] = "by content"
    length: Any = "true"
    fail_after: Optional[int] = None
    head: bool = True
    encoding: str = ""
    close: str = ""
    headers: int = 0
    retry_after: str = ""


@dataclass
class Request:
    """A received request."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class _State:
    folder: Path
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    gets: dict[str, int] = field(default_factory=dict)
    connections: set[socket.socket] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class WebServer:
    """A web server in threads of this process. ``certificate`` (file, key) makes it use TLS."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        certificate: Optional[tuple[Path, Path]] = None,
    ) -> None:
        self._state = _State(Path(folder))
        self._host = host
        self.port = port
        self._certificate = certificate
        self._server: Optional[ThreadingHTTPServer] = None
        self._thread: Optional[threading.Thread] = None

    def start(self) -> WebServer:
        """Listen, on the same port as before if it has run before."""
        state = self._state

        class Handler(_Handler):
            pass

        Handler.state = state
        server = _Server((self._host, self.port), Handler)
        server.state = state
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
    state: _State
    context: Optional[ssl.SSLContext] = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake in the connection's own thread, where it does not block others."""
        request.settimeout(_TIMEOUT)
        with self.state.lock:
            self.state.connections.add(request)
        try:
            if self.context is not None:
                with self.context.wrap_socket(request, server_side=True) as secured:
                    super().finish_request(secured, client_address)
            else:
                super().finish_request(request, client_address)
        finally:
            with self.state.lock:
                self.state.connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors: clients closing connections are part of the tests."""


class _Cut(Exception):
    """Ends the connection here."""


class _Handler(BaseHTTPRequestHandler):
    state: _State
    timeout = _TIMEOUT
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers go out together

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_GET(self) -> None:
        self._answer("GET")

    def log_message(self, *_: Any) -> None:
        """Print nothing; see ``requests``."""

    def _answer(self, method: str) -> None:
        behaviour = self.state.behaviours.get(self.path, Behaviour())
        with self.state.lock:
            headers = {k.lower(): v for k, v in self.headers.items()}
            self.state.requests.append(Request(method, self.path, headers))
            count = self.state.gets.get(self.path, 0) + (method == "GET")
            self.state.gets[self.path] = count
        if behaviour.delay:
            time.sleep(behaviour.delay)
        if behaviour.http10:
            self.protocol_version = "HTTP/1.0"
            self.close_connection = True
        if behaviour.close:
            self.close_connection = True
        try:
            self._respond(method, behaviour, count)
        except _Cut:
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def _respond(self, method: str, behaviour: Behaviour, count: int) -> None:
        status = behaviour.status
        if method == "GET" and behaviour.get_status:
            status = behaviour.get_status
        if method == "GET" and behaviour.fail_after is not None and count > behaviour.fail_after:
            status = 500
        if method == "HEAD" and not behaviour.head:
            status = 405
        if behaviour.location:
            status = status or 302
        file = self.state.folder / unquote(self.path.partition("?")[0]).lstrip("/")
        if status is None and not file.is_file():
            status = 404
        if status is not None:
            self._plain(status, behaviour.location)
            return
        self._file(method, behaviour, file, count)

    def end_headers(self) -> None:
        behaviour = self.state.behaviours.get(self.path, Behaviour())
        if behaviour.close == "told":
            self.send_header("Connection", "close")
        for number in range(-(-behaviour.headers // 1000)):
            self.send_header(f"X-Further-{number}", "x" * 985)
        super().end_headers()

    def _plain(self, status: int, location: str) -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        behaviour = self.state.behaviours.get(self.path, Behaviour())
        if behaviour.retry_after:
            self.send_header("Retry-After", behaviour.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self, method: str, behaviour: Behaviour, file: Path, count: int) -> None:
        size = file.stat().st_size
        begin, end = 0, size
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        status = 200
        if match and behaviour.ranges in (True, "wrong", "untold"):
            begin, end = int(match[1]), min(int(match[2]) + 1, size)
            if begin >= size:
                self._plain(416, "")
                return
            status = 206
            if behaviour.ranges == "wrong":
                begin, end = begin + 1, min(end + 1, size)
        self.send_response(status)
        if status == 206 and behaviour.ranges != "untold":
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.send_header("Accept-Ranges", "none" if behaviour.ranges == "none" else "bytes")
        if behaviour.encoding:
            self.send_header("Content-Encoding", behaviour.encoding)
        length = str(end - begin)
        if method == "HEAD" and behaviour.length != "true":
            length = behaviour.length
        if length is not None:
            self.send_header("Content-Length", str(length))
        self._tags(behaviour, file, count)
        self.end_headers()
        if method == "GET":
            self._body(behaviour, file, begin, end)

    def _tags(self, behaviour: Behaviour, file: Path, count: int) -> None:
        status = file.stat()
        etag = behaviour.etag
        if etag == "by content":
            etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
        elif etag == "changing":
            etag = f'"{count}-{time.monotonic_ns()}"'
        if etag is not None:
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", email.utils.formatdate(status.st_mtime, usegmt=True))

    def _body(self, behaviour: Behaviour, file: Path, begin: int, end: int) -> None:
        cut = behaviour.drop_range
        if cut is not None and begin < cut[1] and end > cut[0]:
            end = max(begin, cut[0])
            self._pour(behaviour, file, begin, end)
            raise _Cut
        if behaviour.drop is not None and end - begin > behaviour.drop:
            self._pour(behaviour, file, begin, begin + behaviour.drop)
            raise _Cut
        self._pour(behaviour, file, begin, end)

    def _pour(self, behaviour: Behaviour, file: Path, begin: int, end: int) -> None:
        for piece in _pieces(file, begin, end, behaviour.rate):
            self.wfile.write(piece)
            if behaviour.rate:
                self.wfile.flush()
                time.sleep(len(piece) / behaviour.rate)
        self.wfile.flush()


def _pieces(file: Path, begin: int, end: int, rate: Optional[int]) -> Iterator[bytes]:
    most = max(1, rate // 10) if rate else _PIECE
    with file.open("rb") as opened:
        opened.seek(begin)
        while begin < end:
            piece = opened.read(min(most, end - begin))
            if not piece:
                raise _Cut
            begin += len(piece)
            yield piece


def certificate(
    folder: Path,
    *,
    names: tuple[str, ...] = ("localhost",),
    addresses: tuple[str, ...] = ("127.0.0.1",),
    days: int = 2,
) -> tuple[Path, Path]:
    """Make a self-signed certificate for names and addresses with openssl: (certificate, key).

    A client trusts it with SSL_CERT_FILE.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made, key = folder / "server.crt", folder / "server.key"
    alternatives = ",".join(
        [*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)]
    )
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(
        [
            *request, "-nodes", "-subj", f"/CN={names[0]}", "-addext",
            f"subjectAltName={alternatives}", "-days", str(days), "-keyout", str(key),
            "-out", str(made),
        ],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    os.chmod(key, 0o600)
    return made, key


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
