"""Reading a source-spec: JSON text becomes a SourceSpec, or an error in one sentence.

librbd ignores what it does not understand: unknown fields are dropped, a query or a password in a
URL is not sent, and ``cluster_name`` means the local cluster before Ceph 20. So everything that it
would ignore is refused here. No message repeats a value that may be a secret.
"""

from __future__ import annotations

import re
from typing import Any, Optional

from .mon_hosts import parse_mon_host
from .source import CONFIG, COPIED_FORMATS, SnapshotSpec, SourceSpec, StreamSpec
from .source_fields import (
    as_object,
    kind_of,
    load_json,
    only_known,
    refuse,
    required_string,
    required_type,
)
from .stream_spec import stream_of

__all__ = ["SnapshotSpec", "SourceSpec", "StreamSpec", "parse_source_spec", "unsupported"]

MAX_SNAPSHOTS = 500  # each is a stream that librbd opens at once

_CEPHX_KEY = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_CLIENT = re.compile(r"client\.\S+")
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

_FORMATS = ("native", "qcow", "raw", *COPIED_FORMATS)
_FORMAT_HINTS = {
    "qcow2": "'qcow' is the type for all versions of QCOW",
    "rbd": "'native' is the type of RBD images",
    "vhd": "'vpc' is the type of VHD files",
    "hds": "'parallels' is the type of Parallels disks",
    "luks": "a LUKS volume is a disk like any other to RBD, so its type is 'raw'",
}
# Other disk formats, and their names in qemu-img.
_OTHER_FORMATS = {
    "qed": "qed",
}
_NATIVE_TEXTS = (
    "pool_name", "pool_namespace", "image_name", "image_id", "snap_name", "cluster_name",
    "client_name", "mon_host", "key",
)  # fmt: skip
_FREE_TEXTS = ("cluster_name", "client_name", "mon_host", "key")  # names of no pool or image
_NATIVE_NUMBERS = ("pool_id", "snap_id")


def parse_source_spec(text: str) -> SourceSpec:
    """Return the SourceSpec of JSON text. Raises MigrationError(EINVAL), which names the path."""
    spec = as_object(load_json(text), "")
    kind = required_type(spec, "", _FORMATS, "format", _format_hint)
    if kind == "native":
        return _native(spec)
    more = {"raw": ("snapshots",), "qcow": ("passphrase",)}
    allowed = ("type", "stream", *more.get(kind, ()))
    only_known(spec, "", allowed, f"a {kind} source")
    return SourceSpec(
        format=kind,
        stream=stream_of(spec, "stream"),
        snapshots=_snapshots(spec.get("snapshots", [])),
        passphrase=_passphrase(spec),
    )


def _passphrase(spec: dict[str, Any]) -> str:
    """Return the passphrase, or a reference to it; empty without one."""
    if "passphrase" not in spec:
        return ""
    form = "give the passphrase, or config://KEY for one that `ceph config-key set KEY` stored"
    value = required_string(spec, "", "passphrase", form, "an encrypted source")
    if value == CONFIG:
        raise refuse("passphrase", "names no config-key", form)
    return value


def unsupported(spec: SourceSpec) -> Optional[str]:
    """Return why no release can read the source correctly, for EOPNOTSUPP; None if it can be read.

    Releases before 20 read the local cluster in place of one that ``cluster_name`` names, and 20
    copies wrong bytes.
    """
    if spec.cluster_name is None:
        return None
    return (
        f"{spec.label()} is in another cluster that is given by its name, whose live head librbd "
        "would copy in place of the snapshot; give mon_host and key in place of cluster_name."
    )


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


