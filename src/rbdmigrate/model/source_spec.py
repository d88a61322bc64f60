"""Reading a source-spec: JSON text becomes a SourceSpec, or an error in one sentence.

librbd ignores what it does not understand: unknown fields are dropped, a query or a password in a
URL is not sent, and ``cluster_name`` means the local cluster before Ceph 20. So everything that it
would ignore is refused here. No message repeats a value that may be a secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from errno import EINVAL
from typing import Any, Callable, Optional

from .errors import MigrationError
from .source import CONFIG, SnapshotSpec, SourceSpec, StreamSpec
from .url import nbd_problem, url_problem

__all__ = [
    "SnapshotSpec",
    "SourceSpec",
    "StreamSpec",
    "parse_source_spec",
    "unsupported",
]

MAX_TEXT = 64 << 10  # characters; the longest sensible spec, with 100 snapshots, has a third of it
MAX_DEPTH = 8  # a spec has 4 levels
MAX_SNAPSHOTS = 500  # each is a stream that librbd opens at once
MAX_STRING = 4096  # the longest path of Linux, and longer than servers take for a URL

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)
_EXAMPLE = '{"type": "raw", "stream": {"type": "file", "file_path": "/mnt/image.raw"}}'
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CLIENT = re.compile(r"client\.\S+")
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

_FORMATS = ("native", "qcow", "raw")
_FORMAT_HINTS = {
    "qcow2": "'qcow' is the type for all versions of QCOW",
    "rbd": "'native' is the type of RBD images",
    "luks": "a LUKS volume is a disk like any other to RBD, so its type is 'raw'",
}
# Other disk formats, and their names in qemu-img.
_OTHER_FORMATS = {
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vpc": "vpc",
    "vhdx": "vhdx",
    "qed": "qed",
}
_STREAMS = {
    "file": ("file_path",),
    "http": ("url",),
    "s3": ("url", "access_key", "secret_key"),
    "nbd": ("uri",),
}
_STREAM_HINTS = {"https": "'http' is the type, with a URL that begins with https://"}
_NATIVE_TEXTS = (
    "pool_name", "pool_namespace", "image_name", "image_id", "snap_name", "cluster_name",
    "client_name",
)  # fmt: skip
_NATIVE_NUMBERS = ("pool_id", "snap_id")


class _Duplicate(ValueError):
    pass


class _Constant(ValueError):
    pass


def parse_source_spec(text: str) -> SourceSpec:
    """Return the SourceSpec of JSON text. Raises MigrationError(EINVAL), which names the path."""
    spec = _object(_load(text), "")
    kind = _type(spec, "", _FORMATS, "format", _format_hint)
    if kind == "native":
        return _native(spec)
    allowed = ("type", "stream", "snapshots") if kind == "raw" else ("type", "stream")
    _known(spec, "", allowed, f"a {kind} source")
    return SourceSpec(
        format=kind,
        stream=_stream(spec, "stream"),
        snapshots=_snapshots(spec.get("snapshots", [])),
    )


def unsupported(spec: SourceSpec) -> Optional[str]:
    """Return why no release can read the source correctly, for EOPNOTSUPP; None if it can be read.

    Releases before 20 read the local cluster in place of another one, and 20 copies wrong bytes.
    """
    if spec.cluster_name is None:
        return None
    return (
        f"{spec.label()} is in another cluster, whose live head librbd would copy in place of "
        "the snapshot; export the snapshot there with `rbd export` and import that as raw."
    )


def _refuse(path: str, problem: str, form: str = "") -> MigrationError:
    where = f"{path} in the source-spec" if path else "The source-spec"
    return MigrationError(EINVAL, f"{where} {problem}" + (f"; {form}." if form else "."))


def _load(text: str) -> Any:
    """Parse JSON strictly: no duplicate keys, no NaN, bounded depth and size."""
    if len(text) > MAX_TEXT:
        raise _refuse("", f"is longer than {MAX_TEXT} characters", "leave out what is not needed")
    depth = 0
    for found in _STRUCTURE.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found.group(), 0)
        if depth > MAX_DEPTH:
            raise _refuse(
                "", f"is nested deeper than {MAX_DEPTH} levels", f"the form is {_EXAMPLE}"
            )
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except _Duplicate as error:
        raise _refuse(str(error), "is given twice", "give it once") from None
    except _Constant as error:
        raise _refuse("", f"holds {error}, which is not JSON", "leave it out") from None
    except json.JSONDecodeError as error:
        raise _refuse(
            "",
            f"is not JSON (line {error.lineno}, column {error.colno}: {error.msg.lower()})",
            f"the form is {_EXAMPLE}",
        ) from None
    except (ValueError, RecursionError):
        raise _refuse(
            "", "holds a number that is too long", "give ids as `ceph` shows them"
        ) from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Duplicate(_shown(name))
        found[name] = value
    return found


def _constant(name: str) -> Any:
    raise _Constant(name)


def _shown(name: str) -> str:
    """A field's name as given, for a message: printable and short."""
    printable = name.encode("ascii", "backslashreplace").decode()
    return _CONTROL.sub("?", printable)[:40] or "''"


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number"}


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "a number")


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refuse(path, f"is {_kind(value)}", "it must be an object such as " + _EXAMPLE)
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _known(values: dict[str, Any], path: str, allowed: Iterable[str], of: str) -> None:
    allowed = tuple(allowed)
    for name in values:
        if name not in allowed:
            fields = ", ".join(allowed)
            raise _refuse(
                _join(path, _shown(name)), f"is not a field of {of}", f"its fields are {fields}"
            )


