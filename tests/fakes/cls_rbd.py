"""The class methods of RBD's on-disk interface that rbd_migration calls, with Ceph's encoding.

A method that is missing here raises NotImplementedError with its name.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from . import errors
from .cluster import BLOCK, Cluster, Header, Object

_ORDER = BLOCK.bit_length() - 1


@dataclass
class Link:
    """A migration header. ``snapshots``: the source's numbers with those on the target."""

    is_source: bool
    pool_id: int
    namespace: str
    name: str
    image_id: str
    state: int
    snapshots: dict[int, int]
    overlap: int = 0
    flatten: bool = False
    mirroring: bool = False
    mirror_mode: int = 0


def string(text: str) -> bytes:
    """A length-prefixed string."""
    raw = text.encode("utf-8", "surrogateescape")
    return struct.pack("<I", len(raw)) + raw


def versioned(payload: bytes, version: int = 1) -> bytes:
    """A versioned structure."""
    return struct.pack("<BBI", version, 1, len(payload)) + payload


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, form: str) -> Any:
        (value,) = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return value

    def string(self) -> str:
        size = self.take("I")
        self._at += size
        return self._data[self._at - size : self._at].decode("utf-8", "surrogateescape")

    def enter(self) -> None:
        self.take("B"), self.take("B"), self.take("I")


def encode_link(link: Link) -> bytes:
    """A migration header as ``migration_get`` gives it."""
    body = struct.pack("<Bq", 1 if link.is_source else 2, link.pool_id) + string(link.namespace)
    body += string(link.name) + string(link.image_id)
    body += struct.pack("<I", len(link.snapshots))
    for old, new in sorted(link.snapshots.items()):
        body += struct.pack("<QQ", old, new)
    body += struct.pack("<QBB", link.overlap, link.flatten, link.mirroring)
    body += struct.pack("<B", link.state) + string("")
    body += struct.pack("<B", link.mirror_mode) + string("")
    return versioned(body, 3)


def _decode_link(data: bytes) -> Link:
    read = _Reader(data)
    read.enter()
    kind, pool_id, namespace = read.take("B"), read.take("q"), read.string()
    name, image_id = read.string(), read.string()
    snapshots = {read.take("Q"): read.take("Q") for _ in range(read.take("I"))}
    overlap, flatten, mirroring = read.take("Q"), bool(read.take("B")), bool(read.take("B"))
    return Link(
        kind == 1, pool_id, namespace, name, image_id, read.take("B"), snapshots, overlap, flatten,
        mirroring,
    )  # fmt: skip


def _fail(number: int, message: str) -> Any:
    kind = errors.ObjectNotFound if number == errno.ENOENT else errors.RadosOSError
    raise kind(message, errno=number)


def _omap(found: Object, key: str) -> bytes:
    return found.omap[key] if key in found.omap else _fail(errno.ENOENT, f"no key {key}")


def trash_spec(name: str) -> bytes:
    """The trash entry of an image that a migration put there."""
    return versioned(struct.pack("<B", 2) + string(name) + struct.pack("<IIIII", 0, 0, 0, 0, 0))


# -- reading ---------------------------------------------------------------------------------


def header_keys(found: Object) -> dict[str, bytes]:
    """What the omap of an image's header object holds of it."""
    header = found.header
    if header is None:
        return {}
    keys = {"size": struct.pack("<Q", header.size), "features": struct.pack("<Q", header.features)}
    for number, snapshot in header.snapshots.items():
        body = struct.pack("<Q", number) + string(snapshot.name) + struct.pack("<Q", snapshot.size)
        keys[f"snapshot_{number:016x}"] = versioned(body, 8)
    return keys


def _get_snapcontext(cluster: Cluster, header: Header, read: _Reader) -> bytes:
    numbers = sorted(header.snapshots, reverse=True)
    return struct.pack("<QI", numbers[0] if numbers else 0, len(numbers)) + b"".join(
        struct.pack("<Q", number) for number in numbers
    )


def _snapshot_get(cluster: Cluster, header: Header, read: _Reader) -> bytes:
    number = read.take("Q")
    found = header.snapshots.get(number)
    if found is None:
        return _fail(errno.ENOENT, f"no snapshot {number}")
    space = versioned(struct.pack("<I", 2 if found.in_trash else 0))
    body = struct.pack("<Q", number) + space + string(found.name)
    body += struct.pack("<QBII", found.size, found.protected, 0, 0)
    return versioned(body)


def _get_protection_status(cluster: Cluster, header: Header, read: _Reader) -> bytes:
    found = header.snapshots.get(read.take("Q"))
    return struct.pack("<B", 2 if found is not None and found.protected else 0)


def _migration_get(cluster: Cluster, header: Header, read: _Reader) -> bytes:
    return _fail(errno.EINVAL, "no migration") if header.link is None else encode_link(header.link)


def _get_size(cluster: Cluster, header: Header, read: _Reader) -> bytes:
    number = read.take("Q")
    found = header.snapshots.get(number)
    return struct.pack("<BQ", _ORDER, header.size if found is None else found.size)


_HEADER: dict[str, Callable[[Cluster, Header, _Reader], bytes]] = {
    "migration_get": _migration_get,
    "get_features": lambda cluster, header, read: struct.pack("<QQ", header.features, 0),
    "get_size": _get_size,
    "get_data_pool": lambda cluster, header, read: struct.pack("<q", -1),
    "get_snapcontext": _get_snapcontext,
    "snapshot_get": _snapshot_get,
    "parent_get": lambda *_: versioned(
        struct.pack("<q", -1) + string("") + string("") + struct.pack("<Q", 0)
    ),
    "children_list": lambda *_: _fail(errno.ENOENT, "no clones"),
    "get_protection_status": _get_protection_status,
    "get_flags": lambda *_: struct.pack("<Q", 0),
    "parent_overlap_get": lambda *_: struct.pack("<Q", 0),
}


