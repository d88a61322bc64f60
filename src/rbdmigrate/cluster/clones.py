"""The clones of an image's snapshots, read from RADOS objects, without waiting for silent pools.

Clones of format 2 are listed in the header of their parent, in whichever pool, namespace or trash
they are. Those of format 1 are listed in the object ``rbd_children`` of their own pool, in the
namespace of their parent, and have parents whose snapshots are protected. librbd reads every pool
of the cluster each time, and waits forever for a pool that does not answer.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EINVAL, ENOENT, EOPNOTSUPP, ERANGE
from typing import Any, Callable, NamedTuple, Optional

import rados

from ..model.errors import PoolMissing
from . import headers, image_snapshots
from .client import error_number
from .denc import Decoder, encode_string
from .pools import open_by_id

NAMED = 5  # clones whose names are looked up; the others are counted
_CHILDREN = "rbd_children"
_ANSWER = 3.0  # seconds after which a pool that did not answer is silent
_REPLY = 1 << 20  # bytes
_LONG_REPLY = 64 << 20  # bytes: a parent of a million clones
_UNPROTECTED = 0


class Clone(NamedTuple):
    """An image by its id."""

    pool_id: int
    namespace: str
    image_id: str


@dataclass(frozen=True)
class Clones:
    """The clones of an image by the number of their snapshot.

    ``silent``: names of pools that did not answer, where clones of format 1 may be.
    """

    of: dict[int, tuple[Clone, ...]]
    silent: tuple[str, ...] = ()

    def all(self) -> tuple[Clone, ...]:
        """All clones without duplicates."""
        return tuple(dict.fromkeys(clone for clones in self.of.values() for clone in clones))


def clones_of(client: rados.Rados, ioctx: rados.Ioctx, ident: str) -> Clones:
    """Return the clones of all snapshots of the image ``ident``; ``ioctx`` is on its namespace.

    A round trip for each snapshot, and one to each pool where a snapshot is protected. Raises
    ``rados.Error`` when the image's own pool does not answer.
    """
    found: dict[int, tuple[Clone, ...]] = {}
    protected: list[int] = []
    for entry in image_snapshots.snapshots(ioctx, ident):
        found[entry.snap_id] = _listed(ioctx, ident, entry.snap_id)
        if _protection(ioctx, ident, entry.snap_id) != _UNPROTECTED:
            protected.append(entry.snap_id)
    if not protected:
        return Clones(found)
    pools = _Pools(client, ioctx.get_namespace())
    for pool_id in pools.with_children():
        for snap_id in protected:
            argument = _parent(int(ioctx.get_pool_id()), ident, snap_id)
            reply = pools.ask(pool_id, "get_children", argument)
            if reply is not None:
                more = tuple(
                    Clone(pool_id, ioctx.get_namespace(), reply.string())
                    for _ in range(reply.u32())
                )
                found[snap_id] = (*found[snap_id], *more)
    return Clones(found, tuple(pools.silent))


def silent_pools(client: rados.Rados) -> list[str]:
    """The pools that do not answer when librbd, as it does, requests the clones in every pool."""
    pools = _Pools(client, "")
    pools.with_children()
    return pools.silent


def clone_names(client: rados.Rados, clones: Sequence[Clone]) -> list[str]:
    """``pool/namespace/image`` of the first clones; the id where a name cannot be read in time."""
    names: list[str] = []
    silent: set[int] = set()
    for pool_id, namespace, ident in clones[:NAMED]:
        pool = client.pool_reverse_lookup(pool_id) or str(pool_id)
        name: Optional[str] = None
        if pool_id not in silent and client.pool_reverse_lookup(pool_id):
            with open_by_id(client, pool_id, namespace) as ioctx:
                reply = _wait([_call(ioctx, "rbd_directory", "dir_get_name", encode_string(ident))])
                if reply[0] is None:
                    silent.add(pool_id)
                elif reply[0].number >= 0:
                    name = Decoder(reply[0].data).string()
                else:
                    entry = headers.trash_entry(ioctx, ident)
                    name = entry.name if entry is not None else None
        names.append("/".join(part for part in (str(pool), namespace, name or ident) if part))
    return sorted(names)


def _listed(ioctx: rados.Ioctx, ident: str, snap_id: int) -> tuple[Clone, ...]:
    """The clones of format 2 of a snapshot."""
    oid, argument = f"rbd_header.{ident}", struct.pack("<Q", snap_id)
    for size in (_REPLY, _LONG_REPLY):
        try:
            count, out = ioctx.execute(oid, "rbd", "children_list", argument, size)
        except rados.ObjectNotFound:
            return ()
        except rados.Error as error:
            if error_number(error) == ERANGE and size < _LONG_REPLY:
                continue
            raise
        return tuple(_clones(Decoder(out[:count])))
    return ()


def _clones(reply: Decoder) -> Iterable[Clone]:
    for _ in range(reply.u32()):
        frame = reply.start()
        pool_id, ident = reply.s64(), reply.string()
        namespace = reply.string() if frame.version >= 2 else ""
        reply.finish(frame)
        yield Clone(pool_id, namespace, ident)


def _protection(ioctx: rados.Ioctx, ident: str, snap_id: int) -> int:
    try:
        argument = struct.pack("<Q", snap_id)
        _, out = ioctx.execute(f"rbd_header.{ident}", "rbd", "get_protection_status", argument)
    except rados.ObjectNotFound:
        return _UNPROTECTED
    return Decoder(out).u8()


def _parent(pool_id: int, ident: str, snap_id: int) -> bytes:
    return struct.pack("<q", pool_id) + encode_string(ident) + struct.pack("<Q", snap_id)


class _Answer(NamedTuple):
    """An answer of RADOS: a negative errno, or data."""

    number: int
    data: bytes


class _Asked:
    """A pending request. RADOS answers in a thread of its own."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._answer = _Answer(-EINVAL, b"")

    def take(self, completion: Any, data: Any = None, *_: Any) -> None:
        """The callback for librados."""
        raw = data if isinstance(data, bytes) else b""
        self._answer = _Answer(int(completion.get_return_value()), raw)
        self._done.set()

    def wait(self, seconds: float) -> Optional[_Answer]:
        """Wait for the answer; None when there is none in time."""
        return self._answer if self._done.wait(seconds) else None


