"""The parts of the ``rados`` binding that rbd_migration uses, on a fake cluster."""

from __future__ import annotations

import errno
import heapq
import itertools
import json
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Optional

from . import cls_rbd, errors
from .cluster import Client, Cluster, Object
from .omap import Omap
from .simulation import active

Error = errors.Error
OSError = errors.RadosOSError  # noqa: A001 - the name in the binding
ObjectNotFound = errors.ObjectNotFound
ObjectBusy = errors.ObjectBusy
ObjectExists = errors.ObjectExists
TimedOut = errors.TimedOut
ConnectionShutdown = errors.ConnectionShutdown
LIBRADOS_CMPXATTR_OP_EQ = 1
LIBRADOS_CREATE_EXCLUSIVE = 1
LIBRADOS_CREATE_IDEMPOTENT = 0
LIBRADOS_SNAP_HEAD = 0xFFFFFFFFFFFFFFFE

_clusters: list[Cluster] = []


def use(cluster: Cluster) -> None:
    """Clients connect to this cluster from now on."""
    _clusters[:] = [cluster]


class Rados:
    """rados.Rados"""

    def __init__(
        self, name: str = "", conffile: str = "", conf: Optional[Mapping[str, str]] = None, **_: Any
    ) -> None:
        self.cluster = _clusters[0]
        self._conf = {"rbd_default_pool": "rbd", **(conf or {})}
        self.client: Client

    def connect(self, timeout: float = 0) -> None:
        self.client = Client(self.cluster, active().current())

    def shutdown(self) -> None:
        if hasattr(self, "client"):
            self.client.closed = True

    def get_addrs(self) -> str:
        return f"v1:{self.client.address}"

    def get_instance_id(self) -> int:
        return self.client.number

    def conf_get(self, key: str) -> Optional[str]:
        return self._conf.get(key, "10" if key == "rbd_concurrent_management_ops" else "false")

    def conf_set(self, key: str, value: str) -> None:
        self._conf[key] = value

    def wait_for_latest_osdmap(self) -> None:
        self._monitors()

    def list_pools(self) -> list[str]:
        self._monitors()
        return [pool.name for pool in self.cluster.pools.values()]

    def pool_exists(self, name: str) -> bool:
        return any(pool.name == name for pool in self.cluster.pools.values())

    def pool_lookup(self, name: str) -> int:
        return self.cluster.pool_named(name).ident

    def pool_reverse_lookup(self, ident: int) -> Optional[str]:
        pool = self.cluster.pools.get(ident)
        return pool.name if pool is not None else None

    def open_ioctx(self, name: str) -> Ioctx:
        return Ioctx(self, self.cluster.pool_named(name).ident)

    def open_ioctx2(self, ident: int) -> Ioctx:
        return Ioctx(self, self.cluster.pool(ident).ident)

    def _monitors(self) -> None:
        """Ask the monitors something."""
        active().step()
        if self.client.closed:
            raise ConnectionShutdown("closed", errno=errno.ESHUTDOWN)

    def mon_command(
        self, command: str, data: bytes = b"", timeout: int = 0, **_: Any
    ) -> tuple[int, bytes, str]:
        self._monitors()
        asked = json.loads(command)
        answer = _COMMANDS.get(asked["prefix"])
        if answer is None:
            raise NotImplementedError(f"the fake monitors do not know {asked['prefix']!r}")
        return answer(self.cluster, asked, data)


# -- the monitors' commands ------------------------------------------------------------------


def _ok(found: Any) -> tuple[int, bytes, str]:
    return 0, found if isinstance(found, bytes) else json.dumps(found).encode(), ""


def _blocklist(cluster: Cluster, asked: Mapping[str, Any], data: bytes) -> tuple[int, bytes, str]:
    if asked["blocklistop"] == "add":
        until = active().now + float(asked.get("expire", 3600.0))
        cluster.blocklist[asked["addr"]] = until
        cluster.evicted.add(asked["addr"])
        cluster.event("blocklist", address=asked["addr"], until=until)
    else:
        cluster.blocklist.pop(asked["addr"], None)
        cluster.event("unblocklist", address=asked["addr"])
    return _ok(b"")