def _snapshots(value: Any) -> tuple[SnapshotSpec, ...]:
    form = 'give a list, the oldest first: [{"type": "raw", "name": "snap1", "stream": {...}}]'
    if not isinstance(value, list):
        raise refuse("snapshots", f"is {kind_of(value)}, not a list", form)
    if len(value) > MAX_SNAPSHOTS:
        raise refuse("snapshots", f"has more than {MAX_SNAPSHOTS} entries", "import fewer")
    found: list[SnapshotSpec] = []
    for number, item in enumerate(value):
        path = f"snapshots[{number}]"
        if not isinstance(item, dict):
            raise refuse(path, f"is {kind_of(item)}, not an object", form)
        required_type(
            item, path, ("raw",), "snapshot", lambda _: "snapshots can only be of type raw"
        )
        only_known(item, path, ("type", "name", "stream"), "a snapshot")
        name = required_string(item, path, "name", "give the snapshot's name", "a snapshot")
        _name(name, f"{path}.name")
        if any(name == other.name for other in found):
            raise refuse(f"{path}.name", "is the name of an earlier snapshot", "give each its own")
        found.append(SnapshotSpec(name, stream_of(item, f"{path}.stream")))
    return tuple(found)


def _name(name: str, path: str) -> None:
    if "/" in name or "@" in name:
        raise refuse(
            path, "holds '/' or '@', which RBD does not allow in names", "give the bare name"
        )


def _native(spec: dict[str, Any]) -> SourceSpec:
    only_known(spec, "", ("type", *_NATIVE_TEXTS, *_NATIVE_NUMBERS), "a native source")
    values: dict[str, Any] = {}
    for name in _NATIVE_TEXTS:
        if name == "pool_namespace" and spec.get(name) == "":
            continue  # the default namespace, as in librbd
        if name in spec:
            values[name] = required_string(spec, "", name, "give its name", "a native source")
            if name not in _FREE_TEXTS:
                _name(values[name], name)
    for name in _NATIVE_NUMBERS:
        if name in spec:
            values[name] = _number(spec[name], name)
    _one_of(values, "pool_name", "pool_id", "the pool")
    if "image_name" not in values:
        raise refuse("image_name", "is missing: a native source needs it", "give the image's name")
    if "mon_host" not in values or {"snap_name", "snap_id"} & values.keys():
        _one_of(values, "snap_name", "snap_id", "the snapshot, which an import needs,")
    _other_cluster(values)
    return SourceSpec(format="native", **values)


def _other_cluster(values: dict[str, Any]) -> None:
    """Refuse what does not say how to reach another cluster."""
    form = "give the addresses of its monitors as mon_host, and the key of a client of it as key"
    if "mon_host" in values and "cluster_name" in values:
        raise refuse("cluster_name and mon_host", "are both given", form)
    if ("mon_host" in values) != ("key" in values):
        missing = "key" if "mon_host" in values else "mon_host"
        raise refuse(missing, "is missing: a source in another cluster needs it", form)
    if "mon_host" in values:
        try:
            parse_mon_host(values["mon_host"])
        except ValueError as error:
            raise refuse("mon_host", str(error), "the form is 10.0.0.1,10.0.0.2:6789") from None
        key = values["key"]
        if not key.startswith(CONFIG) and not _CEPHX_KEY.fullmatch(key):
            raise refuse("key", "is no key of Ceph", "give what `ceph auth print-key` prints")
        if key == CONFIG:
            raise refuse("key", "names no config-key", "give config://KEY")
    elif "client_name" in values and "cluster_name" not in values:
        raise refuse("client_name", "is given without mon_host and key", "give all or none of them")
    if "cluster_name" in values and not _CLUSTER.fullmatch(values["cluster_name"]):
        raise refuse(
            "cluster_name",
            "is not the name of a cluster",
            "give NAME, whose file is /etc/ceph/NAME.conf",
        )
    if "client_name" in values and not _CLIENT.fullmatch(values["client_name"]):
        raise refuse("client_name", "is not the name of a client", "give one such as client.import")


def _number(value: Any, name: str) -> int:
    """Return an id, given as a number or (as in Ceph's guide) as text."""
    number = -1
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    if not 0 <= number < 1 << 63:
        raise refuse(name, "is no id", "give a number such as 4")
    return number


def _one_of(values: dict[str, Any], first: str, second: str, what: str) -> None:
    if (first in values) == (second in values):
        wrong = "are both given" if first in values else "are both missing"
        raise refuse(f"{first} and {second}", wrong, f"name {what} by one of them")
