"""Reading the stream of a source-spec: where its bytes come from, and how they are packed.

Each error names the path of the field. No message repeats a value that may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import replace
from errno import EINVAL
from typing import Any, Union

from .checksum import FORM, checksum_problem, parse_checksum
from .errors import MigrationError
from .source import COMPRESSIONS, CONFIG, SourceSpec, StreamSpec
from .source_fields import (
    EXAMPLE,
    as_object,
    kind_of,
    only_known,
    refuse,
    required_string,
    required_type,
)
from .url import nbd_problem, url_problem

_STREAMS = {
    "file": ("file_path",),
    "http": ("url",),
    "s3": ("url", "access_key", "secret_key"),
    "nbd": ("uri",),
}
_LOGIN = ("user", "password", "bearer_token")
_PACKED = ("compression", "size", "member")
# Fields that only the method copy knows.
_COPIED = {
    "file": (*_PACKED, "checksum"),
    "http": (*_LOGIN, "query", "ca", *_PACKED, "checksum"),
    "s3": ("region", "session_token", "addressing_style", "ca", *_PACKED, "checksum"),
    "nbd": ("checksum",),
}
_HINTS = {"https": "'http' is the type, with a URL that begins with https://"}
_REGION = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LARGEST = 1 << 60  # bytes of an RBD image are fewer


def stream_of(values: dict[str, Any], path: str) -> StreamSpec:
    """Return the stream at ``path``. Raises MigrationError."""
    if "stream" not in values:
        raise refuse(path, "is missing: it says where the bytes come from", f"as in {EXAMPLE}")
    stream = as_object(values["stream"], path)
    name = required_type(stream, path, _STREAMS, "stream", _hint)
    of = f"a stream of type {name}"
    only_known(stream, path, ("type", *_STREAMS[name], *_COPIED[name]), of)
    more = _packed(stream, path)
    if name == "file":
        return StreamSpec("file", file_path=_file_path(stream, path, of), **more)
    if name == "nbd":
        return StreamSpec("nbd", uri=_uri(stream, path, of), **more)
    if name == "http":
        stream = _without_query(stream, path)
    url = _url(stream, path, name, of)
    if "ca" in stream:
        more["ca"] = _ca(stream, path, url)
    if name == "http":
        more.update(_query(stream, path))
        return StreamSpec("http", url=url, **_login(stream, path), **more)
    keys: dict[str, Any] = {n: _key(stream, path, n) for n in _STREAMS["s3"][1:]}
    if "session_token" in stream:
        keys["session_token"] = _key(stream, path, "session_token")
    if "region" in stream:
        more["region"] = _region(stream, path)
    if "addressing_style" in stream:
        more["addressing_style"] = _addressing_style(stream, path)
    return StreamSpec("s3", url=url, **keys, **more)


def with_checksum(spec: SourceSpec, text: str, name: str) -> SourceSpec:
    """Return the source with a checksum for its head, given by the option or field ``name``.

    Raises MigrationError(EINVAL).
    """
    if spec.stream is None:
        raise MigrationError(
            EINVAL, f"{name} is for files and servers, not for images; leave it out."
        )
    problem = checksum_problem(text)
    if problem:
        raise MigrationError(EINVAL, f"{name} {problem}; {FORM}.")
    checksum = str(parse_checksum(text))
    if spec.stream.checksum not in ("", checksum):
        raise MigrationError(
            EINVAL, f"{name} is another checksum than the source-spec has; give one of them."
        )
    return replace(spec, stream=replace(spec.stream, checksum=checksum))


def _hint(value: str) -> str:
    low = value.lower()
    if low in _STREAMS:
        return f"types are written in lower case: '{low}'"
    return _HINTS.get(low, "")


def _file_path(stream: dict[str, Any], path: str, of: str) -> str:
    form = "give an absolute path, such as /mnt/image.raw"
    value = required_string(stream, path, "file_path", form, of)
    if not value.startswith("/"):
        raise refuse(f"{path}.file_path", "is a relative path", form)
    return value


def _uri(stream: dict[str, Any], path: str, of: str) -> str:
    form = "the form is nbd://host[:port]/[export] or nbd+unix:///[export]?socket=/path"
    value = required_string(stream, path, "uri", form, of)
    problem = nbd_problem(value)
    if problem:
        raise refuse(f"{path}.uri", problem, form)
    return value


def _url(stream: dict[str, Any], path: str, name: str, of: str) -> str:
    form = "the form is http[s]://host[:port]/path"
    if name == "s3":
        form = "the form is http[s]://host[:port]/bucket/object or http[s]://bucket.host/object"
    value = required_string(stream, path, "url", form, of)
    problem = url_problem(value)
    if problem:
        raise refuse(f"{path}.url", problem, form)
    return value


def _without_query(stream: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the stream with the query of its URL, which may be a secret, in a field of its own."""
    url = stream.get("url")
    if not isinstance(url, str) or "?" not in url:
        return stream
    if "query" in stream:
        raise refuse(path, "has a query, and one in the URL too", "give one of them")
    base, _, query = url.partition("?")
    return {**stream, "url": base, "query": query}