def _blocklist_ls(cluster: Cluster, asked: Any, data: bytes) -> tuple[int, bytes, str]:
    now = active().now
    return _ok([{"addr": a} for a, until in cluster.blocklist.items() if until > now])


def _osd_dump(cluster: Cluster, asked: Any, data: bytes) -> tuple[int, bytes, str]:
    return _ok(
        {
            "pools": [
                {
                    "pool": pool.ident,
                    "pool_name": pool.name,
                    "type": 1,
                    "flags_names": "hashpspool,selfmanaged_snaps",
                    "application_metadata": {"rbd": {}},
                    "quota_max_bytes": 0,
                    "quota_max_objects": 0,
                }
                for pool in cluster.pools.values()
            ],
            "flags": "sortbitwise,recovery_deletes",
            "removed_snaps_queue": [],  # the fake OSDs trim at once
        }
    )


def _df(cluster: Cluster, asked: Any, data: bytes) -> tuple[int, bytes, str]:
    stats = {"stored": 0, "objects": 0, "max_avail": 1 << 40}
    pools = [{"name": p.name, "id": p.ident, "stats": stats} for p in cluster.pools.values()]
    return _ok({"pools": pools, "stats": {"total_bytes": 1 << 42}})


def _set_key(cluster: Cluster, asked: Mapping[str, Any], data: bytes) -> tuple[int, bytes, str]:
    cluster.config_keys[asked["key"]] = data or str(asked.get("val", "")).encode()
    return _ok(b"")


def _get_key(cluster: Cluster, asked: Mapping[str, Any], data: bytes) -> tuple[int, bytes, str]:
    if asked["key"] not in cluster.config_keys:
        return -errno.ENOENT, b"", f"key '{asked['key']}' doesn't exist"
    return _ok(cluster.config_keys[asked["key"]])


def _remove_key(cluster: Cluster, asked: Mapping[str, Any], data: bytes) -> tuple[int, bytes, str]:
    cluster.config_keys.pop(asked["key"], None)
    return _ok(b"")


_Answer = Callable[[Cluster, Mapping[str, Any], bytes], tuple[int, bytes, str]]
_COMMANDS: dict[str, _Answer] = {
    "osd blocklist": _blocklist,
    "osd blocklist ls": _blocklist_ls,
    "osd dump": _osd_dump,
    "df": _df,
    "version": lambda *_: _ok(b"ceph version 18.2.7 (fake) reef (stable)"),
    "auth ls": lambda *_: _ok({"auth_dump": []}),
    "auth get": lambda *_: _ok([{"caps": {"mon": "allow *", "osd": "allow *"}}]),
    "config-key set": _set_key,
    "config-key get": _get_key,
    "config-key rm": _remove_key,
    "config-key ls": lambda cluster, *_: _ok(sorted(cluster.config_keys)),
}


# -- objects ---------------------------------------------------------------------------------


class Watch:
    """rados.Watch: of an object, without notifications."""

    def __init__(self, ioctx: Ioctx, oid: str) -> None:
        self._ioctx = ioctx
        self._oid = oid
        self._count(+1)

    def close(self) -> None:
        self._count(-1)

    def _count(self, change: int) -> None:
        ioctx = self._ioctx
        ioctx.cluster.watch(ioctx.client, ioctx.pool_id, ioctx.namespace, self._oid, change)


