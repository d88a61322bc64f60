"""The objects of a bucket whose names begin with a prefix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from errno import E2BIG, EBADMSG, ENOENT
from html import unescape
from urllib.parse import quote, unquote

from ...model.source import StreamSpec
from ...model.url import Url, parse_url
from ..errors import SourceError
from ..net import Rules
from ..s3_copied import CopiedS3Stream, canonical
from ..stream import Resolve
from ..tls import Trust

_MOST_PAGES = 100  # of 1000 objects each
_LONGEST_PAGE = 2 << 20  # bytes; a key has at most 1024
_KEY = re.compile(rb"<Key>([^<]{1,4096})</Key>")
_NEXT = re.compile(rb"<NextContinuationToken>([^<]{1,4096})</NextContinuationToken>")
_ENCODED = b"<EncodingType>url</EncodingType>"
_AWS = re.compile(r"[^/]+\.s3[.-]([a-z0-9-]+\.)*amazonaws\.com(\.cn)?")
_SAFE = "/-._~"  # characters of a key that stay as they are in a path


def _in_host(spec: StreamSpec, url: Url) -> bool:
    """Whether the bucket is in the name of the host."""
    if spec.addressing_style:
        return spec.addressing_style == "virtual"
    return bool(_AWS.fullmatch(url.host.lower()))


class Bucket(CopiedS3Stream):
    """The list of the objects at ``http[s]://host/bucket/prefix``, or ``http[s]://bucket.host/prefix``.

    Raises SourceError.

    ``base``: the URL that :meth:`names` are relative to.
    """

    longest_body = _LONGEST_PAGE

    def __init__(self, *, spec: StreamSpec, rules: Rules, resolve: Resolve, trust: Trust) -> None:
        url = parse_url(spec.url)
        self._in_host = _in_host(spec, url)
        bucket, _, wanted = ("", "", url.path[1:]) if self._in_host else url.path[1:].partition("/")
        folder = f"/{bucket}/" if bucket else "/"
        self._bucket, self._wanted = canonical(folder), unquote(wanted)
        self.base = f"{url.scheme}://{url.place}{folder}"
        super().__init__(spec, rules, resolve, trust=trust)

    def _require_named(self, url: str) -> None:
        if not self._in_host and not parse_url(url).path[1:].partition("/")[0]:
            raise SourceError(
                "S3_NO_BUCKET",
                ENOENT,
                f"{url} names no bucket; the form is http[s]://host[:port]/bucket/prefix.",
            )

    def _open(self) -> None:
        self.size, self.identity = 0, {}

    def _signed_path(self) -> str:
        return self._bucket  # a query is no part of what is signed

    def names(self) -> Iterator[str]:
        """The objects, percent-encoded, without those that stand for folders."""
        token = b""
        for _ in range(_MOST_PAGES):
            page = self._page(token)
            encoded = _ENCODED in page
            for match in _KEY.finditer(page):
                text = match[1].decode("utf-8", "replace")
                key = unquote(text) if encoded else unescape(text)
                if not key.endswith("/"):
                    yield quote(key, safe=_SAFE)
            found = _NEXT.search(page)
            if found is None:
                return
            token = unescape(found[1].decode("utf-8", "replace")).encode()
        raise SourceError(
            "LIST_TOO_LONG",
            E2BIG,
            f"{self.label} has more than {_MOST_PAGES * 1000} objects; give a longer prefix.",
        )

    def _page(self, token: bytes) -> bytes:
        query = "list-type=2&encoding-type=url"
        if token:
            query += f"&continuation-token={quote(token, safe='')}"
        if self._wanted:
            query += f"&prefix={quote(self._wanted, safe='')}"
        self.url = replace(self.url, path=f"{self._bucket}?{query}")
        answer = self.ask("GET")
        if answer.status != 200:
            raise self.failure(answer, "GET")
        if b"<ListBucketResult" not in answer.body or len(answer.body) > self.longest_body:
            raise SourceError(
                "LIST_BROKEN",
                EBADMSG,
                f"The server {self.url.host}:{self.url.port} gives no list of objects for "
                f"{self.label}; check that it is an S3 service.",
            )
        return answer.body
