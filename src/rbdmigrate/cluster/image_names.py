"""Moving a name from one image to another, as plain RADOS objects, so that each step is atomic.

A name is the object ``rbd_id.<name>``, whose content is the image's id. The directory and the trash
are for listings; librbd finds an image by the former alone. librbd's own rename and trash calls
open the image, and none gives a name to another image without a moment when it leads nowhere. All
functions may be repeated. No other thread may use the ioctx meanwhile, which keeps the version of
what was read last. Formats: src/cls/rbd in Ceph, the same from release 16 to 20.
"""

from __future__ import annotations

import struct
import time
from errno import EEXIST, EOVERFLOW, ERANGE, ESTALE

import rados

from ..model.errors import MigrationError
from . import headers, surgery
from .class_call import call_to_write
from .denc import encode_string

_USER = 0  # TrashImageSource: as `rbd trash mv` does
_NORMAL = 0  # TrashImageState
_KEPT = 10 * 365 * 86400  # seconds for which the trash keeps an image, unless it is forced


def trash(ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """List an image in the trash, under the name that it has; it keeps that for now."""
    if headers.trash_entry(ioctx, ident) is not None:
        return
    now = int(time.time())
    spec = struct.pack("<B", _USER) + encode_string(name)
    spec += struct.pack("<IIIIB", now, 0, now + _KEPT, 0, _NORMAL)
    entry = struct.pack("<BBI", 2, 1, len(spec)) + spec
    call_to_write(ioctx, "rbd_trash", "rbd", "trash_add", encode_string(ident) + entry)


def drop(ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """Take its name from an image."""
    _remove_id(ioctx, name, ident)
    if headers.listed_id(ioctx, name) == ident:
        _list(ioctx, "dir_remove_image", name, ident)


def give(ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """Let a name that is free lead to an image.

    Raises MigrationError(EEXIST) if it is not free; it may lead to the image already.
    """
    found = headers.image_id(ioctx, name)  # also that of an image of format 1
    if found == ident:
        return
    if found is not None or not _created(ioctx, f"rbd_id.{name}", encode_string(ident)):
        raise MigrationError(
            EEXIST, f"Another image was given the name {name!r} in the meantime; nothing is lost."
        )


def _created(ioctx: rados.Ioctx, oid: str, content: bytes) -> bool:
    """Create an object with this content; False if it exists."""
    try:
        with rados.WriteOpCtx() as op:
            op.new(rados.LIBRADOS_CREATE_EXCLUSIVE)
            op.write_full(content)
            ioctx.operate_write_op(op, oid)
    except rados.ObjectExists:
        return False
    return True


def switch(ioctx: rados.Ioctx, name: str, before: str, ident: str) -> None:
    """Let a name that leads to the image ``before`` lead to another one, in one operation.

    Raises MigrationError(ESTALE) if it leads elsewhere.
    """
    found = headers.image_id(ioctx, name)
    if found == ident:
        return
    if found != before or not _replaced(ioctx, f"rbd_id.{name}", encode_string(ident)):
        raise MigrationError(
            ESTALE, f"The name {name!r} was given to another image in the meantime."
        )


def _replaced(ioctx: rados.Ioctx, oid: str, content: bytes) -> bool:
    """Write the object that was read last; False if somebody has written it since."""
    version = ioctx.get_last_version()
    try:
        with rados.WriteOpCtx() as op:
            op.assert_version(version)
            op.write_full(content)
            ioctx.operate_write_op(op, oid)
    except rados.Error as error:
        if abs(error.errno or 0) not in (ERANGE, EOVERFLOW):
            raise
        return False
    return True


def complete(ioctx: rados.Ioctx, name: str, ident: str, former: str) -> None:
    """List an image that has got its name: under this name, no longer as ``former`` or trashed."""
    listed = headers.image_name(ioctx, ident)
    other = headers.listed_id(ioctx, name)
    if other is not None and other != ident:
        _list(ioctx, "dir_remove_image", name, other)
    if listed is None:
        _list(ioctx, "dir_add_image", name, ident)
    elif listed != name:
        _list(ioctx, "dir_rename_image", listed, name, ident)
    if former != name:
        _remove_id(ioctx, former, ident)
    if headers.trash_entry(ioctx, ident) is not None:
        surgery.drop_trash_entry(ioctx, ident)


def restore(ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """Give an image the name that it had before, and take it out of the trash.

    Raises MigrationError(EEXIST) if another image has the name.
    """
    give(ioctx, name, ident)
    complete(ioctx, name, ident, former=name)


def _list(ioctx: rados.Ioctx, method: str, *words: str) -> None:
    """Change the directory."""
    argument = b"".join(map(encode_string, words))
    call_to_write(ioctx, "rbd_directory", "rbd", method, argument)


def _remove_id(ioctx: rados.Ioctx, name: str, ident: str) -> None:
    """Remove the object that makes a name lead to this image, if it still does."""
    if headers.image_id(ioctx, name) != ident:
        return
    with rados.WriteOpCtx() as op:
        op.assert_version(ioctx.get_last_version())
        op.remove()
        ioctx.operate_write_op(op, f"rbd_id.{name}")