class Ioctx:
    """rados.Ioctx"""

    def __init__(self, rados: Rados, pool_id: int) -> None:
        self.rados = rados
        self.cluster = rados.cluster
        self.client = rados.client
        self.pool_id = pool_id
        self.namespace = ""
        self._version = 0

    def __enter__(self) -> Ioctx:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def close(self) -> None:
        pass

    def set_namespace(self, namespace: str) -> None:
        self.namespace = namespace

    def set_osdmap_full_try(self) -> None:
        pass

    def get_namespace(self) -> str:
        return self.namespace

    def get_pool_id(self) -> int:
        return self.pool_id

    def get_pool_name(self) -> str:
        return self.cluster.pool(self.pool_id).name

    def application_list(self) -> list[str]:
        self.cluster.pool(self.pool_id)
        return ["rbd"]

    def get_last_version(self) -> int:
        return self._version

    def lock_exclusive(self, oid: str, *lock: object) -> None:
        """Lock clients out of the image with this header."""

        def change(made: Object, there: bool) -> None:
            if made.header is None:
                raise ObjectNotFound(f"no header {oid}", errno=errno.ENOENT)
            if made.header.lock is not None:
                raise ObjectBusy(f"{oid} is locked", errno=errno.EBUSY)
            made.header.locked_out = True

        self.cluster.write(self.client, self.pool_id, self.namespace, oid, change)

    def watch(self, oid: str, callback: Callable[..., None]) -> Watch:
        return Watch(self, oid)

    def _read(self, oid: str, look: Callable[[Object], Any]) -> Any:
        def noting(found: Object) -> Any:
            self._version = found.version
            return look(found)

        return self.cluster.read(self.client, self.pool_id, self.namespace, oid, noting)

    def stat(self, oid: str) -> tuple[int, Any]:
        return self._read(oid, lambda found: (len(found.data), None))

    def read(self, oid: str, length: int = 8192, offset: int = 0) -> bytes:
        return self._read(oid, lambda found: found.data[offset : offset + length])

    def execute(
        self, oid: str, cls: str, method: str, data: bytes, length: int = 8192
    ) -> tuple[int, bytes]:
        answer = self._read(
            oid, lambda found: cls_rbd.call(self.cluster, oid, found, cls, method, data)
        )
        return len(answer), answer

    def aio_stat(self, oid: str, oncomplete: Callable[..., None]) -> None:
        """Answers before it returns."""
        self._later(lambda: self.stat(oid), oncomplete)

    def aio_execute(
        self,
        oid: str,
        cls: str,
        method: str,
        data: bytes,
        length: int,
        oncomplete: Callable[..., None],
    ) -> None:
        """Answers before it returns."""
        self._later(lambda: self.execute(oid, cls, method, data, length)[1], oncomplete)

    def _later(self, act: Callable[[], Any], oncomplete: Callable[..., None]) -> None:
        number, answer = 0, None
        try:
            answer = act()
        except Error as error:
            number = -abs(error.errno)
        oncomplete(SimpleNamespace(get_return_value=lambda: number), answer)

    def remove_object(self, oid: str) -> None:
        def remove(made: Object, there: bool) -> bool:
            if not there:
                raise ObjectNotFound(f"no object {oid}", errno=errno.ENOENT)
            return False

        self.cluster.write(self.client, self.pool_id, self.namespace, oid, remove)

    def remove_self_managed_snap(self, number: int) -> None:
        active().step()

    def list_objects(self) -> Iterator[Any]:
        active().step()
        names = [oid for space, oid in self.cluster.pool(self.pool_id).objects if
                 space == self.namespace]  # fmt: skip
        return iter([SimpleNamespace(key=name) for name in names])

    def set_omap(self, op: WriteOp, keys: Sequence[str], values: Sequence[bytes]) -> None:
        op.set_omap(keys, values)

    def remove_omap_keys(self, op: WriteOp, keys: Sequence[str]) -> None:
        op.remove_omap_keys(keys)

    def operate_write_op(self, op: WriteOp, oid: str, **_: Any) -> None:
        self._version = self.cluster.write(
            self.client, self.pool_id, self.namespace, oid, *op.bound(self.cluster)
        )

    def get_omap_vals(
        self, op: ReadOp, after: str, prefix: str, limit: int
    ) -> tuple[Iterator[tuple[str, bytes]], int]:
        def pick(found: Object) -> list[tuple[str, bytes]]:
            of_header = cls_rbd.header_keys(found)
            keys = found.omap.keys_after(after, prefix)
            if of_header:
                keys = heapq.merge(Omap(of_header).keys_after(after, prefix), keys)
            omap = ChainMap(of_header, found.omap) if of_header else found.omap
            return [(key, omap[key]) for key in itertools.islice(keys, limit)]

        return op.add(pick), 0

    def get_omap_keys(self, op: ReadOp, after: str, limit: int) -> tuple[Iterator[Any], int]:
        def pick(found: Object) -> list[tuple[str, None]]:
            keys = found.omap.keys_after(after)
            return [(key, None) for key in itertools.islice(keys, limit)]

        return op.add(pick), 0

    def get_omap_vals_by_keys(
        self, op: ReadOp, keys: Sequence[str]
    ) -> tuple[Iterator[tuple[str, Optional[bytes]]], int]:
        def pick(found: Object) -> list[tuple[str, Optional[bytes]]]:
            omap = ChainMap(cls_rbd.header_keys(found), found.omap)
            return [(key, omap[key] or None) for key in keys if key in omap]

        return op.add(pick), 0

    def operate_read_op(self, op: ReadOp, oid: str) -> None:
        self._read(oid, op.run)


