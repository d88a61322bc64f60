"""The stream ``http``: the same requests to a server that librbd makes.

librbd sends HEAD for the size, then GET with a Range for every piece. It sends HTTP/1.1 with the
host's name, without its port, as ``Host``, follows no redirect, and accepts only 206 for a range.
A server without ranges crashes librbd (SIGSEGV on 16, 18 and 20), so ranges are tried before
anything else is done.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EBADMSG, ECONNRESET, EINVAL, EIO, ENOENT, EOPNOTSUPP, EPERM
from typing import Optional

from .. import __version__
from ..model.url import Url, parse_url
from .conversion import copied
from .errors import SourceError
from .http_connection import CONTENT_RANGE, Answer, Connection, length_of, tags_in
from .net import Rules, Wire, lost
from .redirects import BY_COPYING, REDIRECTS, Hop, explained, without_secrets
from .stream import Stream
from .tls import Trust

MAX_ERROR_BODY = 16 << 10  # an S3 error has 300 bytes
PROBE = 512  # bytes read to check whether a range is honoured
# Beyond 8 KiB librbd crashes (SIGABRT, 16.2.15); later answers may have some more.
MAX_HEADERS = 8000  # bytes

_REFUSALS = {401, 403, 407}
_WAITING = {425, 429}
_SECONDS = re.compile(r"[0-9]{1,6}")
_PASSING = {408, 500, 502, 503, 504}


_SUCCESS = (200, 206)


class HttpStream(Stream):
    """A file on a web server. ``label`` is its URL."""

    longest_body = MAX_ERROR_BODY  # bytes of an answer to a request for no range
    trust = Trust()

    def __init__(self, url: str, rules: Rules) -> None:
        self.label = url
        self._rules = rules
        self.ask_at(parse_url(url))
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        """Try everything that librbd relies on: HEAD, and two ranges on one connection."""
        self._try(self.ask("HEAD"))

    def _try(self, head: Answer) -> None:
        if head.status != 200:
            raise self.failure(head, "HEAD")
        self.size = self._length(head)
        self.identity = {"size": str(self.size), **tags_in(head)}
        if self.size:
            self.read(0, PROBE)
            self.read(0, PROBE)

    def ask_at(self, url: Url) -> None:
        """Send further requests there; the connection is made with the next one."""
        self.url = url
        self._connection = Connection(url, self._rules, self.trust)

    @property
    def host(self) -> str:
        """The header Host: without the port, as librbd sends it."""
        return self.url.host

    @property
    def wire(self) -> Optional[Wire]:
        """The connection that was made last, if it was not closed."""
        return self._connection.wire

    def headers(self, method: str) -> dict[str, str]:
        """Further headers of a request."""
        return {}

    def ask(self, method: str, extent: Optional[tuple[int, int]] = None) -> Answer:
        """Send one request; send it again if a kept-alive connection has ended."""
        kept = self._connection.wire is not None
        try:
            return self._ask(method, extent)
        except SourceError as error:
            if not kept or error.problem != "CONNECTION_LOST":
                raise
            self.close()
            self.hangs_up = True
            return self._ask(method, extent)

    def _ask(self, method: str, extent: Optional[tuple[int, int]]) -> Answer:
        expected = extent[1] if extent else 0
        with self.translated():
            response = self.send(method, extent)
            body = response.read(max(expected, self.longest_body) + 1)
        headers = {name.lower(): value for name, value in response.getheaders()}
        if not response.isclosed():
            self.close()  # more than requested: not read
        return Answer(response.status, headers, body)

    def send(self, method: str, extent: Optional[tuple[int, int]]) -> http.client.HTTPResponse:
        """Send a request; the answer without its body. Raises what ``translated`` translates."""
        connection = self._connection
        connection.expected = extent[1] if extent else 0
        if connection.wire is not None:
            connection.wire.begin(connection.expected)
        connection.putrequest(method, self.url.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self.host)
        connection.putheader("User-Agent", f"rbd_migration/{__version__}")
        if extent:
            connection.putheader("Range", f"bytes={extent[0]}-{sum(extent) - 1}")
        for name, value in self.headers(method).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        self.hangs_up |= response.will_close
        self.announces_close |= response.will_close and response.status in _SUCCESS
        self._check_headers(response)
        return response

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Have errors of a request raised as SourceError, and the connection closed."""
        try:
            yield
        except http.client.IncompleteRead:
            self.close()
            raise lost(f"The server {self.url.host}:{self.url.port}") from None
        except http.client.RemoteDisconnected:
            self.close()
            raise self._error(
                "CONNECTION_LOST", ECONNRESET, "closed the connection without an answer", True
            ) from None
        except (http.client.HTTPException, ValueError) as error:
            self.close()
            if str(error).startswith("got more than"):  # lines longer than 64 KiB, or 100 headers
                raise self._too_many_headers() from None
            raise self._error(
                "HTTP_BAD_ANSWER",
                EBADMSG,
                "does not answer in HTTP; check the port, and whether it wants https://",
            ) from None
        except SourceError:
            self.close()
            raise

    def _check_headers(self, response: http.client.HTTPResponse) -> None:
        """Raise SourceError for headers that are longer than librbd reads."""
        length = sum(len(name) + len(value) + 4 for name, value in response.getheaders())
        if length + len(response.reason) > MAX_HEADERS:
            self.close()
            raise self._too_many_headers()

    def _too_many_headers(self) -> SourceError:
        return self._error(
            "HTTP_HEADERS",
            EOPNOTSUPP,
            "sends more than 8 KiB of headers, on which librbd crashes; make it send fewer",
        )

    def _error(
        self, problem: str, errno: int, what: str, transient: bool = False, remedy: str = ""
    ) -> SourceError:
        place = f"{self.url.host}:{self.url.port}"
        if problem in BY_COPYING:
            remedy = self.copy()
        return SourceError(
            problem, errno, f"The server {place} {what}.", transient=transient, remedy=remedy
        )

    def copy(self) -> str:
        """The command that copies the file, for servers that librbd cannot read from."""
        return copied(self.label)

    def _length(self, answer: Answer) -> int:
        length = length_of(answer)
        if length is None:
            raise self._error(
                "HTTP_NO_LENGTH",
                EINVAL,
                f"does not say how long {self.label} is; librbd needs the Content-Length of HEAD",
            )
        if answer.headers.get("content-encoding", "identity") not in {"identity", ""}:
            raise self._error(
                "HTTP_ENCODED",
                EOPNOTSUPP,
                f"sends {self.label} compressed (Content-Encoding), which librbd does not "
                "decompress; switch that off for this file",
            )
        return length

    def read_at(self, offset: int, length: int) -> bytes:
        answer = self.ask("GET", (offset, length))
        if answer.status == 200:
            raise self._error(
                "HTTP_NO_RANGE",
                EOPNOTSUPP,
                "ignores ranges (it answers 200, not 206), which librbd needs; use a "
                "server that honours them, such as nginx, Apache or an object store",
            )
        if answer.status == 416:
            raise self._error(
                "SOURCE_TRUNCATED", EIO, f"has less of {self.label} than it said at first"
            )
        if answer.status != 206:
            raise self.failure(answer, "GET")
        self._check(answer, offset, length)
        if len(answer.body) < length:
            self.close()
            raise lost(f"The server {self.url.host}:{self.url.port}")
        return answer.body

    def _check(self, answer: Answer, offset: int, length: int) -> None:
        """Check that an answer has the requested range, of the same file as before."""
        match = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip().lower())
        if match is None or (int(match[1]), int(match[2])) != (offset, offset + length - 1):
            raise self._error("HTTP_NO_RANGE", EOPNOTSUPP, _wrong_range(answer))
        if match[3] not in {"*", str(self.size)}:
            raise SourceError(
                "SOURCE_CHANGED",
                EIO,
                f"{self.label} changed while it was read: its size was {self.size} and is "
                f"{match[3]} now.",
            )
        for name, tag in tags_in(answer).items():
            if self.identity.get(name, tag) != tag:
                # Servers behind one address may have different tags: no proof, and no identity.
                self.identity.pop(name)
                self.fickle = True

    def failure(self, answer: Answer, method: str) -> SourceError:
        """The error for an unexpected answer."""
        status = answer.status
        if status in REDIRECTS:
            return self._redirected(answer)
        if status in {404, 410}:
            return self._error("HTTP_NOT_FOUND", ENOENT, f"has no {self.label} (HTTP {status})")
        if status in _REFUSALS:
            return self._error(
                "HTTP_FORBIDDEN",
                EPERM,
                f"does not give out {self.label} (HTTP {status}); librbd sends no login, so let it "
                "be read without one, or use a stream of type s3",
            )
        if status in _WAITING:
            seconds = answer.headers.get("retry-after", "")
            when = f"in {seconds} seconds" if _SECONDS.fullmatch(seconds) else "later"
            return self._error(
                "HTTP_SERVER_ERROR",
                EIO,
                f"asks to try again {when} (HTTP {status})",
                transient=True,
            )
        if status in _PASSING:
            return self._error(
                "HTTP_SERVER_ERROR",
                EIO,
                f"is in trouble (HTTP {status}); try again, and look into its log if this persists",
                transient=True,
            )
        if method == "HEAD" and status in {405, 501}:
            return self._error(
                "HTTP_NO_HEAD",
                EOPNOTSUPP,
                f"does not answer HEAD (HTTP {status}), which librbd needs for the size",
            )
        return self._error("HTTP_STATUS", EIO, f"answers HTTP {status} for {self.label}")

    def _redirected(self, answer: Answer) -> SourceError:
        return explained(self.label, answer.status, answer.headers, self._hop)

    def _hop(self, url: str) -> Hop:
        return _Hop(url, self._rules)

    def close(self) -> None:
        self._connection.close()
        self._connection.wire = None


