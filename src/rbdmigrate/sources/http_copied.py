"""The stream ``http`` as the method ``copy`` reads it: it needs less of a server than librbd does.

Redirects are followed, each hop under the import policy. GET alone is used, because a signature in
a URL may hold for nothing else. A login is sent to the server that the source-spec names, and to no
other one.
"""

from __future__ import annotations

import base64
import http.client
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from errno import EINVAL, EIO, EOPNOTSUPP, EPERM

from ..model.url import parse_url, url_problem
from .errors import SourceError
from .http import PROBE, HttpStream
from .http_connection import Answer, header_safe, length_of, range_of, tags_in
from .net import Rules, lost
from .redirects import MAX_REDIRECTS, REDIRECTS, next_url, without_query
from .stream import Bytes, Identity
from .tls import Trust

_REFUSALS = {401, 403, 407}


@dataclass(frozen=True)
class Login:
    """What a server asks for. Empty: nothing. ``repr`` shows no secret."""

    user: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)

    def header(self) -> str:
        """The value of the header Authorization. Raises SourceError for what no header can have."""
        if self.bearer_token:
            value = f"Bearer {self.bearer_token}"
        else:
            pair = f"{self.user}:{self.password}".encode()
            value = f"Basic {base64.b64encode(pair).decode()}"
        if not header_safe(value):
            raise SourceError(
                "CONFIG_KEY_BAD", EINVAL, "The bearer token holds a character that no header has."
            )
        return value

    def __bool__(self) -> bool:
        return bool(self.user or self.bearer_token)


@dataclass(frozen=True)
class WebAccess:
    """A file on a web server, and what it takes to get it. ``repr`` shows no secret.

    ``url`` has no query; ``query`` is what follows the question mark.
    """

    url: str
    query: str = field(default="", repr=False)
    login: Login = Login()
    trust: Trust = Trust()  # noqa: RUF009 - frozen