def _lock_info(cluster: Cluster, header: Header) -> bytes:
    body = struct.pack("<I", 0 if header.lock is None else 1)
    if header.lock is not None:
        holder = cluster.clients[header.lock]
        host, _, rest = holder.address.partition(":")
        port, _, nonce = rest.partition("/")
        body += versioned(struct.pack("<Bq", 8, holder.number) + string(f"auto {holder.number}"))
        address = struct.pack("<H", socket.AF_INET) + int(port).to_bytes(2, "big")
        address += socket.inet_aton(host) + bytes(8)
        inner = struct.pack("<II", 2, int(nonce)) + struct.pack("<I", len(address)) + address
        body += versioned(struct.pack("<II", 0, 0) + b"\x01" + versioned(inner))
    body += struct.pack("<B", 1) + string("internal")
    return versioned(body)


def call(cluster: Cluster, oid: str, found: Object, cls: str, method: str, data: bytes) -> bytes:
    """What a class method that only reads answers about the object called ``oid``."""
    read = _Reader(data)
    if cls == "rbd" and method == "get_object_prefix":
        return string(f"rbd_data.{oid.rpartition('.')[2]}")
    if cls == "lock" and method == "get_info":
        return _lock_info(cluster, _header(found))
    if cls == "rbd" and method in _HEADER:
        return _HEADER[method](cluster, _header(found), read)
    if cls == "rbd" and method == "get_id":
        return found.data or _fail(errno.ENOENT, "no id")
    if cls == "rbd" and method == "metadata_get":
        return string(_omap(found, "metadata_" + read.string()).decode())
    if cls == "rbd" and method == "dir_get_name":
        return _omap(found, "id_" + read.string())
    if cls == "rbd" and method == "dir_get_id":
        return _omap(found, "name_" + read.string())
    if cls == "rbd" and method == "trash_get":
        return _omap(found, "id_" + read.string())
    raise NotImplementedError(f"the fake cluster has no method {cls}.{method} that reads")


def _header(found: Object) -> Header:
    return found.header if found.header is not None else _fail(errno.EINVAL, "no image header")


# -- writing ---------------------------------------------------------------------------------


def _set_id(cluster: Cluster, made: Object, read: _Reader) -> None:
    made.data = string(read.string())


def _dir_add(cluster: Cluster, made: Object, read: _Reader) -> None:
    name, ident = read.string(), read.string()
    if "name_" + name in made.omap or "id_" + ident in made.omap:
        _fail(errno.EEXIST, f"{name} is listed already")
    made.omap["name_" + name], made.omap["id_" + ident] = string(ident), string(name)


def _dir_remove(cluster: Cluster, made: Object, read: _Reader) -> None:
    name, ident = read.string(), read.string()
    if made.omap.get("name_" + name) != string(ident):
        _fail(errno.ESTALE, f"{name} is another image")
    del made.omap["name_" + name], made.omap["id_" + ident]


def _trash_add(cluster: Cluster, made: Object, read: _Reader) -> None:
    ident = read.string()
    made.omap["id_" + ident] = trash_spec(read.string())


def _trash_remove(cluster: Cluster, made: Object, read: _Reader) -> None:
    made.omap.pop("id_" + read.string(), None)


def _migration_set(cluster: Cluster, made: Object, read: _Reader) -> None:
    _header(made).link = _decode_link(read._data)


def _migration_remove(cluster: Cluster, made: Object, read: _Reader) -> None:
    if _header(made).link is None:
        _fail(errno.EINVAL, "no migration")
    _header(made).link = None


def _metadata_remove(cluster: Cluster, made: Object, read: _Reader) -> None:
    made.omap.pop("metadata_" + read.string(), None)


def _set_features(cluster: Cluster, made: Object, read: _Reader) -> None:
    bits, mask = read.take("Q"), read.take("Q")
    _header(made).features = (_header(made).features & ~mask) | (bits & mask)


def _snapshot_remove(cluster: Cluster, made: Object, read: _Reader) -> None:
    _header(made).snapshots.pop(read.take("Q"), None)


def _break_lock(cluster: Cluster, made: Object, read: _Reader) -> None:
    read.enter()
    read.string(), read.take("B")
    if _header(made).lock != read.take("q"):
        _fail(errno.ENOENT, "another client holds the lock")
    _header(made).lock = None


_WRITES: dict[tuple[str, str], Callable[[Cluster, Object, _Reader], None]] = {
    ("rbd", "set_id"): _set_id,
    ("rbd", "dir_add_image"): _dir_add,
    ("rbd", "dir_remove_image"): _dir_remove,
    ("rbd", "trash_add"): _trash_add,
    ("rbd", "trash_remove"): _trash_remove,
    ("rbd", "migration_set"): _migration_set,
    ("rbd", "migration_remove"): _migration_remove,
    ("rbd", "metadata_remove"): _metadata_remove,
    ("rbd", "set_features"): _set_features,
    ("rbd", "snapshot_remove"): _snapshot_remove,
    ("lock", "break_lock"): _break_lock,
}
_MAKES = {"set_id", "dir_add_image", "trash_add"}  # the object, where there is none


def change(
    cluster: Cluster, made: Object, there: bool, cls: str, method: str, data: bytes
) -> Optional[bool]:
    """What a class method that writes does to an object."""
    write = _WRITES.get((cls, method))
    if write is None:
        raise NotImplementedError(f"the fake cluster has no method {cls}.{method} that writes")
    if not there and method not in _MAKES:
        _fail(errno.ENOENT, "no such object")
    write(cluster, made, _Reader(data))
    return None