class _Hop(HttpStream):
    """One URL in a chain of redirects, which may have a query."""

    def __init__(self, url: str, rules: Rules) -> None:
        self._query = "?" in url
        super().__init__(url, rules)
        self.label = without_secrets(url)

    def _open(self) -> None:
        self.size, self.identity = 0, {}

    def leads(self) -> Optional[tuple[int, Mapping[str, str]]]:
        """Status and headers of a redirect; None where the file is, in a form librbd reads."""
        # A signature in a query may hold for GET alone.
        answer = self.ask("GET", (0, PROBE)) if self._query else self.ask("HEAD")
        if answer.status in REDIRECTS:
            return answer.status, answer.headers
        if self._query:
            self._described(answer)
        else:
            self._try(answer)
        return None

    def _described(self, answer: Answer) -> None:
        """Note what the answer to a range says of the file."""
        if answer.status not in _SUCCESS:
            raise self.failure(answer, "GET")
        match = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip().lower())
        length = match[3] if match else answer.headers.get("content-length", "")
        self.identity = {"size": length, **tags_in(answer)}

    def _redirected(self, answer: Answer) -> SourceError:
        return self._error("HTTP_REDIRECT", EINVAL, "redirects GET, but not HEAD")


def _wrong_range(answer: Answer) -> str:
    if answer.headers.get("content-type", "").lower().startswith("multipart/"):
        return "answers a range in several parts (multipart/byteranges), which librbd does not read"
    if "content-range" not in answer.headers:
        return "answers 206 without saying which range it sends (Content-Range)"
    return "sends another range than the requested one"
