"""The files that a web server's page lists: the index of Apache, nginx and others, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from errno import EBADMSG
from html import unescape
from urllib.parse import quote

from ..errors import SourceError
from ..redirects import next_url, without_query

# Bounded, so that no page takes long: the value of href in the tag of a link.
_LINK = re.compile(
    rb"""<a\s[^<>]{0,512}?href\s{0,4}=\s{0,4}(?:"([^"<>]{1,4096})"|'([^'<>]{1,4096})')""", re.I
)
_SAFE = "-._~!$'()*+,=:@"  # characters of a name that stay as they are in a path


def names(content: bytes, kind: str, url: str) -> Iterator[str]:
    """The files next to a page, as its URL has them. Raises SourceError.

    ``kind`` is the type of the content, such as text/html. Links to other folders and servers are
    left out, and so are those that only sort the list.
    """
    if kind == "application/json":
        yield from _of_json(content, url)
        return
    folder = url.rpartition("/")[0] + "/"
    for match in _LINK.finditer(content):
        link = unescape((match[1] or match[2]).decode("utf-8", "replace"))
        if link.startswith(("?", "#")):
            continue
        target = without_query(next_url(url, link.encode().decode("latin-1")))
        name = target[len(folder) :]
        if target.startswith(folder) and name and "/" not in name:
            yield name


def _of_json(content: bytes, url: str) -> Iterator[str]:
    """The files of nginx's index in JSON."""
    try:
        entries = json.loads(content)
        found = [entry["name"] for entry in entries if entry["type"] == "file"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise SourceError(
            "LIST_BROKEN",
            EBADMSG,
            f"{url} answers JSON that is no index of files (objects with name and type).",
        ) from None
    for name in found:
        if isinstance(name, str) and "/" not in name:
            yield quote(name.encode("utf-8", "surrogatepass"), safe=_SAFE)
