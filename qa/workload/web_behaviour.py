"""How the web server of tests answers: as a path's behaviour says."""

from __future__ import annotations

import email.utils
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote, unquote

TIMEOUT = 120.0  # seconds without a byte from a client
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PIECE = 64 << 10


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
    ``retry_after``: a header of errors. ``multipart``: a range is sent as multipart/byteranges,
    ``chunked``: in chunks without a length. ``informs``: status 100 comes before each answer.
    ``junk``: these bytes are sent in place of HTTP. ``busy_after``: the number of open
    connections beyond which new ones get status 503. ``keeps``: the number of answers after which a
    connection ends silently. ``stalls_after``: the number of GETs that are answered; then none is.
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
    multipart: bool = False
    chunked: bool = False
    informs: bool = False
    junk: bytes = b""
    busy_after: Optional[int] = None
    keeps: Optional[int] = None
    stalls_after: Optional[int] = None


@dataclass
class Request:
    """A received request."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class State:
    """What the threads of a server share."""

    folder: Path
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    gets: dict[str, int] = field(default_factory=dict)
    connections: dict[socket.socket, Any] = field(default_factory=dict)  # clients, the oldest first
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Cut(Exception):
    """Ends the connection here."""


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of a connection as the behaviour of the path says."""

    state: State
    timeout = TIMEOUT
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers go out together
    _answered = 0  # requests of this connection

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
            number = list(self.state.connections.values()).index(self.client_address)
        self._answered += 1
        if behaviour.delay:
            time.sleep(behaviour.delay)
        if behaviour.http10:
            self.protocol_version = "HTTP/1.0"
            self.close_connection = True
        if behaviour.close or self._answered == behaviour.keeps:
            self.close_connection = True
        if behaviour.busy_after is not None and number >= behaviour.busy_after:
            behaviour = replace(behaviour, status=503)
        if behaviour.stalls_after is not None and count > behaviour.stalls_after:
            self.state.stopped.wait(TIMEOUT)
        try:
            self._respond(method, behaviour, count)
        except _Cut:
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def _respond(self, method: str, behaviour: Behaviour, count: int) -> None:
        if behaviour.junk:
            self.wfile.write(behaviour.junk)
            raise _Cut
        if behaviour.informs:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
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
        if status is None and file.is_dir() and self.path.endswith("/"):
            self._index(method, file)
            return
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

    def _index(self, method: str, folder: Path) -> None:
        """List a folder, as servers do."""
        names = [f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir()]
        links = [f'<a href="{quote(name)}">{escape(name)}</a>' for name in ("../", *sorted(names))]
        page = f"<html><body><pre>{chr(10).join(links)}</pre></body></html>\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if method == "GET":
            self.wfile.write(page)

    def _file(self, method: str, behaviour: Behaviour, file: Path, count: int) -> None:
        size = file.stat().st_size
        begin, end = 0, size
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        status = 200
        if match and behaviour.ranges in (True, "wrong", "untold"):
            begin, end = int(match[1]), min(int(match[2]) + 1, size)
            if begin >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            status = 206
            if behaviour.ranges == "wrong":
                begin, end = begin + 1, min(end + 1, size)
        self.send_response(status)
        before = b""
        if status == 206 and behaviour.multipart:
            self.send_header("Content-Type", "multipart/byteranges; boundary=part")
            before = f"--part\r\nContent-Range: bytes {begin}-{end - 1}/{size}\r\n\r\n".encode()
        elif status == 206 and behaviour.ranges != "untold":
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.send_header("Accept-Ranges", "none" if behaviour.ranges == "none" else "bytes")
        if behaviour.encoding:
            self.send_header("Content-Encoding", behaviour.encoding)
        length: Optional[str] = str(end - begin + len(before))
        if method == "HEAD" and behaviour.length != "true":
            length = behaviour.length
        if method == "GET" and behaviour.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif length is not None:
            self.send_header("Content-Length", str(length))
        self._tags(behaviour, file, count)
        self.end_headers()
        if method == "GET":
            self.wfile.write(before)
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
            chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if behaviour.chunked else piece
            self.wfile.write(chunk)
            if behaviour.rate:
                self.wfile.flush()
                time.sleep(len(piece) / behaviour.rate)
        if behaviour.chunked:
            self.wfile.write(b"0\r\n\r\n")
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