class CopiedHttpStream(HttpStream):
    """A file on a web server, wherever that redirects to. In order where it honours no ranges."""

    def __init__(self, access: WebAccess, rules: Rules) -> None:
        url = parse_url(access.url)
        self._named = replace(url, path=f"{url.path}?{access.query}") if access.query else url
        self._login = access.login
        self._moved = False
        self._begun = False  # it was read from its beginning
        self.trust = access.trust
        super().__init__(access.url, rules)

    @property
    def host(self) -> str:
        """The header Host, with the port."""
        return self.url.place

    def _open(self) -> None:
        answer = self.followed(lambda: self.ask("GET", (0, PROBE)))
        if answer.status == 416 and answer.headers.get("content-range") == "bytes */0":
            self.size, self.identity = 0, {"size": "0"}
            return
        if answer.status not in (200, 206):
            raise self.failure(answer, "GET")
        self._require_plain(answer)
        length = range_of(answer) if answer.status == 206 else length_of(answer)
        if answer.status == 206 and length is None:
            raise self._error(
                "HTTP_NO_LENGTH", EINVAL, f"does not say how long {self.label} is (Content-Range)"
            )
        self.in_order = answer.status == 200 and length != 0
        self.known_size = length is not None
        self.size = length or 0
        self.identity = self._identity(answer)

    def _require_plain(self, answer: Answer) -> None:
        if answer.headers.get("content-encoding", "identity") not in {"identity", ""}:
            raise self._error(
                "HTTP_ENCODED",
                EOPNOTSUPP,
                f"sends {self.label} with a Content-Encoding, in which it has other bytes; switch "
                "that off for this file",
            )

    def _identity(self, answer: Answer) -> Identity:
        size = {"size": str(self.size)} if self.known_size else {}
        return {**size, **tags_in(answer)}

    def followed(self, asked: Callable[[], Answer]) -> Answer:
        """The answer of the server that has the file, after all redirects."""
        self.ask_at(self._named)
        target = self.label
        for _ in range(MAX_REDIRECTS + 1):
            answer = asked()
            if answer.status not in REDIRECTS:
                return answer
            location = answer.headers.get("location", "")
            if not location:
                raise self._error("HTTP_REDIRECT", EINVAL, "redirects without saying where to")
            target = next_url(target, location)
            problem = url_problem(without_query(target))
            if problem:
                raise self._error("HTTP_REDIRECT", EINVAL, f"redirects to a URL that {problem}")
            self.close()
            self.ask_at(parse_url(target))
            self._moved = True
        raise self._error(
            "HTTP_REDIRECT", EINVAL, f"redirects more than {MAX_REDIRECTS} times in a row"
        )

    def headers(self, method: str) -> dict[str, str]:
        here, named = self.url, self._named
        same = (here.scheme, here.host, here.port) == (named.scheme, named.host, named.port)
        return {"Authorization": self._login.header()} if self._login and same else {}

    def read_at(self, offset: int, length: int) -> bytes:
        if self.in_order:
            raise self._no_range()
        try:
            return super().read_at(offset, length)
        except SourceError as error:
            if not self._moved or error.problem not in {"HTTP_FORBIDDEN", "HTTP_NOT_FOUND"}:
                raise
        self._again()
        return super().read_at(offset, length)

    def _again(self) -> None:
        """Follow the redirects again: the signature that they ended at may have expired."""
        self.close()
        answer = self.followed(lambda: self.ask("GET", (0, PROBE)))
        if answer.status != 206:
            raise self.failure(answer, "GET")
        if range_of(answer) != self.size:
            raise self._changed()

    def _changed(self) -> SourceError:
        return self._error(
            "SOURCE_CHANGED", EIO, f"has another {self.label} now than it had at first"
        )

    def begin(self) -> Bytes:
        """All of its bytes: in one answer where the server gives no parts."""
        return _Body(self) if self.in_order else super().begin()

    def whole(self) -> http.client.HTTPResponse:
        """The answer to a request for the whole file, whose body has to be read.

        Raises SourceError.
        """
        opened: list[http.client.HTTPResponse] = []

        def asked() -> Answer:
            with self.translated():
                opened[:] = [self.send("GET", None)]
            headers = {name.lower(): value for name, value in opened[0].getheaders()}
            return Answer(opened[0].status, headers, b"")

        self.close()
        answer = self.followed(asked)
        if answer.status != 200:
            self.close()
            raise self.failure(answer, "GET")
        self._require_plain(answer)
        self._require_same(answer)
        return opened[0]

    def _require_same(self, answer: Answer) -> None:
        """Require that an answer has the file that was opened; close the connection otherwise."""
        other = self.known_size and length_of(answer) not in (None, self.size)
        for name, tag in tags_in(answer).items():
            if self.identity.get(name, tag) != tag:
                other |= self._begun
                # Servers behind one address may have different tags: no proof, and no identity.
                self.identity.pop(name)
                self.fickle = True
        self._begun = True
        if other:
            self.close()
            raise self._changed()

    def _no_range(self) -> SourceError:
        return self._error(
            "HTTP_NO_RANGE",
            EOPNOTSUPP,
            f"ignores ranges (it answers 200, not 206), and what is in {self.label} is read in "
            "any order; copy it to a folder that is open to imports",
        )

    def failure(self, answer: Answer, method: str) -> SourceError:
        """The error for an unexpected answer."""
        if answer.status in REDIRECTS:  # in the middle of a copy
            return self._error("HTTP_NOT_FOUND", EIO, "redirects what it gave out before")
        if answer.status in _REFUSALS:
            what = "does not accept the login" if self._login else "wants a login"
            return self._error(
                "HTTP_FORBIDDEN",
                EPERM,
                f"{what} for {self.label} (HTTP {answer.status}); the fields user and password, or "
                "bearer_token, of the stream give one",
            )
        return super().failure(answer, method)


class _Body:
    """A file in one answer."""

    def __init__(self, stream: CopiedHttpStream) -> None:
        self._stream = stream
        self._response = stream.whole()
        self._wire = stream.wire
        self._left = stream.size if stream.known_size else None

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; none at the end. Raises SourceError."""
        if self._wire is not None:
            self._wire.begin(length)
        with self._stream.translated():
            data = self._response.read(length)
        if self._left is not None:
            self._left -= len(data)
            if not data and self._left:
                self.close()
                raise lost(f"The server {self._stream.url.host}:{self._stream.url.port}")
        return data

    def close(self) -> None:
        """End it. Never raises."""
        self._response.close()
        self._stream.close()
