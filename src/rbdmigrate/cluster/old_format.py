"""Images of format 1: their header, and the directory that lists them.

Both are the *data* of objects, where images of format 2 have class methods and omap: ``NAME.rbd``
is a C structure (``rbd_obj_header_ondisk``), and the names are a map in ``rbd_directory``. While
such an image is the source of a migration the text at the begin of its header is another one, its
name is not listed, and librbd refuses to write to it and to remove it (release 16). It is not in
the trash. Whoever reads opens it by its name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EAGAIN, EEXIST, EOVERFLOW, ERANGE
from typing import Optional

import rados

from ..model.image_ident import old_format_ident, old_format_name
from .client import error_number
from .denc import Decoder

_TEXTS = (b"<<< Rados Block Device Image >>>\n", b"<<< Migrating RBD Image      >>>\n")
_HEADER = struct.Struct("<40s24s4s8sBBBxQQIxxxxQ")
_SNAPSHOT = struct.Struct("<QQ")
_PART = 64 << 10  # bytes of one read
_DIRECTORY = "rbd_directory"
_TRIES = 10
_CHANGED = (EEXIST, ERANGE, EOVERFLOW)  # the object has another version than the one that was read


@dataclass(frozen=True)
class OldHeader:
    """The header of an image of format 1.

    ``size`` and ``object_size`` are in bytes. ``newest`` is the highest snapshot id that the image
    ever had. ``snapshots``: ids and names, the newest first.
    """

    prefix: str
    size: int
    object_size: int
    newest: int
    snapshots: tuple[tuple[int, str], ...]


def ident_of(ioctx: rados.Ioctx, name: str) -> Optional[str]:
    """The identity of the image ``name`` of format 1; None when there is none."""
    header = _read_header(ioctx, name)
    return old_format_ident(header.prefix, name) if header is not None else None


def header_of(ioctx: rados.Ioctx, ident: str) -> Optional[OldHeader]:
    """The header of the image ``ident``; None when it does not exist, or its name is another's."""
    name = old_format_name(ident)
    header = _read_header(ioctx, name) if name is not None else None
    if header is None or name is None or old_format_ident(header.prefix, name) != ident:
        return None
    return header


def _read_header(ioctx: rados.Ioctx, name: str) -> Optional[OldHeader]:
    raw = _whole(ioctx, f"{name}.rbd") or b""
    if len(raw) < _HEADER.size or not raw.startswith(_TEXTS):
        return None
    fields = _HEADER.unpack_from(raw)
    prefix, order, size, newest, count = (fields[n] for n in (1, 4, 7, 8, 9))
    end = _HEADER.size + count * _SNAPSHOT.size
    numbers = [number for number, _ in _SNAPSHOT.iter_unpack(raw[_HEADER.size : end])]
    names = raw[end:].split(b"\0")
    return OldHeader(
        prefix.rstrip(b"\0").decode(),
        size,
        1 << order,
        newest,
        tuple((number, text.decode()) for number, text in zip(numbers, names)),
    )


def _whole(ioctx: rados.Ioctx, oid: str) -> Optional[bytes]:
    """The data of an object; None when there is none."""
    found = b""
    while True:
        try:
            part: bytes = ioctx.read(oid, _PART, len(found))
        except rados.ObjectNotFound:
            return None
        found += part
        if len(part) < _PART:
            return found


def names(ioctx: rados.Ioctx) -> Iterator[str]:
    """The names of the images of format 1 in the pool's directory."""
    for key, _ in _entries(_whole(ioctx, _DIRECTORY) or b"")[1]:
        yield key.decode()


def is_listed(ioctx: rados.Ioctx, name: str) -> bool:
    """Whether the directory lists an image of format 1 called ``name``."""
    return name in names(ioctx)


def add_name(ioctx: rados.Ioctx, name: str) -> None:
    """List ``name`` in the directory again; may be repeated."""
    for _ in range(_TRIES):
        raw = _whole(ioctx, _DIRECTORY)
        version = int(ioctx.get_last_version())
        header, entries = _entries(raw or b"")
        if name.encode() in dict(entries):
            return
        entries = sorted([*entries, (name.encode(), b"")])
        try:
            with rados.WriteOpCtx() as op:
                if raw is None:
                    op.new(rados.LIBRADOS_CREATE_EXCLUSIVE)
                else:
                    op.assert_version(version)
                op.write_full(_encoded(header, entries))
                ioctx.operate_write_op(op, _DIRECTORY)
        except rados.Error as error:
            if error_number(error) in _CHANGED:
                continue  # another image was made or removed in the meantime
            raise
        return
    raise rados.OSError(
        f"the directory of the pool of {name} was written all the time", errno=EAGAIN
    )


def _entries(raw: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The map of a directory: its own header, and its entries."""
    if not raw:
        return b"", []
    reader = Decoder(raw)
    header = reader.raw(reader.u32())
    found = []
    for _ in range(reader.u32()):
        key = reader.raw(reader.u32())
        found.append((key, reader.raw(reader.u32())))
    return header, found


def _encoded(header: bytes, entries: list[tuple[bytes, bytes]]) -> bytes:
    parts = [_piece(header), struct.pack("<I", len(entries))]
    parts += [_piece(key) + _piece(value) for key, value in entries]
    return b"".join(parts)


def _piece(raw: bytes) -> bytes:
    return struct.pack("<I", len(raw)) + raw