def _string(values: dict[str, Any], path: str, name: str, form: str, of: str) -> str:
    """Return a required string: not empty, printable, of bounded length."""
    where = _join(path, name)
    if name not in values:
        raise _refuse(where, f"is missing: {of} needs it", form)
    value = values[name]
    if not isinstance(value, str):
        raise _refuse(where, f"is {_kind(value)}, not a string", form)
    if not value:
        raise _refuse(where, "is empty", form)
    if len(value) > MAX_STRING:
        raise _refuse(where, f"is longer than {MAX_STRING} characters", form)
    if not value.isprintable():  # half of a surrogate pair is not either
        raise _refuse(where, "holds an unprintable character", form)
    return value


def _type(
    values: dict[str, Any],
    path: str,
    known: Iterable[str],
    of: str,
    hint: Callable[[str], str],
) -> str:
    listed = ", ".join(known)
    form = f"choose from {listed}"
    value = _string(values, path, "type", form, f"every {of}")
    if value not in known:
        advice = hint(value)
        raise _refuse(
            _join(path, "type"),
            f"is {_shown(value)!r}, which is no {of} that librbd reads",
            advice or form,
        )
    return value


def _format_hint(value: str) -> str:
    low = value.lower()
    if low in _OTHER_FORMATS:
        return (
            f"convert it first: `qemu-img convert -f {_OTHER_FORMATS[low]} -O qcow2 SOURCE "
            "image.qcow2`, and give the type 'qcow' for that"
        )
    if low in _FORMATS:
        return f"types are written in lower case: '{low}'"
    return _FORMAT_HINTS.get(low, "")


def _stream_hint(value: str) -> str:
    low = value.lower()
    if low in _STREAMS:
        return f"types are written in lower case: '{low}'"
    return _STREAM_HINTS.get(low, "")


def _stream(values: dict[str, Any], path: str) -> StreamSpec:
    if "stream" not in values:
        raise _refuse(path, "is missing: it says where the bytes come from", f"as in {_EXAMPLE}")
    stream = _object(values["stream"], path)
    kind = _type(stream, path, _STREAMS, "stream", _stream_hint)
    _known(stream, path, ("type", *_STREAMS[kind]), f"a stream of type {kind}")
    of = f"a stream of type {kind}"
    if kind == "file":
        form = "give an absolute path, such as /mnt/image.raw"
        file_path = _string(stream, path, "file_path", form, of)
        if not file_path.startswith("/"):
            raise _refuse(f"{path}.file_path", "is a relative path", form)
        return StreamSpec("file", file_path=file_path)
    if kind == "nbd":
        form = "the form is nbd://host[:port]/[export] or nbd+unix:///[export]?socket=/path"
        uri = _string(stream, path, "uri", form, of)
        problem = nbd_problem(uri)
        if problem:
            raise _refuse(f"{path}.uri", problem, form)
        return StreamSpec("nbd", uri=uri)
    form = "the form is http[s]://host[:port]/path"
    if kind == "s3":
        form = "the form is http[s]://host[:port]/bucket/object or http[s]://bucket.host/object"
    url = _string(stream, path, "url", form, of)
    problem = url_problem(url)
    if problem:
        raise _refuse(f"{path}.url", problem, form)
    if kind == "http":
        return StreamSpec("http", url=url)
    return StreamSpec("s3", url=url, **{n: _key(stream, path, n) for n in _STREAMS["s3"][1:]})