def _call(ioctx: rados.Ioctx, oid: str, method: str, argument: bytes) -> _Asked:
    asked = _Asked()
    ioctx.aio_execute(oid, "rbd", method, argument, _REPLY, asked.take)
    return asked


def _stat(ioctx: rados.Ioctx, oid: str) -> _Asked:
    asked = _Asked()
    ioctx.aio_stat(oid, asked.take)
    return asked


def _wait(asked: Sequence[_Asked]) -> list[Optional[_Answer]]:
    """Wait for answers; those that come in time."""
    deadline = time.monotonic() + _ANSWER
    return [one.wait(max(0.0, deadline - time.monotonic())) for one in asked]


class _Pools:
    """All pools of the cluster, queried at the same time; a silent pool is not queried again."""

    def __init__(self, client: rados.Rados, namespace: str) -> None:
        self.silent: list[str] = []
        self._ioctxs: dict[int, rados.Ioctx] = {}
        self._names: dict[int, str] = {}
        for name in client.list_pools():
            pool_id = client.pool_lookup(name) if client.pool_exists(name) else None
            if pool_id is not None:
                self._names[int(pool_id)] = str(name)
        self._open: Callable[[int], rados.Ioctx] = lambda pool: open_by_id(client, pool, namespace)

    def with_children(self) -> list[int]:
        """The pools that have clones of format 1, which are few."""
        asked: dict[int, _Asked] = {}
        for pool_id in self._names:
            with suppress(PoolMissing):  # it has just been deleted
                self._ioctxs[pool_id] = self._open(pool_id)
                asked[pool_id] = _stat(self._ioctxs[pool_id], _CHILDREN)
        found = []
        for pool_id, answer in zip(asked, _wait(list(asked.values()))):
            if self._answers(pool_id, answer) and answer is not None and answer.number >= 0:
                found.append(pool_id)
        return found

    def ask(self, pool_id: int, method: str, argument: bytes) -> Optional[Decoder]:
        """Read the pool's ``rbd_children``; None if there is nothing, or no answer."""
        if self._names[pool_id] in self.silent:
            return None
        answer = _wait([_call(self._ioctxs[pool_id], _CHILDREN, method, argument)])[0]
        if not self._answers(pool_id, answer) or answer is None or answer.number < 0:
            return None
        return Decoder(answer.data)

    def _answers(self, pool_id: int, answer: Optional[_Answer]) -> bool:
        """Whether a pool answered; errors other than ENOENT and EOPNOTSUPP count as silence."""
        if answer is not None and (answer.number >= 0 or answer.number in (-ENOENT, -EOPNOTSUPP)):
            return True
        self.silent.append(self._names[pool_id])
        return False
