"""The parts of the ``rbd`` binding that rbd_migration uses, on a fake cluster.

An image is written to in whole objects of ``BLOCK`` bytes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any, Optional

from . import errors, librbd
from .cls_rbd import string
from .cluster import BLOCK, Header, Object
from .images import EXCLUSIVE_LOCK, Spot, refuse_source

Error = errors.RbdError
OSError = errors.RbdOSError  # noqa: A001 - the name in the binding
ImageNotFound = errors.ImageNotFound
ImageExists = errors.ImageExists
ImageBusy = errors.ImageBusy
InvalidArgument = errors.InvalidArgument
ReadOnlyImage = errors.ReadOnlyImage
ConnectionShutdown = errors.RbdConnectionShutdown
RBD_FEATURE_LAYERING = 1
RBD_FEATURE_EXCLUSIVE_LOCK = EXCLUSIVE_LOCK
RBD_FEATURE_FAST_DIFF = 1 << 4
RBD_MIRROR_IMAGE_DISABLED = 2
RBD_MIRROR_IMAGE_ENABLED = 1
RBD_SNAP_NAMESPACE_TYPE_USER = 0
RBD_SNAP_NAMESPACE_TYPE_GROUP = 1
RBD_SNAP_NAMESPACE_TYPE_TRASH = 2
RBD_SNAP_NAMESPACE_TYPE_MIRROR = 3
RBD_SNAP_CREATE_SKIP_QUIESCE = 1
_FEATURES = RBD_FEATURE_LAYERING | EXCLUSIVE_LOCK | 1 << 5


class RBD:
    """rbd.RBD"""

    def create(self, ioctx: Any, name: str, size: int, features: int = _FEATURES, **_: Any) -> None:
        spot = Spot.of(ioctx)
        if spot.id_of(name) is not None:
            raise ImageExists(f"{name} exists", errno=errno.EEXIST)
        ident = f"{spot.client.number:x}{spot.cluster.number():08x}"
        spot.method(f"rbd_id.{name}", "set_id", string(ident))
        spot.method("rbd_directory", "dir_add_image", string(name) + string(ident))
        spot.make(ident, Header(name, size, features))

    def rename(self, ioctx: Any, name: str, other: str) -> None:
        """As `rbd mv` does."""
        spot = Spot.of(ioctx)
        ident = spot.id_of(name)
        if ident is None:
            raise ImageNotFound(f"no image {name}", errno=errno.ENOENT)
        if spot.id_of(other) is not None:
            raise ImageExists(f"{other} exists", errno=errno.EEXIST)
        spot.method(f"rbd_id.{other}", "set_id", string(ident))
        spot.method("rbd_directory", "dir_remove_image", string(name) + string(ident))
        spot.method("rbd_directory", "dir_add_image", string(other) + string(ident))
        spot.write(f"rbd_id.{name}", lambda *_: False)

    def list(self, ioctx: Any) -> list[str]:
        listed = Spot.of(ioctx).read("rbd_directory", lambda found: sorted(found.omap)) or []
        return [key[5:] for key in listed if key.startswith("name_")]

    def migration_prepare(
        self, ioctx: Any, name: str, target: Any, target_name: str, **_: Any
    ) -> None:
        librbd.prepare(Spot.of(ioctx), name, Spot.of(target), target_name)

    def migration_execute(self, ioctx: Any, name: str, on_progress: Any = None) -> None:
        librbd.execute(Spot.of(ioctx), name, on_progress)

    def migration_commit(self, ioctx: Any, name: str, on_progress: Any = None) -> None:
        librbd.commit(Spot.of(ioctx), name, on_progress)

    def migration_abort(self, ioctx: Any, name: str, on_progress: Any = None) -> None:
        librbd.abort(Spot.of(ioctx), name, on_progress)


class Image:
    """rbd.Image"""

    def __init__(
        self,
        ioctx: Any,
        name: Optional[str] = None,
        snapshot: Optional[str] = None,
        read_only: bool = False,
        image_id: Optional[str] = None,
    ) -> None:
        self._spot = Spot.of(ioctx)
        ident = image_id or self._spot.id_of(name or "")
        if ident is None:
            raise ImageNotFound(f"no image {name}", errno=errno.ENOENT)
        self._id = ident
        self._read_only = read_only
        self._snapshot: Optional[int] = None
        self._closed = False
        header = self._spot.header(ident)
        below = self._spot.source_of(header)
        if below is not None:
            below[0].header(below[1].image_id)  # it is opened too
        if not read_only:
            self._watch(+1)
        if snapshot is not None:
            self.set_snap(snapshot)

    def _watch(self, change: int) -> None:
        spot, oid = self._spot, f"rbd_header.{self._id}"
        try:
            spot.cluster.watch(spot.client, spot.pool_id, spot.namespace, oid, change)
        except errors.ObjectNotFound:
            raise ImageNotFound("the image is gone", errno=errno.ENOENT) from None

    def __enter__(self) -> Image:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._read_only:
            return
        try:
            self._spot.drop_lock(self._id)
            self._watch(-1)
        except (Error, errors.Error):
            return  # the image or the client is gone, and what it had with it

    # -- what it is ----------------------------------------------------------------------------

    def _header(self) -> Header:
        return self._spot.header(self._id)

    def id(self) -> str:
        return self._id

    def old_format(self) -> bool:
        return False

    def stat(self) -> dict[str, Any]:
        size = self.size()
        return {"size": size, "obj_size": BLOCK, "order": BLOCK.bit_length() - 1,
                "num_objs": -(-size // BLOCK)}  # fmt: skip

    def size(self) -> int:
        header = self._header()
        return header.size if self._snapshot is None else header.snapshots[self._snapshot].size

    def features(self) -> int:
        return self._header().features

    def flags(self) -> int:
        return 0

    def get_snap_limit(self) -> int:
        return (1 << 64) - 1  # none

    def stripe_unit(self) -> int:
        return BLOCK

    def stripe_count(self) -> int:
        return 1

    def block_name_prefix(self) -> str:
        return f"rbd_data.{self._id}"

    def group(self) -> dict[str, Any]:
        return {}

    def mirror_image_get_info(self) -> dict[str, Any]:
        return {"state": RBD_MIRROR_IMAGE_DISABLED}

    def parent_info(self) -> Any:
        raise ImageNotFound("no parent", errno=errno.ENOENT)

    get_parent_image_spec = parent_info

    def list_children2(self) -> Iterator[Any]:
        return iter(())

    def list_lockers(self) -> list[Any]:
        return []

    def watchers_list(self) -> Iterator[dict[str, Any]]:
        found = self._spot.stored(self._id)
        watchers = self._spot.cluster.watchers(found) if found is not None else []
        return iter([{"id": c.number, "addr": c.address, "cookie": c.number} for c in watchers])

    def list_snaps(self) -> Iterator[dict[str, Any]]:
        return iter(
            [
                {"id": number, "name": s.name, "size": s.size,
                 "namespace": RBD_SNAP_NAMESPACE_TYPE_TRASH if s.in_trash else 0}
                for number, s in sorted(self._header().snapshots.items())
            ]
        )  # fmt: skip

    def is_protected_snap(self, name: str) -> bool:
        header = self._header()
        return header.snapshots[self._spot.snapshot_id(header, name)].protected

    def set_snap(self, name: Optional[str]) -> None:
        self._snapshot = None if name is None else self._spot.snapshot_id(self._header(), name)

    def set_snap_by_id(self, number: Optional[int]) -> None:
        if number is not None and number not in self._header().snapshots:
            raise ImageNotFound(f"no snapshot {number}", errno=errno.ENOENT)
        self._snapshot = number

    def metadata_list(self) -> Iterator[tuple[str, str]]:
        omap = self._spot.read(f"rbd_header.{self._id}", lambda found: dict(found.omap)) or {}
        return iter([(k[9:], v.decode()) for k, v in omap.items() if k.startswith("metadata_")])

    # -- contents ------------------------------------------------------------------------------

    def read(self, offset: int, length: int) -> bytes:
        content = self._spot.content(self._id, self._snapshot)
        first, last = offset // BLOCK, -(-(offset + length) // BLOCK)
        whole = b"".join(content.get(number, bytes(BLOCK)) for number in range(first, last))
        return whole[offset - first * BLOCK :][:length]

    def diff_iterate(
        self,
        offset: int,
        length: int,
        from_snapshot: Optional[str],
        iterate_cb: Callable[[int, int, bool], Any],
        include_parent: bool = True,
        whole_object: bool = False,
    ) -> None:
        header = self._header()
        if include_parent:
            now = self._spot.content(self._id, self._snapshot)
        else:
            now = dict(
                header.blocks if self._snapshot is None else header.snapshots[self._snapshot].blocks
            )
        before: dict[int, bytes] = {}
        if from_snapshot is not None:
            number = self._spot.snapshot_id(header, from_snapshot)
            before = self._spot.content(self._id, number)
        for number in sorted(now.keys() | before.keys()):
            start = number * BLOCK
            changed = now.get(number) != before.get(number)
            if changed and offset <= start < offset + length:
                iterate_cb(start, min(BLOCK, offset + length - start), number in now)

    def _refuse_read_only(self) -> None:
        if self._read_only:
            raise ReadOnlyImage("opened read-only", errno=errno.EROFS)
        refuse_source(self._header())

    def _writable(self) -> None:
        self._refuse_read_only()
        self._spot.take_lock(self._id)

    def write(self, data: bytes, offset: int) -> int:
        """Whole objects only."""
        assert not offset % BLOCK, "the fake writes whole objects"
        assert not len(data) % BLOCK, "the fake writes whole objects"
        self._writable()
        for at in range(0, len(data), BLOCK):
            self._spot.put(self._id, (offset + at) // BLOCK, data[at : at + BLOCK])
        return len(data)

    def discard(self, offset: int, length: int) -> None:
        self._writable()
        for number in range(offset // BLOCK, (offset + length) // BLOCK):
            self._spot.put(self._id, number, None)

    def _ask_holder(self) -> None:
        """A client that holds the lock does it for us; else we take the lock."""
        self._refuse_read_only()
        if not self._spot.held_by_other(self._id):
            self._spot.take_lock(self._id)

    def create_snap(self, name: str, **_: Any) -> None:
        self._ask_holder()
        self._spot.snap_create(self._id, name)

    def remove_snap(self, name: str) -> None:
        self._ask_holder()
        refuse_source(self._header())
        self._spot.snap_remove(self._id, self._spot.snapshot_id(self._header(), name))

    def resize(self, size: int, allow_shrink: bool = True) -> None:
        self._ask_holder()
        self._spot.resize(self._id, size)

    def metadata_set(self, key: str, value: str) -> None:
        self._refuse_read_only()

        def change(made: Object, there: bool) -> None:
            if not there:
                raise ImageNotFound("the image is gone", errno=errno.ENOENT)
            made.omap[f"metadata_{key}"] = value.encode()

        self._spot.write(f"rbd_header.{self._id}", change)

    def metadata_remove(self, key: str) -> None:
        self._spot.method(f"rbd_header.{self._id}", "metadata_remove", string(key))
