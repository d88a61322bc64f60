"""The stream ``http`` as the method ``copy`` reads it: it needs less of a server than librbd does.

Redirects are followed, each hop under the import policy. GET alone is used, because a signature in
a URL may hold for nothing else. A login is sent to the server that the source-spec names, and to no
other one.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from errno import EINVAL, EIO, EOPNOTSUPP, EPERM

from ..model.url import parse_url, url_problem
from .errors import SourceError
from .http import PROBE, TAGS, Answer, HttpStream, connection_to, header_safe, range_of
from .net import Rules
from .redirects import MAX_REDIRECTS, REDIRECTS, next_url, without_query

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


class CopiedHttpStream(HttpStream):
    """A file on a web server, wherever that redirects to."""

    def __init__(self, url: str, rules: Rules, login: Login) -> None:
        self._named = parse_url(url)
        self._login = login
        self._moved = False
        super().__init__(url, rules)

    def _open(self) -> None:
        answer = self._found()
        empty = answer.status == 200 and answer.headers.get("content-length") == "0"
        if empty or answer.status == 416:  # not even the first byte
            self.size, self.identity = 0, {"size": "0"}
            return
        if answer.status == 200:
            raise self._no_range()
        if answer.status != 206:
            raise self.failure(answer, "GET")
        size = range_of(answer)
        if size is None:
            raise self._error(
                "HTTP_NO_LENGTH", EINVAL, f"does not say how long {self.label} is (Content-Range)"
            )
        self.size = size
        self.identity = {"size": str(size)}
        for name, header in TAGS:
            if answer.headers.get(header):
                self.identity[name] = answer.headers[header][:200]

    def _found(self) -> Answer:
        """The answer of the server that has the file, after all redirects."""
        target = self.label
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._first()
            if answer.status not in REDIRECTS:
                return answer
            location = answer.headers.get("location", "")
            if not location:
                raise self._error("HTTP_REDIRECT", EINVAL, "redirects without saying where to")
            target = next_url(target, location)
            problem = url_problem(without_query(target))
            if problem:
                raise self._error("HTTP_REDIRECT", EINVAL, f"redirects to a URL that {problem}")
            self._go(target)
        raise self._error(
            "HTTP_REDIRECT", EINVAL, f"redirects more than {MAX_REDIRECTS} times in a row"
        )

    def _first(self) -> Answer:
        """Ask for what shows what the file is."""
        return self.ask("GET", (0, PROBE))

    def _go(self, target: str) -> None:
        """The server of ``target`` is asked from now on."""
        self.close()
        self.url = parse_url(target)
        self._connection = connection_to(self.url, self._rules)
        self._moved = True

    def headers(self, method: str) -> dict[str, str]:
        here, named = self.url, self._named
        same = (here.scheme, here.host, here.port) == (named.scheme, named.host, named.port)
        return {"Authorization": self._login.header()} if self._login and same else {}

    def read_at(self, offset: int, length: int) -> bytes:
        try:
            return super().read_at(offset, length)
        except SourceError as error:
            if not self._moved or error.problem not in {"HTTP_FORBIDDEN", "HTTP_NOT_FOUND"}:
                raise
        self._again()
        return super().read_at(offset, length)

    def _again(self) -> None:
        """Follow the redirects again: the signature that they ended at may have expired."""
        before = self.size
        self._go(self.label)
        answer = self._found()
        if answer.status != 206:
            raise self.failure(answer, "GET")
        if range_of(answer) != before:
            raise self._error(
                "SOURCE_CHANGED", EIO, f"has another {self.label} now than it had at first"
            )

    def _no_range(self) -> SourceError:
        return self._error(
            "HTTP_NO_RANGE",
            EOPNOTSUPP,
            f"ignores ranges (it answers 200, not 206), so {self.label} cannot be read in parts; "
            "copy it to a folder that is open to imports",
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
