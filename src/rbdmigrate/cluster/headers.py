"""Reading image headers as plain RADOS objects, without opening any image.

Opening an image starts librbd's machinery, and for some external sources it kills the process (see
the worker). Reading a header object takes one round trip, leaves no watch and cannot crash, so the
manager itself may do it. Object and method names are RBD's on-disk interface (``rbd_id.*``,
``rbd_header.*``, ``rbd_directory``, ``rbd_trash``; src/cls/rbd in Ceph), the same from release 16
to 20.

Every function takes an ioctx whose namespace is set, raises ``rados.Error`` when RADOS does not
answer, and returns None for what does not exist. Ids of images of format 1 are those of
:mod:`..model.image_ident`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from errno import EINVAL, ENXIO, EUCLEAN
from typing import NamedTuple, Optional

import rados

from ..model.errors import MigrationError
from ..model.image_ident import header_object, is_old_format, old_format_name
from ..model.observation import HeaderState, ImageView, MigrationHeader
from . import old_format
from .class_call import call
from .denc import Decoder, encode_string
from .lock_info import LockHolder, first_locker
from .omap import omap_pages

_SOURCE_HEADER = 1
_TRASHED_BY_MIGRATION = 2
_TRASH_PREFIX = "id_"
# Number of objects copied at once: image metadata that the copying client reads when it begins.
HOLDER_OPS_KEY = "conf_rbd_concurrent_management_ops"
# Marks the target of a native import until it is committed; its value is the migration's id.
IMPORT_KEY = "rbd_migration.import"
# How far the copy of such a target is, with the method ``copy``.
COPY_KEY = "rbd_migration.copy"
# Marks the target of a migration by the method ``warm`` likewise.
WARM_KEY = "rbd_migration.warm"
# Says of an image that it got the feature exclusive-lock for a cutover only.
LOCK_ADDED_KEY = "rbd_migration.lock_added"
# The addresses of the worker's client in the source's cluster, of a target from another cluster.
CLIENT_KEY = "rbd_migration.client"
OWN_KEYS = (IMPORT_KEY, WARM_KEY, COPY_KEY, LOCK_ADDED_KEY, CLIENT_KEY)
_DEFAULT_ORDER = 22  # 4 MiB
_LOCK = "rbd_lock"  # the name under which librbd takes the exclusive lock
_OF_LIBRBD = "internal"  # and its tag; ``rbd lock add`` gives other tags
_COOKIE = "auto "  # how its cookies begin; one that begins otherwise librbd never breaks
_NO_SNAPSHOT = 0xFFFFFFFFFFFFFFFE  # CEPH_NOSNAP: the head


class TrashEntry(NamedTuple):
    """An image in the trash: the name it had and whether a migration put it there."""

    name: str
    by_migration: bool


class Parent(NamedTuple):
    """The parent of a clone: a snapshot of an image."""

    pool_id: int
    namespace: str
    image_id: str
    snap_id: int


def image_id(ioctx: rados.Ioctx, name: str) -> Optional[str]:
    """Return the id of the image called ``name``."""
    reply = call(ioctx, f"rbd_id.{name}", "rbd", "get_id", b"")
    return reply.string() if reply else old_format.ident_of(ioctx, name)


def image_name(ioctx: rados.Ioctx, ident: str) -> Optional[str]:
    """The name under which the directory lists the image ``ident``."""
    name = old_format_name(ident)
    if name is not None:
        return name if old_format.is_listed(ioctx, name) else None
    reply = call(ioctx, "rbd_directory", "rbd", "dir_get_name", encode_string(ident))
    return reply.string() if reply else None


def listed_id(ioctx: rados.Ioctx, name: str) -> Optional[str]:
    """The id under which the directory lists ``name``, even if nothing else of the image exists."""
    reply = call(ioctx, "rbd_directory", "rbd", "dir_get_id", encode_string(name))
    return reply.string() if reply else None


def image_exists(ioctx: rados.Ioctx, ident: str) -> bool:
    """True when the image ``ident`` has a header object."""
    if is_old_format(ident):
        return old_format.header_of(ioctx, ident) is not None
    try:
        ioctx.stat(header_object(ident))
    except rados.ObjectNotFound:
        return False
    return True


def migration_header(ioctx: rados.Ioctx, ident: str) -> Optional[MigrationHeader]:
    """The migration header of the image ``ident``; None when it is not migrating."""
    try:
        reply = call(ioctx, header_object(ident), "rbd", "migration_get", b"")
    except rados.Error as error:
        # The object exists but holds no migration, or is not a header of an image.
        if abs(error.errno or 0) in (EINVAL, ENXIO):
            return None
        raise
    if reply is None:
        return None
    try:
        return _migration_header(reply)
    except ValueError as error:  # DecodeError, or a state of a newer release
        raise MigrationError(
            EUCLEAN,
            f"The migration header of the image {ident} cannot be read by this version ({error}).",
        ) from error


def _migration_header(reply: Decoder) -> MigrationHeader:
    frame = reply.start()
    kind = reply.u8()
    pool_id, namespace = reply.s64(), reply.string()
    image, other = reply.string(), reply.string()
    carried = tuple((reply.u64(), reply.u64()) for _ in range(reply.u32()))
    overlap = reply.u64()
    flatten, mirroring = bool(reply.u8()), bool(reply.u8())
    state, description = reply.u8(), reply.string()
    mirror_mode = reply.u8() if frame.version >= 2 and reply.left(frame) else 0
    source_spec = reply.string() if frame.version >= 3 and reply.left(frame) else ""
    return MigrationHeader(
        is_source=kind == _SOURCE_HEADER,
        pool_id=pool_id,
        namespace=namespace,
        image=image,
        image_id=other,
        state=HeaderState(state),
        description=description,
        import_only=bool(source_spec),
        source_spec=source_spec,
        flatten=flatten,
        mirroring=mirroring,
        mirror_mode=mirror_mode,
        snapshots=carried,
        overlap=overlap,
    )


def trash_entry(ioctx: rados.Ioctx, ident: str) -> Optional[TrashEntry]:
    """The trash entry of the image ``ident``."""
    reply = call(ioctx, "rbd_trash", "rbd", "trash_get", encode_string(ident))
    if reply is None:
        return None
    return _trash_entry(reply)


def trash(ioctx: rados.Ioctx) -> Iterator[tuple[str, TrashEntry]]:
    """Every image in the trash, with its id. (librbd's own trash_list fails during migrations.)"""
    for key, raw in omap_pages(ioctx, "rbd_trash", _TRASH_PREFIX):
        yield key[len(_TRASH_PREFIX) :], _trash_entry(Decoder(raw))


def _trash_entry(reply: Decoder) -> TrashEntry:
    reply.start()
    source, name = reply.u8(), reply.string()
    return TrashEntry(name, source == _TRASHED_BY_MIGRATION)


def view_by_id(ioctx: rados.Ioctx, ident: str) -> Optional[ImageView]:
    """Everything about the image ``ident``, wherever it is; None when no trace of it is left."""
    if is_old_format(ident):
        return _old_view(ioctx, ident)
    listed = image_name(ioctx, ident)
    trash = trash_entry(ioctx, ident)
    if listed is None and trash is None and not image_exists(ioctx, ident):
        return None
    header = migration_header(ioctx, ident)
    return ImageView(
        image_id=ident,
        name=listed or (trash.name if trash else ""),
        listed=listed is not None,
        trashed=trash is not None and trash.by_migration,
        header=header,
        exists=header is not None or image_exists(ioctx, ident),
        trashed_by_user=listed is None and trash is not None and not trash.by_migration,
    )


def view_by_name(ioctx: rados.Ioctx, name: str) -> Optional[ImageView]:
    """The image that the directory lists as ``name``; None when there is none."""
    ident = image_id(ioctx, name)
    if ident is None:
        return None
    if is_old_format(ident):
        return _old_view(ioctx, ident)
    return ImageView(
        ident, name, True, False, migration_header(ioctx, ident), image_exists(ioctx, ident)
    )


def _old_view(ioctx: rados.Ioctx, ident: str) -> Optional[ImageView]:
    """An image of format 1: where a migration linked it, its name is taken from the directory."""
    if old_format.header_of(ioctx, ident) is None:
        return None
    listed = image_name(ioctx, ident) is not None
    name = old_format_name(ident) or ""
    return ImageView(ident, name, listed, not listed, migration_header(ioctx, ident))


def version(ioctx: rados.Ioctx, ident: str) -> Optional[int]:
    """The version of the image's header object: it grows whenever the header is written.

    A client that writes takes the exclusive lock, which writes the header; one that only reads
    does not. So an unchanged version proves that nobody wrote (to an image with that feature).
    """
    try:
        ioctx.read(header_object(ident), 1)
    except rados.ObjectNotFound:
        return None
    return int(ioctx.get_last_version())


def flags(ioctx: rados.Ioctx, ident: str, snap_id: int = _NO_SNAPSHOT) -> int:
    """The flags (``RBD_FLAG_...``) of a snapshot, or of the head; 0 when there is no such image."""
    reply = call(ioctx, header_object(ident), "rbd", "get_flags", struct.pack("<Q", snap_id))
    return reply.u64() if reply else 0


def features(ioctx: rados.Ioctx, ident: str) -> int:
    """The image's feature bits; 0 when there is no such image, or it is of format 1."""
    if is_old_format(ident):
        return 0
    argument = struct.pack("<QB", _NO_SNAPSHOT, 1)
    reply = call(ioctx, header_object(ident), "rbd", "get_features", argument)
    return reply.u64() if reply else 0


def size(ioctx: rados.Ioctx, ident: str) -> int:
    """The image's size in bytes; 0 when there is no such image."""
    if is_old_format(ident):
        old = old_format.header_of(ioctx, ident)
        return old.size if old else 0
    argument = struct.pack("<Q", _NO_SNAPSHOT)
    reply = call(ioctx, header_object(ident), "rbd", "get_size", argument)
    if reply is None:
        return 0
    reply.u8()  # order
    return reply.u64()


def object_size(ioctx: rados.Ioctx, ident: str) -> int:
    """The size of the image's objects in bytes; librbd's default if there is no such image."""
    if is_old_format(ident):
        old = old_format.header_of(ioctx, ident)
        return old.object_size if old else 1 << _DEFAULT_ORDER
    argument = struct.pack("<Q", _NO_SNAPSHOT)
    reply = call(ioctx, header_object(ident), "rbd", "get_size", argument)
    return 1 << (reply.u8() if reply else _DEFAULT_ORDER)


def object_prefix(ioctx: rados.Ioctx, ident: str) -> Optional[str]:
    """How the names of the image's data objects begin; None without an image of format 2."""
    if is_old_format(ident):
        return None
    reply = call(ioctx, header_object(ident), "rbd", "get_object_prefix", b"")
    return reply.string() if reply else None


def metadata(ioctx: rados.Ioctx, ident: str, key: str) -> Optional[str]:
    """The value of an image metadata key; None when the image does not have it."""
    if is_old_format(ident):
        return None
    reply = call(ioctx, header_object(ident), "rbd", "metadata_get", encode_string(key))
    return reply.string() if reply else None


def parent(ioctx: rados.Ioctx, ident: str) -> Optional[Parent]:
    """The parent of the image ``ident``; None when it is not a clone (any more)."""
    if is_old_format(ident):
        return None
    reply = call(ioctx, header_object(ident), "rbd", "parent_get", b"")
    if reply is None:
        return None
    reply.start()
    found = Parent(reply.s64(), reply.string(), reply.string(), reply.u64())
    return found if found.pool_id >= 0 else None


def parent_overlap(ioctx: rados.Ioctx, ident: str, snap_id: int) -> int:
    """Bytes of a snapshot which may come from a parent."""
    argument = struct.pack("<Q", snap_id)
    reply = call(ioctx, header_object(ident), "rbd", "parent_overlap_get", argument)
    return reply.u64() if reply and reply.u8() else 0


def separate_data_pool_id(ioctx: rados.Ioctx, ident: str) -> int:
    """The id of the pool with the image's data, -1 when that is the header's own pool."""
    if is_old_format(ident):
        return -1
    reply = call(ioctx, header_object(ident), "rbd", "get_data_pool", b"")
    return reply.s64() if reply else -1


def data_pool_id(ioctx: rados.Ioctx, ident: str) -> int:
    """The id of the pool with the image's data, which may be the header's own pool."""
    separate = separate_data_pool_id(ioctx, ident)
    return separate if separate >= 0 else int(ioctx.get_pool_id())


def lock_holder(ioctx: rados.Ioctx, ident: str) -> Optional[LockHolder]:
    """The owner of the exclusive lock of the image ``ident``; None without one."""
    holder, of_librbd = _locker(ioctx, ident)
    return holder if of_librbd else None


def advisory_lock(ioctx: rados.Ioctx, ident: str) -> Optional[LockHolder]:
    """Who locked the image ``ident`` otherwise than librbd does; the cookie is the lock's name.

    That is ``rbd lock add``, or :mod:`.lock_out`.
    """
    holder, of_librbd = _locker(ioctx, ident)
    return None if of_librbd else holder


def _locker(ioctx: rados.Ioctx, ident: str) -> tuple[Optional[LockHolder], bool]:
    """The first holder of the lock that librbd and ``rbd lock add`` take; whether it is librbd."""
    argument = encode_string(_LOCK)
    reply = call(ioctx, header_object(ident), "lock", "get_info", versioned(argument))
    if reply is None:
        return None, False
    holder, tag = first_locker(reply)
    return holder, holder is not None and tag == _OF_LIBRBD and holder.cookie.startswith(_COOKIE)


def versioned(payload: bytes) -> bytes:
    """A versioned structure, as arguments of class methods."""
    return struct.pack("<BBI", 1, 1, len(payload)) + payload
