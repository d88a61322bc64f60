"""Redirects of a web server, which librbd does not follow: where they lead, and what helps.

Each hop is requested under the same policy as the source. A URL may hold a signature in its query,
so no query is shown.
"""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from errno import EINVAL
from typing import Optional, Protocol
from urllib.parse import parse_qsl, quote, urldefrag, urljoin, urlsplit

from ..model.url import url_problem
from .conversion import copied
from .errors import SourceError

REDIRECTS = {301, 302, 303, 307, 308}
MAX_REDIRECTS = 5  # redirects followed to report where they end

_PERMANENT = {301, 308}
_KEPT = "%/:=&?~#+!$,;'@()*[]"  # characters that have a meaning in a URL
_LONGEST = 4096  # characters of a Location
BY_COPYING = {"HTTP_NO_RANGE", "HTTP_NO_HEAD", "HTTP_NO_LENGTH"}
"""Problems of a server from which a file can be copied all the same."""


class Hop(Protocol):
    """One URL in a chain of redirects. Everything raises SourceError."""

    identity: dict[str, str]

    def leads(self) -> Optional[tuple[int, Mapping[str, str]]]:
        """Status and headers of a redirect; None where the file is.

        Raises SourceError also if librbd could not read it there. A URL with a query is read all
        the same.
        """

    def close(self) -> None:
        """Close its connection."""


def explained(
    url: str, status: int, headers: Mapping[str, str], hop: Callable[[str], Hop]
) -> SourceError:
    """The error for a redirect of ``url``. It says where it leads, and what to do instead."""
    begin = f"The server {_server(url)} redirects"
    target, permanent = url, True
    for _ in range(MAX_REDIRECTS):
        location = headers.get("location", "")[:_LONGEST]
        if not location:
            return _refused(f"{begin} (HTTP {status}) without saying where to")
        permanent = permanent and status in _PERMANENT
        target = next_url(target, location)
        problem = url_problem(without_query(target))
        if problem:
            return _refused(
                f"{begin}, which librbd does not follow; the URL that it leads to {problem}"
            )
        try:
            further, identity = _looked(hop(target))
        except SourceError as error:
            return _unusable(url, target, error)
        if further is None:
            return _found(url, target, permanent, identity, hop)
        status, headers = further
    return _refused(
        f"{begin}, which librbd does not follow, and more than {MAX_REDIRECTS} times in a row"
    )


def destination(url: str, headers: Mapping[str, str]) -> str:
    """Where a redirect of ``url`` leads, as it may be shown."""
    return without_secrets(next_url(url, headers.get("location", "")[:_LONGEST]))


def _looked(hop: Hop) -> tuple[Optional[tuple[int, Mapping[str, str]]], dict[str, str]]:
    try:
        return hop.leads(), hop.identity
    finally:
        hop.close()


def _found(
    url: str, target: str, permanent: bool, identity: dict[str, str], hop: Callable[[str], Hop]
) -> SourceError:
    """The error for redirects that end at ``target``, where the file is."""
    begin = f"The server {_server(url)} redirects to {without_secrets(target)}"
    bare = without_query(target)
    if bare == target or _same(bare, identity, hop):
        query = "" if bare == target else ", which gives the same file without its query"
        lasts = "" if permanent else f"; it must not change before the commit, or else {_COPY}"
        return _refused(
            f"{begin}{query}, and librbd does not follow that; give that URL{lasts}",
            f'"url": "{bare}"',
        )
    ends = signed_until(target)
    signed = "" if ends is None else f" (a signature that is valid until {_shown(ends)})"
    return _refused(
        f"{begin} with a query{signed}, and librbd neither follows that nor sends a query; {_COPY}",
        copied(url),
    )


_COPY = "copy the file to a folder that is open to imports and import it from there"


def _same(bare: str, identity: dict[str, str], hop: Callable[[str], Hop]) -> bool:
    """Whether a URL without its query gives the same file, by size and tags."""
    try:
        further, found = _looked(hop(bare))
    except SourceError:
        return False
    return further is None and found == identity and len(identity) > 1


def _unusable(url: str, target: str, error: SourceError) -> SourceError:
    """The error for a hop that could not be read, as the beginning of it says."""
    message = error.message[:1].lower() + error.message[1:]
    if not message.startswith("the "):
        message = error.message
    remedy = copied(url) if error.problem in BY_COPYING else ""
    return SourceError(
        error.problem,
        error.errno,
        f"The server {_server(url)} redirects to {without_secrets(target)}, and {message}",
        transient=error.transient,
        remedy=remedy,
    )


def _refused(sentence: str, remedy: str = "") -> SourceError:
    return SourceError("HTTP_REDIRECT", EINVAL, f"{sentence}.", remedy=remedy)


def next_url(url: str, location: str) -> str:
    """The URL that a Location leads to, percent-encoded, without a fragment."""
    encoded = quote(location.encode("latin-1", "replace"), safe=_KEPT)
    try:
        parts = urlsplit(urldefrag(urljoin(url, encoded)).url)
    except ValueError:
        return encoded
    # librbd cuts off what is behind a semicolon.
    return parts._replace(path=parts.path.replace(";", "%3B") or "/").geturl()


def without_query(url: str) -> str:
    """A URL without its query."""
    return url.partition("?")[0]


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def without_secrets(url: str) -> str:
    """A URL from a server, without possible secrets: user, password, query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
    except ValueError:
        return "an invalid URL"


def signed_until(url: str) -> Optional[float]:
    """When the signature in a URL expires, if its query says so in a form of object stores."""
    values = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    for provider in ("x-amz", "x-goog"):
        begun, lasts = values.get(f"{provider}-date", ""), values.get(f"{provider}-expires", "")
        try:
            return timegm(time.strptime(begun, "%Y%m%dT%H%M%SZ")) + int(lasts[:10])
        except ValueError:
            continue
    if re.fullmatch(r"[0-9]{9,11}", values.get("expires", ""), re.ASCII):
        return float(values["expires"])
    try:
        ends = datetime.fromisoformat(values.get("se", "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return ends.replace(tzinfo=ends.tzinfo or timezone.utc).timestamp()


def _shown(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