def _key(stream: dict[str, Any], path: str, name: str) -> str:
    """Return an S3 key, or a reference to one."""
    form = "give the key, or config://KEY for one that `ceph config-key set KEY` stored"
    value = _string(stream, path, name, form, "a stream of type s3 (use http for public objects)")
    if value == CONFIG:
        raise _refuse(f"{path}.{name}", "names no config-key", form)
    if not value.startswith(CONFIG) and not value.isascii():
        raise _refuse(f"{path}.{name}", "holds a character that S3 keys cannot have", form)
    return value


def _snapshots(value: Any) -> tuple[SnapshotSpec, ...]:
    form = 'give a list, the oldest first: [{"type": "raw", "name": "snap1", "stream": {...}}]'
    if not isinstance(value, list):
        raise _refuse("snapshots", f"is {_kind(value)}, not a list", form)
    if len(value) > MAX_SNAPSHOTS:
        raise _refuse("snapshots", f"has more than {MAX_SNAPSHOTS} entries", "import fewer")
    found: list[SnapshotSpec] = []
    for number, item in enumerate(value):
        path = f"snapshots[{number}]"
        if not isinstance(item, dict):
            raise _refuse(path, f"is {_kind(item)}, not an object", form)
        _type(item, path, ("raw",), "snapshot", lambda _: "snapshots can only be of type raw")
        _known(item, path, ("type", "name", "stream"), "a snapshot")
        name = _string(item, path, "name", "give the snapshot's name", "a snapshot")
        _name(name, f"{path}.name")
        if any(name == other.name for other in found):
            raise _refuse(f"{path}.name", "is the name of an earlier snapshot", "give each its own")
        found.append(SnapshotSpec(name, _stream(item, f"{path}.stream")))
    return tuple(found)


def _name(name: str, path: str) -> None:
    if "/" in name or "@" in name:
        raise _refuse(
            path, "holds '/' or '@', which RBD does not allow in names", "give the bare name"
        )


def _native(spec: dict[str, Any]) -> SourceSpec:
    _known(spec, "", ("type", *_NATIVE_TEXTS, *_NATIVE_NUMBERS), "a native source")
    values: dict[str, Any] = {}
    for name in _NATIVE_TEXTS:
        if name == "pool_namespace" and spec.get(name) == "":
            continue  # the default namespace, as in librbd
        if name in spec:
            values[name] = _string(spec, "", name, "give its name", "a native source")
            if name not in {"cluster_name", "client_name"}:
                _name(values[name], name)
    for name in _NATIVE_NUMBERS:
        if name in spec:
            values[name] = _number(spec[name], name)
    _one_of(values, "pool_name", "pool_id", "the pool")
    if "image_name" not in values:
        raise _refuse("image_name", "is missing: a native source needs it", "give the image's name")
    _one_of(values, "snap_name", "snap_id", "the snapshot, which an import needs,")
    if "client_name" in values and "cluster_name" not in values:
        raise _refuse("client_name", "is given without cluster_name", "give both or neither")
    if "cluster_name" in values and not _CLUSTER.fullmatch(values["cluster_name"]):
        raise _refuse(
            "cluster_name",
            "is not the name of a cluster",
            "give NAME, whose file is /etc/ceph/NAME.conf",
        )
    if "client_name" in values and not _CLIENT.fullmatch(values["client_name"]):
        raise _refuse(
            "client_name", "is not the name of a client", "give one such as client.import"
        )
    return SourceSpec(format="native", **values)


def _number(value: Any, name: str) -> int:
    """Return an id, given as a number or (as in Ceph's guide) as text."""
    number = -1
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    if not 0 <= number < 1 << 63:
        raise _refuse(name, "is no id", "give a number such as 4")
    return number


def _one_of(values: dict[str, Any], first: str, second: str, what: str) -> None:
    if (first in values) == (second in values):
        wrong = "are both given" if first in values else "are both missing"
        raise _refuse(f"{first} and {second}", wrong, f"name {what} by one of them")
