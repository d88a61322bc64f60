"""URLs as librbd reads them, which is a subset of all URLs.

librbd (from source, 16 to 20) takes scheme, host, port and path. It drops user and password,
``;parameters``, ``?query`` and ``#fragment`` silently, and does not support IPv6 literals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?")
_HTTP = re.compile(r"(https?)://([^/]*)(/.*)?", re.DOTALL)
NBD_PORT = 10809


@dataclass(frozen=True)
class Url:
    """The parts that librbd uses. ``path`` begins with a slash and is sent as it is."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """The host, with the port where that is not the scheme's own: as in the header Host."""
        usual = 443 if self.scheme == "https" else 80
        return self.host if self.port == usual else f"{self.host}:{self.port}"


def url_problem(text: str) -> str:
    """The problem of an http(s) URL, as the end of a sentence; empty if it is valid."""
    if not text.isascii() or " " in text:
        return "holds a space or a letter outside ASCII, which a URL needs percent-encoded"
    match = _HTTP.fullmatch(text)
    if match is None:
        if _HTTP.fullmatch(text.lower()):
            return "begins with capital letters; write http:// or https:// in lower case"
        return "does not begin with http:// or https:// and a host"
    for letter, what in (("?", "a query"), (";", "parameters"), ("#", "a fragment")):
        if letter in text:
            hint = "percent-encode the letter if it belongs to a name"
            if letter == "?":
                hint += ", and give a presigned URL to a stream of type http"
            return f"has {what} ('{letter}'), which librbd does not send; {hint}"
    place = match[2]
    if "@" in place:
        return "holds a user or a password, which librbd does not send"
    if place.startswith("["):
        return "names the host by an IPv6 address, which librbd does not support; use a name"
    host, colon, port = place.partition(":")
    if not host or not _HOST.fullmatch(host):
        return "has no valid host"
    if colon and not (port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        return "has no valid port"
    return ""


def parse_url(text: str) -> Url:
    """Return the Url of a text without a :func:`url_problem`."""
    match = _HTTP.fullmatch(text)
    if match is None:
        raise ValueError("not an http(s) URL")
    host, _, port = match[2].partition(":")
    default = 443 if match[1] == "https" else 80
    return Url(match[1], host, int(port) if port else default, match[3] or "/")


@dataclass(frozen=True)
class NbdUri:
    """An export on ``host:port``, or at the Unix socket ``socket``."""

    export: str
    host: str = ""
    port: int = NBD_PORT
    socket: str = ""


def nbd_problem(text: str) -> str:
    """The problem of an NBD URI, as the end of a sentence; empty if it is valid."""
    try:
        parse_nbd(text)
    except ValueError as error:
        return str(error)
    return ""


def parse_nbd(text: str) -> NbdUri:
    """Return the NbdUri of a text. Raises ValueError with the end of a sentence."""
    if not text.isascii() or " " in text:
        raise ValueError("holds a space or a letter outside ASCII, which must be percent-encoded")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("is not a valid URI") from None
    if parts.scheme in {"nbds", "nbds+unix"}:
        raise ValueError("asks for TLS, which rbd_migration cannot check before an import")
    if parts.scheme not in {"nbd", "nbd+unix"}:
        raise ValueError("does not begin with nbd:// or nbd+unix://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or a password, which NBD without TLS does not use")
    if parts.fragment:
        raise ValueError("has a fragment ('#'), which NBD does not support")
    query = parse_qsl(parts.query, keep_blank_values=True)
    # An URI's path is "/export"; "//x" names the export "/x".
    export = unquote(parts.path[1:])
    if parts.scheme == "nbd":
        if query:
            raise ValueError("has a query ('?'), which nbd:// does not support")
        if not host:
            raise ValueError("has no host")
        return NbdUri(export, host, NBD_PORT if port is None else port)
    sockets = [value for name, value in query if name == "socket"]
    if host or len(query) != 1 or len(sockets) != 1 or not sockets[0].startswith("/"):
        raise ValueError("does not name one socket by its absolute path")
    return NbdUri(export, socket=sockets[0])