def _query(stream: dict[str, Any], path: str) -> dict[str, str]:
    if "query" not in stream:
        return {}
    form = "give what follows the question mark, percent-encoded, or config://KEY"
    value = required_string(stream, path, "query", form, "a URL with a query")
    wrong = not value.isascii() or " " in value or "#" in value
    if value == CONFIG or wrong:
        raise refuse(f"{path}.query", "is no query of a URL", form)
    return {"query": value}


def _ca(stream: dict[str, Any], path: str, url: str) -> str:
    form = "give config://KEY for the certificates that `ceph config-key set KEY -i ca.pem` stored"
    value = required_string(stream, path, "ca", form, "a server with an authority of its own")
    if not value.startswith(CONFIG) or value == CONFIG:
        raise refuse(f"{path}.ca", "names no config-key", form)
    if not url.startswith("https:"):
        raise refuse(f"{path}.ca", "is for https://, and the URL has no TLS", "leave it out")
    return value


def _login(stream: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the fields of a login that are given."""
    form = "give it as text, or as config://KEY for what `ceph config-key set KEY` stored"
    found = {
        name: required_string(stream, path, name, form, "a login")
        for name in _LOGIN
        if name in stream
    }
    for name, value in found.items():
        if value == CONFIG:
            raise refuse(f"{path}.{name}", "names no config-key", form)
    if ("user" in found) != ("password" in found) or ("user" in found and "bearer_token" in found):
        raise refuse(path, "has half of a login, or two", "give user and password, or bearer_token")
    return found


def _key(stream: dict[str, Any], path: str, name: str) -> str:
    """Return an S3 key, or a reference to one."""
    form = "give the key, or config://KEY for one that `ceph config-key set KEY` stored"
    value = required_string(
        stream, path, name, form, "a stream of type s3 (use http for public objects)"
    )
    if value == CONFIG:
        raise refuse(f"{path}.{name}", "names no config-key", form)
    if not value.startswith(CONFIG) and not value.isascii():
        raise refuse(f"{path}.{name}", "holds a character that S3 keys cannot have", form)
    return value


def _region(stream: dict[str, Any], path: str) -> str:
    form = "give its name, such as eu-central-1"
    value = required_string(stream, path, "region", form, "a service with regions")
    if not _REGION.fullmatch(value):
        raise refuse(f"{path}.region", "is no name of a region", form)
    return value


def _addressing_style(stream: dict[str, Any], path: str) -> str:
    form = "choose from path, virtual"
    value = required_string(stream, path, "addressing_style", form, "a list of objects")
    if value not in ("path", "virtual"):
        raise refuse(f"{path}.addressing_style", "is no way to name a bucket", form)
    return value


def _packed(stream: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the fields that say how the disk is packed, and the checksum."""
    found: dict[str, Union[str, int]] = {}
    if "compression" in stream:
        found["compression"] = _compression(stream, path)
    if "size" in stream:
        found["size"] = _size(stream, path)
    if "member" in stream:
        form = "give the name of a file in the archive, as `tar -tf FILE` lists it"
        found["member"] = required_string(stream, path, "member", form, "an archive")
    if "checksum" in stream:
        value = required_string(stream, path, "checksum", FORM, "a check of the source")
        problem = checksum_problem(value)
        if problem:
            raise refuse(f"{path}.checksum", problem, FORM)
        found["checksum"] = str(parse_checksum(value))
    return found


def _compression(stream: dict[str, Any], path: str) -> str:
    form = f"choose from {', '.join(COMPRESSIONS)}"
    value = required_string(stream, path, "compression", form, "a compressed stream")
    if value not in COMPRESSIONS:
        raise refuse(f"{path}.compression", "is none that is decompressed", form)
    return value


def _size(stream: dict[str, Any], path: str) -> int:
    form = "give the bytes of the disk, as a number"
    value: object = stream["size"]
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(f"{path}.size", f"is {kind_of(value)}, not a whole number", form)
    if not 0 < value < _LARGEST:
        raise refuse(f"{path}.size", "is no size of a disk", form)
    return value
