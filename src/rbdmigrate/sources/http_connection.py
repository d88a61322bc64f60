"""Connections to web servers, and what their answers say."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ..model.url import Url
from .net import Rules, Wire, connect
from .stream import Identity
from .tls import Trust, secure

_TAGS = (("etag", "etag"), ("modified", "last-modified"))
CONTENT_RANGE = re.compile(r"bytes (\d{1,20})-(\d{1,20})/(\d{1,20}|\*)")


@dataclass(frozen=True)
class Answer:
    """A server's answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection(http.client.HTTPConnection):
    """http.client on a connection that goes to a checked address."""

    def __init__(self, url: Url, rules: Rules, trust: Trust) -> None:
        super().__init__(url.host, url.port)
        self._url = url
        self._rules = rules
        self._trust = trust
        self.wire: Optional[Wire] = None
        self.expected = 0

    def connect(self) -> None:
        sock = connect(self._url.host, self._url.port, self._rules)
        if self._url.scheme == "https":
            sock = secure(sock, self._url.host, self._url.port, self._rules, self._trust)
        self.wire = Wire(sock, f"{self._url.host}:{self._url.port}", self._rules)
        self.wire.begin(self.expected)
        self.sock = self.wire


def tags_in(answer: Answer) -> Identity:
    """What an answer says by which the file is recognised later, but for its size."""
    return {name: answer.headers[h][:200] for name, h in _TAGS if answer.headers.get(h)}


def range_of(answer: Answer) -> Optional[int]:
    """How many bytes the whole file has, as a part of it says; None where that does not."""
    match = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", "").strip().lower())
    return int(match[3]) if match is not None and match[3].isdigit() else None


def length_of(answer: Answer) -> Optional[int]:
    """The Content-Length of an answer; None where it has none."""
    text = answer.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def header_safe(text: str) -> bool:
    """Whether a text can be sent in a header."""
    return text.isascii() and text.isprintable()