class ReadOp:
    """rados.ReadOp; its iterators are filled when it is operated"""

    def __init__(self) -> None:
        self._wanted: list[tuple[Callable[[Object], list[Any]], list[Any]]] = []

    def add(self, pick: Callable[[Object], list[Any]]) -> Iterator[Any]:
        found: list[Any] = []
        self._wanted.append((pick, found))

        def later() -> Iterator[Any]:
            yield from found

        return later()

    def run(self, found: Object) -> None:
        for pick, into in self._wanted:
            into.extend(pick(found))


class WriteOp:
    """rados.WriteOp: changes in order, all or none of which are done"""

    def __init__(self) -> None:
        self._changes: list[Callable[[Cluster, Object, bool], Optional[bool]]] = []

    def bound(self, cluster: Cluster) -> list[Callable[[Object, bool], Optional[bool]]]:
        return [
            lambda made, there, change=change: change(cluster, made, there)
            for change in self._changes
        ]

    def new(self, exclusive: int = LIBRADOS_CREATE_EXCLUSIVE) -> None:
        def create(cluster: Cluster, made: Object, there: bool) -> None:
            if there and exclusive == LIBRADOS_CREATE_EXCLUSIVE:
                raise ObjectExists("the object exists", errno=errno.EEXIST)

        self._changes.append(create)

    def omap_cmp(self, key: str, value: str, how: int = LIBRADOS_CMPXATTR_OP_EQ) -> None:
        creates = bool(self._changes)

        def compare(cluster: Cluster, made: Object, there: bool) -> None:
            if not there and not creates:
                raise ObjectNotFound("no such object", errno=errno.ENOENT)
            if made.omap.get(key, b"") != value.encode():
                raise errors.RadosOSError("the comparison failed", errno=errno.ECANCELED)

        self._changes.append(compare)

    def set_omap(self, keys: Sequence[str], values: Sequence[bytes]) -> None:
        def change(cluster: Cluster, made: Object, there: bool) -> None:
            made.omap.update(zip(keys, values))

        self._changes.append(change)

    def remove_omap_keys(self, keys: Sequence[str]) -> None:
        def change(cluster: Cluster, made: Object, there: bool) -> None:
            for key in keys:
                made.omap.pop(key, None)

        self._changes.append(change)

    def execute(self, cls: str, method: str, data: bytes) -> None:
        self._changes.append(
            lambda cluster, made, there: cls_rbd.change(cluster, made, there, cls, method, data)
        )

    def remove(self) -> None:
        self._changes.append(lambda cluster, made, there: False)


class _Context:
    """with ...OpCtx() as op"""

    kind: type[Any]

    def __enter__(self) -> Any:
        return self.kind()

    def __exit__(self, *error: object) -> None:
        pass


class WriteOpCtx(_Context):
    """rados.WriteOpCtx"""

    kind = WriteOp


class ReadOpCtx(_Context):
    """rados.ReadOpCtx"""

    kind = ReadOp
